"""What is seen now, and utterances that ask for it: their answer is worth waiting for a fresh look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from smolfusion_ros.dialogue.reflexes import normalise
from smolfusion_ros.dialogue.turn import SceneContext

# A scene is up to date that was confirmed within this time.
FRESH_SCENE_S = 1.0


class Looks:
    """Phrases that ask for a look, wherever in an utterance they stand as whole words."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = [f" {normalise(phrase)} " for phrase in phrases]

    def asked_for(self, utterance: str) -> bool:
        words = f" {normalise(utterance)} "
        return any(phrase in words for phrase in self._phrases)


def is_fresh(scene: SceneContext) -> bool:
    """Whether it is what is seen now, or nothing is seen that could get old."""
    return not scene.line or scene.situation.scene_age_s <= FRESH_SCENE_S


class View:
    """What is seen, and when it changes.

    Args:
        scene: what is seen now.
    """

    def __init__(self, scene: Callable[[], SceneContext]) -> None:
        self.now = scene
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The scene is another one."""
        self._changed.set()

    async def fresh(self, within_s: float) -> None:
        """Wait for a scene that is up to date, if there is any, and not for ever."""
        end_s = monotonic() + within_s
        while not is_fresh(self.now()):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), end_s - monotonic())
            except asyncio.TimeoutError:
                return
