"""Drawn scenes on disk, in files of some hundreds: drawing them takes minutes, reading them seconds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.vision import canvas, drawing, figure, render, specs
from training.errors import TrainingError
from training.vision import pictures, scenes
from training.vision.pictures import Frame, scene, tile
from training.whole import whole

CHUNK = 500
_DRAWING = (canvas, drawing, figure, pictures, render, scenes, specs)


@lru_cache(maxsize=1)
def drawing_version() -> str:
    """Changes with the code that scenes are made by."""
    digest = hashlib.sha256()
    for module in _DRAWING:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]


class Pictures:
    """Tiles of the scenes 0 to ``count`` of a seed, drawn where they are not there yet.

    Args:
        directory: one for each seed, number, side and version of the drawing code is made in it.

    Raises:
        TrainingError: a file cannot be written, or is damaged.
    """

    def __init__(self, directory: Path, *, seed: int, count: int, side: int) -> None:
        self._directory = directory / f"scenes-{seed}-{count}-{side}-{drawing_version()}"
        self._seed, self._count, self._side = seed, count, side
        self._chunks: list[NDArray[np.uint8]] = []

    def draw(self, processes: int = 0) -> Iterator[int]:
        """Draw what is missing, ``processes`` at a time (0: one for each core); yields how many there are so far."""
        missing = [chunk for chunk in range(self._number_of_chunks()) if not self._path(chunk).is_file()]
        drawn = self._number_of_chunks() - len(missing)
        yield min(self._count, drawn * CHUNK)
        jobs = [(self._path(chunk), self._seed, self._numbers(chunk), self._side) for chunk in missing]
        if processes == 1 or len(jobs) < 2:
            for job in jobs:
                _draw(*job)
                drawn += 1
                yield min(self._count, drawn * CHUNK)
        else:
            with ProcessPoolExecutor(processes or os.cpu_count()) as executor:
                for future in [executor.submit(_draw, *job) for job in jobs]:
                    future.result()
                    drawn += 1
                    yield min(self._count, drawn * CHUNK)

    def tiles(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Some tiles, NxSxSx3 uint8 RGB."""
        if not self._chunks:
            self._chunks = [self._opened(chunk) for chunk in range(self._number_of_chunks())]
        return np.stack([self._chunks[index // CHUNK][index % CHUNK] for index in indices])

    def _opened(self, chunk: int) -> NDArray[np.uint8]:
        path = self._path(chunk)
        try:
            stored: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise TrainingError(f"{path} cannot be read: {error}; remove it to have it drawn again") from error
        if stored.shape != (len(self._numbers(chunk)), self._side, self._side, 3):
            raise TrainingError(f"{path} holds {stored.shape}: remove it to have it drawn again")
        return stored

    def _numbers(self, chunk: int) -> range:
        return range(chunk * CHUNK, min(self._count, (chunk + 1) * CHUNK))

    def _number_of_chunks(self) -> int:
        return -(-self._count // CHUNK)

    def _path(self, chunk: int) -> Path:
        return self._directory / f"{chunk:05}.npy"


def _draw(path: Path, seed: int, numbers: range, side: int) -> None:
    tiles: list[Frame] = [tile(scene(seed, index), side, Random(f"tile {seed} {index}")) for index in numbers]
    with whole(path) as partial, partial.open("wb") as file:
        np.save(file, np.stack(tiles))
