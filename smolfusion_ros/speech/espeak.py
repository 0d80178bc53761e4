"""espeak-ng as a process for each text: it starts in milliseconds, dies when told to, and its licence stays its own."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import threading
from collections.abc import Iterator

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.synthesis import piece_size

SAMPLE_RATE = 22050  # of espeak-ng's own voices
WORDS_PER_MINUTE = (80, 450)
PITCH = (0, 99)
MAX_TEXT_BYTES = 60_000  # fits into a pipe, so that writing never waits
# Where espeak-ng's name is not the primary tag.
_VOICES = {"en": "en-us", "zh": "cmn", "no": "nb"}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_HEADER_BYTES = 44
_READ_BYTES = 4096


class EspeakVoice:
    """espeak-ng (Debian and Ubuntu: ``apt install espeak-ng``); see `Voice`.

    Args:
        words_per_minute: 80–450.
        pitch: 0–99, 50 is the voice's own.
        executable: name or path.
        deadline_s: a process that gives no sound for so long is killed.

    Raises:
        SpeechError: espeak-ng is not installed, or a value is out of range.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        words_per_minute: int = 165,
        pitch: int = 50,
        executable: str = "espeak-ng",
        deadline_s: float = 5.0,
    ) -> None:
        for name, value, (low, high) in (
            ("words_per_minute", words_per_minute, WORDS_PER_MINUTE),
            ("pitch", pitch, PITCH),
        ):
            if not low <= value <= high:
                raise SpeechError(f"{name} is {value}; must be {low} to {high}")
        if shutil.which(executable) is None:
            raise _missing(executable)
        self._command = [executable, "--stdin", "--stdout", "-b", "1", "-s", str(words_per_minute), "-p", str(pitch)]
        self._deadline_s = deadline_s

    def speak(self, text: str, language: str) -> EspeakSpeech:
        """See `Voice.speak`; a language whose voice espeak-ng lacks fails at the first piece."""
        if not _LANGUAGE.fullmatch(language):
            raise SpeechError(f"{language!r} is no language tag; such as en, ko, pt-BR")
        primary = language.lower().split("-")[0]
        return EspeakSpeech([*self._command, "-v", _VOICES.get(primary, primary)], text, self._deadline_s)

    def close(self) -> None:
        """Nothing is held between texts."""


class EspeakSpeech:
    """One process that speaks one text; see `Speech`."""

    def __init__(self, command: list[str], text: str, deadline_s: float) -> None:
        # Two brackets begin phoneme codes; control characters are commands to the engine.
        plain = "".join(char if char.isprintable() else " " for char in text).replace("[[", "[ [")
        data = plain.encode("utf-8", "ignore")
        if len(data) > MAX_TEXT_BYTES:
            raise SpeechError(f"a text of {len(data)} bytes is too long to speak; at most {MAX_TEXT_BYTES}")
        self._name = command[0]
        self._deadline_ms = deadline_s * 1000
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise _missing(command[0]) from error
        assert self._process.stdin and self._process.stdout
        self._sound = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._sound, select.POLLIN)
        self._reading = threading.Lock()  # whoever holds it may close the pipes
        self._buffer = bytearray()
        self._header_read = self._ended = self._stopped = False
        self._piece_bytes = piece_size(SAMPLE_RATE)
        try:
            self._process.stdin.write(data)
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; reading tells why

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._reading:
            try:
                while not self._ended and len(self._buffer) < self._piece_bytes:
                    self._read()
            except SpeechError:
                self._buffer.clear()
                raise
            piece = bytes(self._buffer[: min(self._piece_bytes, len(self._buffer) // 2 * 2)])
            if self._stopped or not self._header_read or not piece:
                raise StopIteration
            del self._buffer[: len(piece)]
            return piece

    def close(self) -> None:
        """Kill the process; a reader that waits ends."""
        self._stopped = True
        self._process.kill()
        if self._reading.acquire(blocking=False):  # else the reader sees the end, and closes the pipes
            self._ended = True
            self._reap()
            self._reading.release()

    def _read(self) -> None:
        if not self._poll.poll(self._deadline_ms):
            self._ended = True
            self._reap()
            raise SpeechError(f"{self._name} gave no sound for {self._deadline_ms / 1000:g} s and was killed")
        data = os.read(self._sound, _READ_BYTES)
        self._buffer += data
        if not data:
            self._ended = True
            self._check_end()
        elif not self._header_read and len(self._buffer) >= _HEADER_BYTES:
            rate = int.from_bytes(self._buffer[24:28], "little")
            if self._buffer[:4] != b"RIFF" or rate != SAMPLE_RATE:
                self._ended = True
                self._reap()
                raise SpeechError(f"{self._name} gave no WAV file of {SAMPLE_RATE} Hz; choose one of its own voices")
            del self._buffer[:_HEADER_BYTES]
            self._header_read = True

    def _check_end(self) -> None:
        try:
            status = self._process.wait(self._deadline_ms / 1000)
        except subprocess.TimeoutExpired:
            status = 0  # all its sound is here
        words = (
            self._process.stderr.read().decode("utf-8", "replace").strip() if status and self._process.stderr else ""
        )
        self._reap()
        if status and not self._stopped:
            how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
            raise SpeechError(f"{self._name} {how}: {words or 'it said no more'}")

    def _reap(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        self._process.wait()


def _missing(executable: str) -> SpeechError:
    return SpeechError(f"{executable} cannot be started; install it: sudo apt install espeak-ng")
