"""Which pictures a step sees: all of them in a new order each epoch, a pure function of the seed and the step."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def indices(seed: int, count: int, step: int, batch: int) -> list[int]:
    """The ``batch`` pictures of a step, counted from 1, of ``count``."""
    found = []
    for at in range((step - 1) * batch, step * batch):
        epoch, within = divmod(at, count)
        found.append(int(_order(seed, epoch, count)[within]))
    return found


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)
