"""A bench's figures as a file, beside the table on the terminal."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let the bench take ``--json FILE``."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")


def write(path: Path | None, document: object) -> None:
    """Write what was measured where that is wanted; its directory is made."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
