"""One HTML page out of a recording of the monitor: what the processes cost, how long the stages took, how hot it got.

The page holds everything itself: figures as inline SVG, no script, no other host.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.metrics.recording import TIME, Row, read_recording

MAX_POINTS = 1500
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}h2{margin-top:2.5rem}p{color:#555}"""


class Chart(NamedTuple):
    """A figure: the columns that end so, each a line of its own."""

    title: str
    unit: str
    ending: str
    prefix: str = ""


CHARTS = (
    Chart("Processor time of each process", "% of a core", ".cpu_percent"),
    Chart("Memory of each process (PSS)", "MiB", ".memory_mib"),
    Chart("Stages, median of the window", "ms", ".p50_ms"),
    Chart("Stages, 95th percentile of the window", "ms", ".p95_ms"),
    Chart("Load of the GPU and of the memory controller", "%", ".load_percent"),
    Chart("Temperatures", "°C", "_c", "temperature."),
    Chart("Power", "mW", "_mw", "power."),
    Chart("Age of the scene", "s", ".age_s"),
)


class Series(NamedTuple):
    """A column over time: seconds since the first report, and its values."""

    name: str
    times_s: np.ndarray
    values: np.ndarray


def series_of(rows: Sequence[Row], chart: Chart) -> list[Series]:
    """The lines of a figure, by name."""
    ends = {name for row in rows for name in row if name.startswith(chart.prefix) and name.endswith(chart.ending)}
    return [_series(rows, column, column[len(chart.prefix) : -len(chart.ending)]) for column in sorted(ends)]


def thinned(series: Series, most: int = MAX_POINTS) -> Series:
    """At most so many points, each the mean of its neighbours."""
    if len(series.values) <= most:
        return series
    parts = np.array_split(np.arange(len(series.values)), most)
    return Series(
        series.name,
        np.array([series.times_s[part].mean() for part in parts]),
        np.array([series.values[part].mean() for part in parts]),
    )


def summary_table(rows: Sequence[Row]) -> str:
    """All figures as an HTML table: median, 95th percentile, maximum, last value."""
    lines = ["<tr><th></th><th>median</th><th>95 %</th><th>most</th><th>last</th></tr>"]
    for chart in CHARTS:
        found = series_of(rows, chart)
        if found:
            lines.append(f'<tr><th colspan="5">{escape(chart.title)}, {escape(chart.unit)}</th></tr>')
        for each in found:
            figures = (*np.percentile(each.values, (50, 95, 100)), each.values[-1])
            cells = "".join(f"<td>{figure:,.1f}</td>" for figure in figures)
            lines.append(f"<tr><td>{escape(each.name)}</td>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def page(rows: Sequence[Row], title: str) -> str:
    """The whole page.

    Raises:
        SmolFusionError: matplotlib is not installed.
    """
    pyplot, figures = _pyplot(), []
    for chart in CHARTS:
        lines = [thinned(each) for each in series_of(rows, chart)]
        if lines:
            figures.append(f"<h2>{escape(chart.title)}</h2>{_svg(pyplot, chart, lines)}")
    begun, hours = datetime.fromtimestamp(rows[0][TIME]), (rows[-1][TIME] - rows[0][TIME]) / 3600.0
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{len(rows)} reports over {hours:.2f} h from {begun:%Y-%m-%d %H:%M:%S}.</p>"
        f"{summary_table(rows)}{''.join(figures)}</body></html>\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recording", type=Path, help="the monitor's record_file, .csv or .jsonl")
    parser.add_argument("--output", type=Path, help="HTML file; default: beside the recording")
    parser.add_argument("--title", default="smolfusion_ros: what it cost and how long it took")
    arguments = parser.parse_args(argv)
    output = arguments.output or arguments.recording.with_suffix(".html")
    try:
        text = page(read_recording(arguments.recording), arguments.title)
        output.write_text(text, encoding="utf-8")
    except (SmolFusionError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{output}: {len(text) / 1e3:.0f} kB")
    return 0


def _series(rows: Sequence[Row], column: str, name: str) -> Series:
    points = [(row[TIME] - rows[0][TIME], row[column]) for row in rows if column in row]
    times_s, values = np.array(points).T
    return Series(name, times_s, values)


def _pyplot() -> Any:
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError as error:
        raise SmolFusionError(
            "the report draws with matplotlib, which is not installed: apt install python3-matplotlib, or pip install "
            "matplotlib"
        ) from error
    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    return importlib.import_module("matplotlib.pyplot")


def _svg(pyplot: Any, chart: Chart, lines: Sequence[Series]) -> str:
    figure, axes = pyplot.subplots(figsize=(10, 3.6), layout="constrained")
    for each in lines:
        axes.plot(each.times_s / 60.0, each.values, linewidth=1.2, label=each.name)
    axes.set_xlabel("minutes")
    axes.set_ylabel(chart.unit)
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


if __name__ == "__main__":
    raise SystemExit(main())
