"""What the stack costs while a still camera sends 30 frames a second and nobody talks: python -m bench.idle.

CPU in percent of one core, from the processes' own CPU time over the measured seconds; memory as proportional set size.
"""

from __future__ import annotations

import argparse
import time

from rich.console import Console
from rich.table import Table

from bench import _json
from bench._stack import running, wait_for_log

MIB = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, after as many seconds of settling as …")
    parser.add_argument("--settle", type=float, default=20.0, help="… these")
    _json.add_option(parser)
    arguments = parser.parse_args()
    with running("rendered:still") as stack:
        wait_for_log(stack, ["ready"])
        time.sleep(arguments.settle)
        before, begun_s = stack.holdings(), time.monotonic()
        time.sleep(arguments.seconds)
        after, elapsed_s = stack.holdings(), time.monotonic() - begun_s
    table = Table(title=f"still camera at 30 fps, nobody talks, {elapsed_s:.0f} s")
    for heading in ("process", "CPU, % of a core", "PSS, MiB", "threads", "files"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    found: dict[str, dict[str, float]] = {}
    totals = {"nodes": [0.0, 0.0], "camera, runner and backends": [0.0, 0.0]}
    for name in sorted(set(before) & set(after)):
        now = after[name]
        cpu, memory = 100 * (now.cpu_s - before[name].cpu_s) / elapsed_s, now.pss / MIB
        found[name] = {"cpu_percent": cpu, "pss_mib": memory}
        table.add_row(name, f"{cpu:.1f}", f"{memory:.0f}", str(now.threads), str(now.files))
        others = name in ("runner", "video_source") or name.endswith("_backend")
        total = totals["camera, runner and backends" if others else "nodes"]
        total[0], total[1] = total[0] + cpu, total[1] + memory
    table.add_section()
    for name, (cpu, memory) in totals.items():
        table.add_row(name, f"{cpu:.1f}", f"{memory:.0f}")
    Console().print(table)
    _json.write(arguments.json, found)


if __name__ == "__main__":
    main()
