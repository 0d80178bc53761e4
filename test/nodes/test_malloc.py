"""What is freed serves again: the kernel gives no fresh pages frame after frame."""

import subprocess
import sys

_PROGRAM = """
import resource, sys
import numpy as np
from smolfusion_ros.nodes._malloc import keep_freed_memory

def faults_of_frames():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(30):
        frames = [np.full(921_600, 7, np.uint8) for _ in range(12)]
        del frames
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if "kept" in sys.argv:
    keep_freed_memory()
faults_of_frames()
print(faults_of_frames())
"""


def _page_faults(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_frames_are_written_into_memory_that_is_there():
    assert _page_faults("kept") < _page_faults() / 10
