"""A visitor who really speaks, in a room made of topics."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path

from smolfusion_ros.demo.observer import Observer
from smolfusion_ros.demo.room import Room, spoken, write_wav
from smolfusion_ros.speech.synthesis import make_voice

ECHO_DB = -20.0
WORDS_PER_MINUTE = 150
# Between two lines, or they would be heard as one.
PAUSE_S = 1.0


class SpeakingObserver(Observer):
    """An observer whose visitor has a voice.

    Raises:
        SpeechError: espeak-ng is not installed.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self._voice = make_voice("espeak", words_per_minute=WORDS_PER_MINUTE)
        self._room = Room(self, echo_db=ECHO_DB, record=True)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._speak, name="visitor", daemon=True).start()

    @property
    def heard(self) -> bool:
        """The dialogue, and ears, are there to listen."""
        return super().heard and self.count_subscribers("audio") > 0 and self.count_publishers("voice") > 0

    def say(self, text: str) -> None:
        self._lines.put(text)

    def keep(self, path: Path) -> None:
        """Write down what was heard in the room."""
        self._lines.put("")  # nothing more will be said
        self._room.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, self._room.recorded)

    def _speak(self) -> None:
        while line := self._lines.get():
            self._room.say(spoken(self._voice, line))
            time.sleep(PAUSE_S)
