"""Shows what the robot sees, hears, says and commands: rich in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_STYLES = {
    "sees": "cyan",
    "hears": "bold",
    "says": "green",
    "commands": "bold yellow",
    "fails": "bold red",
    "": "dim",
}


class View:
    """A running log, and in a terminal one line below it with what is seen right now."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(Text(""), console=self._console, refresh_per_second=8, transient=True)
        self._last: dict[str, str] = {}

    def __enter__(self) -> View:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, who: str, text: str) -> None:
        """A line of the log: ``who`` is sees, hears, says, commands, fails, or empty for the demo itself."""
        if who == "sees" and self._last.get(who) == text:
            return
        self._last[who] = text
        self._console.print(f"[{_STYLES[who]}]{who:>9}  {escape(text)}[/]")

    def status(self, scene: str, seen: int, forwarded: int, active: bool) -> None:
        """The line below the log; nothing where there is no terminal."""
        if self._console.is_terminal:
            moving = "motion" if active else "still"
            self._live.update(Text(f"  {moving:>7}  {scene or 'nothing yet'}  [{seen} frames, {forwarded} looked at]"))

    def report(self, samples_s: Mapping[str, Sequence[float]], seen: int, forwarded: int) -> None:
        """The closing table."""
        table = Table(title="how long it took")
        for heading in ("stage", "count", "median", "worst"):
            table.add_column(heading, justify="left" if heading == "stage" else "right")
        for stage, values in samples_s.items():
            table.add_row(stage, str(len(values)), f"{median(values) * 1e3:.1f} ms", f"{max(values) * 1e3:.1f} ms")
        self._console.print(table)
        if seen:
            skipped = 100.0 * (seen - forwarded) / seen
            self._console.print(f"frames: {seen} seen, {forwarded} looked at: the gate skipped {skipped:.1f} %")
