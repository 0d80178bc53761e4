"""Keyframes in, scenes out; and answers to questions about a picture."""

from __future__ import annotations

import asyncio
import concurrent.futures
from dataclasses import dataclass

import cv2
from rclpy.callback_groups import ReentrantCallbackGroup
from sensor_msgs.msg import CompressedImage

from smolfusion_ros.errors import ConfigurationError, FrameError, SmolFusionError
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.msg import Scene
from smolfusion_ros.nodes import _qos
from smolfusion_ros.nodes._annotated import AnnotatedImage
from smolfusion_ros.nodes._asyncio import IoLoop
from smolfusion_ros.nodes._backend import Backend
from smolfusion_ros.nodes._diagnostics import Diagnostics
from smolfusion_ros.nodes._lifecycle import ManagedNode
from smolfusion_ros.nodes._messages import duration_message, scene_message
from smolfusion_ros.nodes._parameters import Parameters, parameter
from smolfusion_ros.nodes._run import run
from smolfusion_ros.secret import read_secret
from smolfusion_ros.srv import Analyze
from smolfusion_ros.vision.faces import FaceDetector
from smolfusion_ros.vision.frames import compressed_to_bgr
from smolfusion_ros.vision.perceiver import Look, Perceiver
from smolfusion_ros.vision.questions import QuestionSet, question_set

MAX_QUESTION_CHARACTERS = 1000
MAX_QUESTIONS = 4


@dataclass(frozen=True)
class PerceptionConfig:
    """Parameters of the node."""

    vlm_url: str = parameter("http://127.0.0.1:8081", "Base URL of the vision-language model's server", read_only=True)
    vlm_model: str = parameter("default", "Model name sent to that server", read_only=True)
    vlm_key_file: str = parameter(
        "", "File with the API key that a remote engine wants; empty: VLM_API_KEY, or none", read_only=True
    )
    vlm_timeout_s: float = parameter(
        20.0, "Longest silence of that server, seconds", minimum=0.5, maximum=600.0, read_only=True
    )
    scene_deadline_s: float = parameter(
        5.0, "A scene that takes longer is made of faces alone, seconds", minimum=0.1, maximum=600.0
    )
    questions: str = parameter("caption", "How scenes are asked for: caption or json", read_only=True)
    close_up: bool = parameter(
        False, "Ask once more about the nearest person, in that part of the picture; with the questions json"
    )
    hfov_rad: float = parameter(1.0, "The camera's horizontal field of view, radians", minimum=0.1, maximum=3.1)
    face_model: str = parameter("", "A YuNet model (.onnx); empty: OpenCV's Haar cascades", read_only=True)

    def __post_init__(self) -> None:
        if self.questions not in ("caption", "json"):
            raise ConfigurationError(f"questions {self.questions!r} is neither caption nor json")


class PerceptionNode(ManagedNode):
    """``keyframe/compressed`` to ``scene``; serves ``analyze``."""

    def __init__(self) -> None:
        super().__init__("perception")
        self._config = Parameters(self, PerceptionConfig(), on_change=self._reconfigure)
        self._backend: Backend | None = None
        self._perceiver: Perceiver | None = None
        self._watching: concurrent.futures.Future[None] | None = None
        self._questions: set[concurrent.futures.Future[tuple[str, float]]] = set()
        self._newest: CompressedImage | None = None
        self._arrived = asyncio.Event()
        self._scene = self.create_publisher(Scene, "scene", _qos.LATCHED)
        self.create_subscription(CompressedImage, "keyframe/compressed", self._on_keyframe, _qos.KEYFRAME)
        self.create_service(Analyze, "analyze", self._on_analyze, callback_group=ReentrantCallbackGroup())
        self._diagnostics = Diagnostics(self)
        self._io = IoLoop(self)
        self._annotated = AnnotatedImage(self, self._io)

    def configure(self) -> None:
        config: PerceptionConfig = self._config.value
        faces = FaceDetector(config.face_model or None)
        questions = question_set(config.questions)
        self._perceiver = Perceiver(self._ask, questions, faces, hfov_rad=config.hfov_rad, close_up=config.close_up)
        key = read_secret("vlm_key_file", config.vlm_key_file, "VLM_API_KEY")
        client = LlamaClient(config.vlm_url, model=config.vlm_model, timeout_s=config.vlm_timeout_s, key=key)
        self._backend = Backend(
            self, self._io, self._diagnostics, "vlm backend", "the vision-language model", client, self._look_again
        )

    def activate(self) -> None:
        self._backend.begin()
        self._watching = self._io.submit(self._watch())
        if self._newest is not None:
            self._io.call_soon(self._arrived.set)

    def deactivate(self) -> None:
        self._backend.rest()
        for work in (self._watching, *self._questions):
            work.cancel()

    def cleanup(self) -> None:
        self._backend.close()
        self._backend = self._perceiver = None

    def close(self) -> None:
        self._io.close()

    def _reconfigure(self, config: PerceptionConfig) -> None:
        if self._perceiver is not None:
            self._perceiver.hfov_rad = config.hfov_rad
            self._perceiver.close_up = config.close_up

    def _on_keyframe(self, keyframe: CompressedImage) -> None:
        self._newest = keyframe  # kept also while the node is not active: what was still then is still so later
        self._io.call_soon(self._arrived.set)

    async def _on_analyze(self, request: Analyze.Request, response: Analyze.Response) -> Analyze.Response:
        if not self.active:
            response.message = "perception is not active"
            return response
        keyframe = request.image if request.image.data else self._newest
        if keyframe is None:
            response.message = "no image was given and no keyframe has arrived yet"
            return response
        question = request.question.strip() or "Describe the scene."
        if len(self._questions) >= MAX_QUESTIONS:
            response.message = f"{len(self._questions)} questions are waiting already"
            return response
        if len(question) > MAX_QUESTION_CHARACTERS:
            response.message = f"the question has {len(question)} characters, more than {MAX_QUESTION_CHARACTERS}"
            return response
        asked = self._io.submit(self._analyze(keyframe, question))
        self._questions.add(asked)
        try:
            answer, latency_s = await self._io.awaitable(asked)
        except SmolFusionError as error:
            response.message = str(error)
            return response
        except Exception as error:  # logged where it was raised; it must not end the node
            response.message = f"{type(error).__name__}: {error}"
            return response
        finally:
            self._questions.discard(asked)
        response.success, response.answer = True, answer
        response.stamp = keyframe.header.stamp
        response.latency = duration_message(latency_s)
        return response

    async def _look_again(self) -> None:
        """Scenes of faces alone are replaced as soon as the model is there, also where nothing moves."""
        if self._newest is not None:
            self._arrived.set()

    async def _watch(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            keyframe = self._newest
            try:
                look = await self._perceiver.look(bytes(keyframe.data))
            except FrameError as error:
                self.get_logger().error(f"keyframe dropped: {error}", throttle_duration_sec=5.0)
            except Exception as error:  # one picture's trouble must not blind the robot
                text = f"keyframe dropped: {type(error).__name__}: {error}"
                self.get_logger().error(text, throttle_duration_sec=5.0)
            else:
                self._publish(look, keyframe)

    def _publish(self, look: Look, keyframe: CompressedImage) -> None:
        if look.error:
            self.get_logger().warning(f"only faces are seen: {look.error}", throttle_duration_sec=10.0)
        scene = scene_message(look.scene, look.vlm_latency_s)
        scene.header = keyframe.header
        self._scene.publish(scene)
        self._annotated.show(look.scene, keyframe)

    async def _ask(self, image: bytes, questions: QuestionSet) -> str:
        answer = await self._backend.client.ask_about_image(
            image,
            questions.question,
            schema=questions.json_schema,
            max_tokens=questions.max_tokens,
            deadline_s=self._config.value.scene_deadline_s,
        )
        return answer.text

    async def _analyze(self, keyframe: CompressedImage, question: str) -> tuple[str, float]:
        image = bytes(keyframe.data)
        await asyncio.to_thread(compressed_to_bgr, image)
        begun = asyncio.get_running_loop().time()
        answer = await self._backend.client.ask_about_image(image, question)
        return answer.text, asyncio.get_running_loop().time() - begun


def main() -> int:
    cv2.setNumThreads(1)  # faces are looked for while the model thinks: it needs the other cores
    return run(PerceptionNode)


if __name__ == "__main__":
    raise SystemExit(main())
