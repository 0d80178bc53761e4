"""From a keyframe to a scene: the vision-language model and the face detector side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic

from smolfusion_ros.errors import BackendError
from smolfusion_ros.vision.close_up import close_up, nearest, with_looks
from smolfusion_ros.vision.faces import Face, FaceDetector
from smolfusion_ros.vision.frames import Frame, compressed_to_bgr
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
        close_up: ask about the nearest person once more, in that part of the picture, if the questions have one for it.
    """

    def __init__(
        self, ask: Ask, questions: QuestionSet, faces: FaceDetector, *, hfov_rad: float, close_up: bool = False
    ) -> None:
        self._ask = ask
        self._questions = questions
        self._faces = faces
        self._tracker = Tracker()
        self.hfov_rad = hfov_rad
        self.close_up = close_up

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
        faces, frame = await detection
        width = frame.shape[1]
        if error:
            return Look(self._tracked(from_faces(faces, width, self.hfov_rad)), 0.0, error)
        scene = locate(self._questions.parse(words), faces, width, self.hfov_rad)
        if self.close_up and self._questions.close_up is not None:
            scene = await self._looked_closer(scene, frame, self._questions.close_up)
            latency_s = monotonic() - begun
        return Look(self._tracked(scene), latency_s)

    async def _looked_closer(self, scene: SceneDescription, frame: Frame, questions: QuestionSet) -> SceneDescription:
        index = nearest(scene.persons)
        picture = None if index is None else await asyncio.to_thread(close_up, frame, scene.persons[index])
        if index is None or picture is None:
            return scene
        try:
            words = await self._ask(picture, questions)
        except BackendError:
            return scene  # as the whole picture showed it
        return with_looks(scene, index, questions.parse(words))

    def _tracked(self, scene: SceneDescription) -> SceneDescription:
        return replace(scene, persons=self._tracker.assign(scene.persons))

    def _detect(self, image: bytes) -> tuple[list[Face], Frame]:
        frame = compressed_to_bgr(image)
        return self._faces.detect(frame), frame
