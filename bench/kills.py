"""How soon each process is back after SIGKILL: python -m bench.kills --rounds 5.

A rendered visitor comes and goes, and talks all the time; every process of the stack is killed in the middle of an
answer, one after the other, as the kernel does when memory runs out. The runner starts it again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from system.kills import Recovery, Visit, start
from system.runner import PROCESSES

from bench import _json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="kills of each process")
    parser.add_argument("--only", nargs="+", choices=PROCESSES, default=PROCESSES, help="kill these alone")
    _json.add_option(parser)
    arguments = parser.parse_args()
    console = Console()
    runner = start(Path(tempfile.mkdtemp(prefix="smolfusion-kills-")))
    try:
        runner.wait_until_ready()
        visit = Visit(runner)
        for number in range(1, arguments.rounds + 1):
            visit.kill_each(arguments.only)
            latest = ", ".join(f"{name} {times[-1].back_s:.1f}" for name, times in visit.recoveries.items())
            console.print(f"round {number}, back after s: {latest}")
        visit.visitor.close()
        console.print(_table(visit.recoveries))
        found = {name: [vars(each) for each in times] for name, times in visit.recoveries.items()}
        _json.write(arguments.json, found)
        _tell(visit, console)
    finally:
        runner.close()
        console.print(f"log: {runner.workplace.log('runner')}")


def _table(recoveries: dict[str, list[Recovery]]) -> Table:
    table = Table(title=f"back after SIGKILL, {len(next(iter(recoveries.values())))} rounds, seconds")
    for heading in ("process", "another process after", "back: median", "worst", "others harmed"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    for name, times in recoveries.items():
        back = [each.back_s for each in times]
        respawn_s = median(each.respawn_s for each in times)
        harmed = sorted({other for each in times for other in each.harmed})
        table.add_row(name, f"{respawn_s:.1f}", f"{median(back):.1f}", f"{max(back):.1f}", ", ".join(harmed) or "none")
    return table


def _tell(visit: Visit, console: Console) -> None:
    said = visit.visitor.said()
    acknowledged = sum(each.acknowledged for each in said)
    console.print(f"{len(said)} utterances, {acknowledged} acknowledged; commands: {len(visit.commands())}")
    for what, found in (("lost turns", visit.lost_turns()), ("wrong commands", visit.wrong_commands())):
        console.print(f"{what}: {len(found)}")
        for each in found:
            console.print(f"  {each}")


if __name__ == "__main__":
    main()
