"""From a keyframe to a scene: the vision-language model and the face detector side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic

from smolfusion_ros.errors import BackendError
from smolfusion_ros.vision.faces import Face, FaceDetector
from smolfusion_ros.vision.frames import compressed_to_bgr
from smolfusion_ros.vision.questions import QuestionSet
from smolfusion_ros.vision.scene import SceneDescription, from_faces, locate
from smolfusion_ros.vision.tracks import Tracker

# (JPEG or PNG, question set) to the model's words; raises BackendError, also when it takes too long
Ask = Callable[[bytes, QuestionSet], Awaitable[str]]


@dataclass(frozen=True)
class Look:
    """What one keyframe showed. ``vlm_latency_s`` is 0 and ``error`` says why where only faces were seen."""

    scene: SceneDescription
    vlm_latency_s: float = 0.0
    error: str = ""


class Perceiver:
    """Looks at keyframes, one at a time.

    Args:
        ask: puts a picture and a question set to the vision-language model.
        questions: how scenes are asked for.
        faces: the face detector.
        hfov_rad: the camera's horizontal field of view.
    """

    def __init__(self, ask: Ask, questions: QuestionSet, faces: FaceDetector, *, hfov_rad: float) -> None:
        self._ask = ask
        self._questions = questions
        self._faces = faces
        self._tracker = Tracker()
        self.hfov_rad = hfov_rad

    async def look(self, image: bytes) -> Look:
        """See what is in a picture.

        Raises:
            FrameError: the picture cannot be decoded.
        """
        detection = asyncio.ensure_future(asyncio.to_thread(self._detect, image))
        begun = monotonic()
        try:
            words, error = await self._ask(image, self._questions), ""
        except BackendError as failure:
            words, error = "", str(failure)
        latency_s = monotonic() - begun
        faces, width = await detection
        if error:
            return Look(self._tracked(from_faces(faces, width, self.hfov_rad)), 0.0, error)
        scene = locate(self._questions.parse(words), faces, width, self.hfov_rad)
        return Look(self._tracked(scene), latency_s)

    def _tracked(self, scene: SceneDescription) -> SceneDescription:
        return replace(scene, persons=self._tracker.assign(scene.persons))

    def _detect(self, image: bytes) -> tuple[list[Face], int]:
        frame = compressed_to_bgr(image)
        return self._faces.detect(frame), frame.shape[1]
