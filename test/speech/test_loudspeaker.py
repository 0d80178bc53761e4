"""Sinks: a topic's pace on a clock that the test sets, and PortAudio on a device that ALSA writes into a file."""

import os
import subprocess
import sys
import time
from ctypes.util import find_library
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clock import Clock

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.loudspeaker import DeviceSink, PacedSink

RATE = 16000
PIECE = b"\1\2" * (RATE // 50)
needs_portaudio = pytest.mark.skipif(find_library("portaudio") is None, reason="PortAudio is not installed")
NO_CARD = "pcm.nothing { type null }\n"
FILE_CARD = (
    'pcm.!default {{ type plug slave.pcm "tofile" }}\n'
    'pcm.tofile {{ type file slave.pcm "null" file "{file}" format "raw" }}\n'
)


class TestPacedSink:
    @pytest.fixture(autouse=True)
    def _sink(self) -> None:
        self.clock = Clock()
        self.pieces: list[bytes] = []
        self.sink = PacedSink(self.pieces.append, clock=self.clock)
        self.sink.start(RATE)

    def play(self, seconds: float) -> None:
        end_s = self.clock.now_s + seconds
        while (room_s := self.sink.room_s()) + self.clock.now_s < end_s:
            self.clock.now_s += room_s
            self.sink.write(PIECE)
        self.clock.now_s = end_s

    def test_pieces_come_at_the_pace_of_hearing_and_at_most_so_far_ahead(self) -> None:
        self.play(10.0)
        heard_s = self.sink.heard_frames() / RATE
        assert heard_s == pytest.approx(10.0, abs=0.001)
        assert 10.0 < len(self.pieces) * 0.02 <= 10.05

    def test_each_piece_tells_when_it_is_heard(self) -> None:
        begin_s = self.clock.now_s
        assert [self.sink.write(PIECE) - begin_s for _ in range(3)] == pytest.approx([0.0, 0.02, 0.04])
        self.clock.now_s += 5.0
        assert self.sink.write(PIECE) == self.clock.now_s

    def test_a_flush_leaves_at_most_50_ms(self) -> None:
        self.play(1.234)
        position = self.sink.flush()
        assert 0 <= position - self.sink.heard_frames() <= 0.05 * RATE

    def test_silence_between_pieces_is_no_sound_heard(self) -> None:
        self.play(1.0)
        self.clock.now_s += 60.0
        assert self.sink.heard_frames() == self.sink.written_frames()
        self.sink.write(PIECE)
        self.clock.now_s += 0.01
        assert self.sink.written_frames() - self.sink.heard_frames() == pytest.approx(0.01 * RATE, abs=1)

    def test_started_again_it_counts_from_nothing(self) -> None:
        self.play(1.0)
        self.sink.close()
        self.sink.start(RATE)
        assert self.sink.written_frames() == self.sink.heard_frames() == 0
        assert self.sink.room_s() == 0.0

    @pytest.mark.parametrize("ahead_s", [0.0, 0.019, 0.11, float("nan")])
    def test_a_lead_out_of_range_is_named(self, ahead_s: float) -> None:
        with pytest.raises(SpeechError, match="ahead_s is"):
            PacedSink(self.pieces.append, ahead_s=ahead_s)


RUN_S = 30.0


def run(tmp_path: Path, card: str, script: str) -> str:
    """The output of a script with a DeviceSink, in a process of its own, since PortAudio looks for devices once."""
    alsa = tmp_path / "alsa.conf"
    alsa.write_text("</usr/share/alsa/alsa.conf>\n" + card)
    head = (
        "import sys, time\nfrom smolfusion_ros.errors import SpeechError\n"
        "from smolfusion_ros.speech.loudspeaker import DeviceSink\nsink = DeviceSink()\n"
    )
    line, environment = [sys.executable, "-c", head + script], {**os.environ, "ALSA_CONFIG_PATH": str(alsa)}
    try:
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=RUN_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"ALSA's stand-in for a device stood still for {RUN_S:g} s")
    if "is it plugged in" in done.stderr:  # with the machine busy, its clock of its own may stop
        pytest.skip("ALSA's stand-in for a device stopped")
    assert done.returncode == 0, done.stderr
    return done.stdout


START = "try:\n    sink.start(22050)\nexcept SpeechError as error:\n    print(error)\n    sys.exit()\n"
PLAY = (
    "for index in range(100):\n    while sink.room_s() > 0:\n        time.sleep(sink.room_s())\n"
    "    sink.write(bytes([index + 1, 0]) * 441)\n"
)


@needs_portaudio
def test_a_device_gets_every_frame_in_order(tmp_path: Path) -> None:
    file = tmp_path / "out.raw"
    wait = "while sink.heard_frames() < sink.written_frames():\n    time.sleep(0.01)\nprint(sink.heard_frames())\n"
    output = run(tmp_path, FILE_CARD.format(file=file), START + PLAY + wait + "sink.close()\nsink.close()\n")
    if "cannot be opened" in output:
        pytest.skip("ALSA here has no file device")
    assert output == "44100\n"
    sound = file.read_bytes()
    assert bytes(each for each in sound if each) == bytes(each for index in range(100) for each in [index + 1] * 441)


class HeldDevice:
    """A device that takes sound when the test says so."""

    latency = 0.03

    def __init__(self, **settings: Any) -> None:
        self.fill = settings["callback"]
        self.active = False

    def start(self) -> None:
        self.active = True

    def close(self, ignore_errors: bool) -> None:
        self.active = False

    def take(self, frames: int) -> bytes:
        block = bytearray(b"\xff" * frames * 2)
        self.fill(memoryview(block), frames, SimpleNamespace(outputBufferDacTime=0.0, currentTime=0.0), None)
        return bytes(block)


class TestDeviceThatIsHeld:
    @pytest.fixture(autouse=True)
    def _sink(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[HeldDevice] = []

        def stream(**settings: Any) -> HeldDevice:
            made.append(HeldDevice(**settings))
            return made[-1]

        sounddevice = SimpleNamespace(RawOutputStream=stream, PortAudioError=OSError)
        monkeypatch.setitem(sys.modules, "sounddevice", sounddevice)
        self.sink = DeviceSink()
        self.sink.start(RATE)
        self.device = made[0]

    def test_a_flush_leaves_only_what_the_device_has_taken(self) -> None:
        for _ in range(5):
            self.sink.write(PIECE)
        assert self.device.take(480) == (PIECE * 2)[:960]
        assert self.sink.flush() == self.sink.written_frames() == 480
        self.sink.write(b"\7\7")
        assert self.device.take(480) == b"\7\7" + bytes(958)

    def test_what_is_taken_is_heard_after_the_latency(self) -> None:
        self.sink.write(PIECE)
        assert self.sink.heard_frames() == 0
        self.device.take(RATE // 50)
        assert self.sink.heard_frames() == 0
        time.sleep(self.device.latency + 0.02)
        assert self.sink.heard_frames() == self.sink.written_frames() == RATE // 50

    def test_there_is_room_until_so_much_waits(self) -> None:
        while self.sink.room_s() == 0:
            self.sink.write(PIECE)
        assert 0.2 < self.sink.written_frames() / RATE <= 0.24
        self.device.take(RATE // 10)
        assert self.sink.room_s() == 0

    def test_a_device_that_stopped_is_lost(self) -> None:
        self.sink.write(PIECE)
        self.device.active = False
        for use in (lambda: self.sink.write(PIECE), self.sink.heard_frames):
            with pytest.raises(SpeechError, match="is it plugged in"):
                use()

    def test_a_device_that_takes_nothing_is_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.sink, "LOST_S", 0.05)
        time.sleep(0.1)
        for use in (lambda: self.sink.write(PIECE), self.sink.heard_frames):
            with pytest.raises(SpeechError, match=r"taken nothing for 0\.05 s"):
                use()


@needs_portaudio
def test_without_a_device_it_says_how_to_list_them(tmp_path: Path) -> None:
    script = "sink = DeviceSink('no such card')\n" + START
    output = run(tmp_path, NO_CARD, script)
    assert "'no such card' cannot be opened at 22050 Hz" in output
    assert "python -m sounddevice" in output


def test_without_the_library_the_package_is_named(tmp_path: Path) -> None:
    missing = "import ctypes.util\nctypes.util.find_library = lambda name: None\n"
    output = run(tmp_path, NO_CARD, missing + START)
    assert "sudo apt install libportaudio2" in output
