"""A GGUF in another precision, by llama.cpp through llama-cpp-python."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from training.errors import TrainingError
from training.whole import whole

# What an importance matrix helps: the levels with blocks of blocks and few bits.
WEIGHED = ("Q5_K_M", "Q4_K_M", "Q4_0")
LEVELS = {
    "F16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q5_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
}


def quantise(
    source: Path, target: Path, level: str, importance: Mapping[str, np.ndarray[Any, Any]] | None = None
) -> Path:
    """Write ``source`` (F16 or F32) at ``level``, one of ``LEVELS``; whole or not at all.

    Args:
        importance: mean square of what enters each weight's columns, by the weight's GGUF name (``importance``).

    Raises:
        TrainingError: an unknown level, or llama.cpp could not.
    """
    if level not in LEVELS:
        raise TrainingError(f"quantisation {level!r} is none of {', '.join(LEVELS)}")
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = LEVELS[level]
    entries = _entries(importance or {})  # held until llama.cpp has read them
    if importance:
        params.imatrix = entries
    with whole(target) as partial:
        code = llama_cpp.llama_model_quantize(str(source).encode(), str(partial).encode(), ctypes.byref(params))
        if code != 0:
            raise TrainingError(f"llama.cpp could not quantise {source} to {level} (code {code}); is the disk full?")
    return target


def _entries(importance: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """llama.cpp's array of (name, values), ended by an entry without a name."""
    kind = llama_cpp.llama_model_imatrix_data
    entries = (kind * (len(importance) + 1))()
    for entry, (name, values) in zip(entries, importance.items(), strict=False):
        row = np.ascontiguousarray(values, dtype=np.float32)
        entry.name = name.encode()
        entry.data = row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = row.size
    return entries
