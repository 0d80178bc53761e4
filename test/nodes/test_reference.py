"""What is written about the nodes is what they say of themselves."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_written_reference_is_that_of_the_nodes() -> None:
    line = [sys.executable, str(ROOT / "scripts" / "write_reference.py"), "--check"]
    checked = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
