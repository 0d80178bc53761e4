"""Faces without a language model: what keeps the scene alive when no vision-language model answers.

Haar cascades ship with OpenCV below version 5 and with Debian's ``opencv-data``; YuNet is better where its
model file (``face_detection_yunet_*.onnx``, OpenCV zoo) is at hand.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolfusion_ros.errors import ConfigurationError, FrameError

Frame = NDArray[np.uint8]

_SYSTEM_CASCADES = (Path("/usr/share/opencv4/haarcascades"), Path("/usr/share/opencv/haarcascades"))
_FRONTAL = "haarcascade_frontalface_alt2.xml"
_SMILE = "haarcascade_smile.xml"
_SMILE_WIDTH_PX = 120
# Rejected neighbours the smile cascade needs; below 15 most neutral mouths pass.
_SMILE_NEIGHBOURS = 20


@dataclass(frozen=True)
class Face:
    """A face's box in pixels of the frame it was found in.

    ``score`` is YuNet's confidence (0-1) or the cascade's stage weight squeezed to 0-1; ``smiling`` is
    None where the smile cascade is not installed.
    """

    x: int
    y: int
    width: int
    height: int
    score: float
    smiling: bool | None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise FrameError(f"face is {self.width}x{self.height}: it must have a size")


class FaceDetector:
    """Finds frontal faces; one per thread, the cascades keep state while they run."""

    def __init__(self, model_path: str | Path | None = None, max_width_px: int = 320) -> None:
        """Load YuNet from ``model_path``, or the frontal cascade if it is None.

        Frames are searched at most ``max_width_px`` wide. Raises ConfigurationError if the detector is not
        there.
        """
        if not 32 <= max_width_px <= 4096:
            raise ConfigurationError(f"max_width_px is {max_width_px}: use 32 to 4096")
        self._max_width_px = max_width_px
        self._smile = _cascade(_SMILE)
        self._yunet: Any = None
        self._frontal: Any = None
        if model_path is not None:
            self._yunet = _yunet(Path(model_path))
            return
        self._frontal = _cascade(_FRONTAL)
        if self._frontal is None:
            places = ", ".join(map(str, _cascade_folders()))
            raise ConfigurationError(
                f"no face detector: {_FRONTAL} is in none of {places or 'the known folders'}; apt install opencv-data, "
                "pip install 'opencv-python-headless<5', or give a YuNet model file"
            )

    def detect(self, bgr: Frame) -> list[Face]:
        """Find the faces in an HxWx3 uint8 BGR frame, the largest first; FrameError if it is none."""
        if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.size == 0:
            raise FrameError(f"frame is {bgr.shape} {bgr.dtype}: HxWx3 uint8 BGR is needed")
        height, width = bgr.shape[:2]
        scale = min(1.0, self._max_width_px / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = bgr if scale == 1.0 else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        boxes = self._search_yunet(small) if self._yunet is not None else self._search_cascade(small)
        faces = []
        for (x, y, box_width, box_height), score in boxes:
            left, top = max(0, int(x / scale)), max(0, int(y / scale))
            right, bottom = (
                min(width, int((x + box_width) / scale)),
                min(height, int((y + box_height) / scale)),
            )
            if right > left and bottom > top:
                smiling = self._is_smiling(bgr[top:bottom, left:right])
                faces.append(Face(left, top, right - left, bottom - top, score, smiling))
        return sorted(faces, key=lambda face: face.width * face.height, reverse=True)

    def _search_cascade(self, small: NDArray[Any]) -> list[tuple[tuple[float, ...], float]]:
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
        least = max(20, grey.shape[0] // 10)
        boxes, _, weights = self._frontal.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(least, least), outputRejectLevels=True
        )
        return [
            (tuple(map(float, box)), float(1 / (1 + np.exp(-weight))))
            for box, weight in zip(boxes, np.ravel(weights), strict=True)
        ]

    def _search_yunet(self, small: NDArray[Any]) -> list[tuple[tuple[float, ...], float]]:
        self._yunet.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._yunet.detect(small)
        return [] if found is None else [(tuple(map(float, row[:4])), float(row[-1])) for row in found]

    def _is_smiling(self, face: Frame) -> bool | None:
        if self._smile is None:
            return None
        mouth = cv2.cvtColor(face[face.shape[0] // 2 :], cv2.COLOR_BGR2GRAY)
        height = max(1, round(mouth.shape[0] * _SMILE_WIDTH_PX / mouth.shape[1]))
        mouth = cv2.equalizeHist(cv2.resize(mouth, (_SMILE_WIDTH_PX, height)))
        smiles = self._smile.detectMultiScale(
            mouth, scaleFactor=1.15, minNeighbors=_SMILE_NEIGHBOURS, minSize=(_SMILE_WIDTH_PX // 3, 10)
        )
        return len(smiles) > 0


def _cascade_folders() -> list[Path]:
    bundled = getattr(getattr(cv2, "data", None), "haarcascades", None)
    return ([Path(bundled)] if bundled else []) + list(_SYSTEM_CASCADES)


def _cascade(name: str) -> Any:
    """Load a cascade by file name; None where OpenCV or the file is missing."""
    classifier_type = getattr(cv2, "CascadeClassifier", None)
    if classifier_type is None:
        return None
    for folder in _cascade_folders():
        path = folder / name
        if path.is_file():
            classifier = classifier_type(str(path))
            if not classifier.empty():
                return classifier
    return None


def _yunet(path: Path) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"YuNet model {path} is not there: download it, or leave it out to use Haar cascades")
    try:
        return cv2.FaceDetectorYN.create(str(path), "", (320, 240), score_threshold=0.7)
    except (cv2.error, AttributeError) as error:
        raise ConfigurationError(f"YuNet model {path} cannot be loaded: {error}") from error
