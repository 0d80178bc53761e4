"""Keeps the memory of camera frames in the process instead of handing it back to the kernel after each."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# A raw 4K frame has 25 MB; glibc takes no more than 32 MiB for the second.
_KEPT_BYTES, _LARGEST_BYTES = 64 << 20, 32 << 20


def keep_freed_memory() -> None:
    """Let what is freed serve the next frame: fresh pages, zeroed by the kernel, cost a third of a frame's work.

    Another C library than glibc is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
