"""The page made of a recording: it holds everything itself, and its figures are those of the recording."""

import importlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolfusion_ros.metrics.recording import Recording
from smolfusion_ros.metrics.report import CHARTS, Series, main, series_of, summary_table, thinned

ROWS = [
    {
        "time_s": 1.7e9 + second,
        "dialogue.cpu_percent": float(second % 10),
        "llm_backend.memory_mib": 300.0,
        "dialogue.first_token.p50_ms": 200.0 + second,
        "dialogue.first_token.p95_ms": 400.0,
        "temperature.cpu_c": 50.0,
        "power.VDD_IN_mw": 5000.0,
    }
    for second in range(100)
]


class Page(HTMLParser):
    """What stands in a page: its elements, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    made = Recording(tmp_path / "run.csv")
    for row in ROWS:
        made.write(row)
    return made.path


def test_one_figure_for_everything_that_was_recorded_and_nothing_from_elsewhere(recording: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main([str(recording), "--title", "a <run>"]) == 0
    text = recording.with_suffix(".html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.elements.count("svg") == 6
    assert "script" not in page.elements
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(r"url\((?!#|\"#)", text)
    assert "<h1>a &lt;run&gt;</h1>" in text
    assert "100 reports over 0.03 h" in text
    for name in ("dialogue.first_token", "llm_backend", "VDD_IN"):
        assert name in text


def test_columns_belong_to_their_figures_under_their_own_names() -> None:
    found = {chart.title: [each.name for each in series_of(ROWS, chart)] for chart in CHARTS}
    assert found["Processor time of each process"] == ["dialogue"]
    assert found["Stages, median of the window"] == ["dialogue.first_token"]
    assert (found["Temperatures"], found["Power"]) == (["cpu"], ["VDD_IN"])
    assert found["Age of the scene"] == []


def test_the_table_has_median_95th_percentile_maximum_and_the_last_value() -> None:
    table = summary_table(ROWS)
    cells = re.search(r"<td>dialogue</td>((?:<td>[^<]*</td>)+)", table)
    assert cells is not None
    assert re.findall(r"<td>([^<]*)</td>", cells.group(1)) == ["4.5", "9.0", "9.0", "9.0"]


def test_long_recordings_are_thinned_without_losing_their_mean() -> None:
    values = np.sin(np.arange(90_000) / 500.0)
    thin = thinned(Series("x", np.arange(90_000.0), values), 1000)
    assert len(thin.values) == len(thin.times_s) == 1000
    assert thin.values.mean() == pytest.approx(values.mean(), abs=1e-6)


def test_without_matplotlib_it_says_how_to_get_it(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", missing)
    assert main([str(recording)]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err
    assert not recording.with_suffix(".html").exists()


def test_a_recording_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "none.csv cannot be read" in capsys.readouterr().err
