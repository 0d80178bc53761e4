"""Keeps reports in a file that does not grow without bound: CSV for spreadsheets, JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path

from smolfusion_ros.errors import ConfigurationError, SmolFusionError

ENDINGS = (".csv", ".jsonl")
MAX_BYTES = 16 * 2**20
TIME = "time_s"
Row = dict[str, float]


class RecordingError(SmolFusionError):
    """A recording cannot be written or read; names the file."""


class Recording:
    """One line a report. When the file is full it becomes ``<name>.1<ending>``, in the place of the one before.

    A CSV file's header names every column that was ever told: a new one has the file written anew, which happens as
    long as processes and stages appear for the first time.

    Args:
        path: ends with .csv or .jsonl; what is there already is continued.
        max_bytes: of one file; two are kept.

    Raises:
        ConfigurationError: another ending.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        check_ending(path)
        self.path = path
        self.rows = 0
        self._max_bytes = max_bytes
        self._columns: list[str] | None = None

    def write(self, row: Mapping[str, float]) -> None:
        """Append a row; numbers that are not finite are left out.

        Raises:
            RecordingError: the file cannot be written; the next row is tried again.
        """
        known = {name: round(value, 6) for name, value in row.items() if isfinite(value)}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size >= self._max_bytes:
                self.path.replace(older(self.path))
                self._columns = None
            self._append(known)
        except OSError as error:
            self._columns = None  # what is in the file is not known any more
            raise RecordingError(f"{self.path} cannot be written: {error}") from error
        self.rows += 1

    def _append(self, row: Row) -> None:
        if self.path.suffix == ".jsonl":
            text = json.dumps(row) + "\n"
        else:
            if self._columns is None:
                self._columns = _columns_of(self.path)
            missing = [name for name in row if name not in self._columns]
            if missing:
                self._widen([*self._columns, *missing])
            text = _csv_line([row.get(name, "") for name in self._columns])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def _widen(self, columns: list[str]) -> None:
        """Write the file anew with more columns; a reader sees the old one or the new one, never a part."""
        rows = list(_rows_of(self.path)) if self.path.exists() else []
        new = self.path.with_name(f".{self.path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            file.write(_csv_line(columns))
            file.writelines(_csv_line([row.get(name, "") for name in columns]) for row in rows)
        new.replace(self.path)
        self._columns = columns


def check_ending(path: Path) -> None:
    """Raise ConfigurationError for a file that is neither .csv nor .jsonl."""
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"recording {str(path)!r} ends with neither {' nor '.join(ENDINGS)}")


def older(path: Path) -> Path:
    """Where a full recording went."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def read_recording(path: Path) -> list[Row]:
    """All rows that are kept, oldest first; a line that was cut short is left out.

    Raises:
        ConfigurationError: another ending.
        RecordingError: there is no such file, it cannot be read, or it holds no row.
    """
    check_ending(path)
    try:
        rows = [row for file in (older(path), path) if file.exists() or file == path for row in _rows_of(file)]
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    rows = [row for row in rows if TIME in row]
    if not rows:
        raise RecordingError(f"{path} holds no report: let the monitor write one with the parameter record_file")
    return rows


def _rows_of(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield {name: float(value) for name, value in row.items() if isinstance(value, (int, float))}
            return
        for fields in csv.DictReader(file):
            yield {name: number for name, value in fields.items() if name for number in _numbers(value)}


def _columns_of(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _csv_line(fields: list[str] | list[float | str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(text or "")]
    except ValueError:
        return []
