"""A robot that speaks must not hear itself, but who speaks over it."""

import sys

import numpy as np
import pytest
from speech_sounds import at_level, echo_of, has_espeak, synthetic_voice, white_noise

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.echo import Echo, EchoGate, WebRtcEcho, make_echo
from smolfusion_ros.speech.endpointer import Began, Endpointer
from smolfusion_ros.speech.sound import SAMPLE_RATE, level_dbfs
from smolfusion_ros.speech.voice_activity import WINDOW, VoiceActivity

PERSON_AT_S = 6.0
TEXT = (
    "Hello, I am the robot of this house. I can wave, dance, walk, and fetch things for you. "
    "Yesterday I met a tall man with a red coat, who asked me where the kitchen is."
)


class Scene:
    """A robot speaks in a room; a person speaks over it or not."""

    def __init__(self, person: np.ndarray, delay_ms: float, gain_db: float, seed: int = 0) -> None:
        robot = at_level(synthetic_voice(TEXT), -20)
        self.played = np.concatenate([np.zeros(8000, np.float32), robot, np.zeros(16000, np.float32)])
        self.alone = echo_of(self.played, delay_ms, gain_db, seed=seed) + white_noise(
            self.played.size / SAMPLE_RATE, -62, seed
        )
        voice = np.zeros_like(self.alone)
        begin = round(PERSON_AT_S * SAMPLE_RATE)
        voice[begin : begin + person.size] = at_level(person, -24)
        self.with_person = self.alone + voice


@pytest.fixture(
    scope="module", params=[(60, -8), (100, -12), (150, -18)], ids=lambda each: f"{each[0]} ms {each[1]} dB"
)
def scene(request, recording) -> Scene:
    if not has_espeak():
        pytest.skip("espeak-ng is not installed")
    return Scene(recording("forward").samples, *request.param)


@pytest.fixture(scope="module")
def vad(vad_model) -> VoiceActivity:
    return VoiceActivity(vad_model)


def beginnings(echo: Echo, vad: VoiceActivity, played: np.ndarray, near: np.ndarray, piece: int = 320) -> list[float]:
    """When speech is heard to begin, seconds."""
    vad.reset()
    endpointer, waiting, begun = Endpointer(), np.zeros(0, np.float32), []
    for at in range(0, near.size, piece):
        echo.far(played[at : at + piece])
        waiting = np.concatenate([waiting, echo.near(near[at : at + piece])])
        while waiting.size >= WINDOW:
            window, waiting = waiting[:WINDOW], waiting[WINDOW:]
            level, probability = level_dbfs(window), vad.probability(window)
            allowed = endpointer.speaking or echo.allows(level)
            events = endpointer.update(probability if allowed else 0.0, level)
            begun += [endpointer.position / SAMPLE_RATE for each in events if isinstance(each, Began)]
    return begun


def webrtc() -> WebRtcEcho:
    pytest.importorskip("livekit.rtc")
    return WebRtcEcho()


def test_the_robots_voice_is_taken_out_by_25_db_once_the_room_is_learned(scene):
    echo, out = webrtc(), []
    for at in range(0, scene.alone.size, 512):
        echo.far(scene.played[at : at + 512])
        out.append(echo.near(scene.alone[at : at + 512]))
    learned = slice(4 * SAMPLE_RATE, 8 * SAMPLE_RATE)
    assert level_dbfs(scene.alone[learned]) - level_dbfs(np.concatenate(out)[learned]) > 25


def test_with_the_canceller_the_robot_does_not_hear_itself_and_hears_a_person_at_once(scene, vad):
    assert beginnings(webrtc(), vad, scene.played, scene.alone) == []
    heard = beginnings(webrtc(), vad, scene.played, scene.with_person)
    assert heard
    assert PERSON_AT_S < heard[0] < PERSON_AT_S + 1.0


def test_what_is_played_in_bursts_and_ahead_of_time_is_cancelled_as_well(scene, vad):
    echo, vad_windows = webrtc(), []
    burst, lead = 3200, 1600
    for at in range(0, scene.alone.size, 320):
        if at % burst == 0:
            echo.far(scene.played[at + lead if at else 0 : at + lead + burst])
        vad_windows.append(echo.near(scene.alone[at : at + 320]))
    out = np.concatenate(vad_windows)
    learned = slice(5 * SAMPLE_RATE, 8 * SAMPLE_RATE)
    assert level_dbfs(scene.alone[learned]) - level_dbfs(out[learned]) > 20


def test_while_the_robot_is_silent_the_microphone_passes_untouched():
    echo, near = webrtc(), white_noise(1, -30)
    np.testing.assert_array_equal(echo.near(near), near)


def test_samples_held_back_are_counted_and_come_with_the_next():
    echo = webrtc()
    first = echo.near(np.ones(250, np.float32))
    assert (first.size, echo.held_back) == (160, 90)
    assert echo.near(np.ones(70, np.float32)).size == 160
    assert echo.held_back == 0


def test_with_the_gate_the_robot_does_not_hear_itself(scene, vad):
    assert beginnings(EchoGate(), vad, scene.played, scene.alone) == []


def test_the_gate_opens_for_whoever_is_louder_than_the_echo_and_a_quarter_second_after_it(vad, recording):
    robot = at_level(white_noise(12), -20)
    echo, quiet = EchoGate(), at_level(robot, -45)
    for at in range(0, robot.size, 320):
        echo.far(robot[at : at + 320])
        echo.near(quiet[at : at + 320])
    assert not echo.allows(-44.0)
    assert echo.allows(-30.0)
    for _ in range(round(0.27 * SAMPLE_RATE / 320)):
        echo.near(np.zeros(320, np.float32))
    assert echo.allows(-44.0)


def test_far_sound_of_a_stalled_microphone_is_bounded():
    echo = webrtc()
    for _ in range(1000):
        echo.far(np.ones(1600, np.float32))
    assert echo._far._waiting <= 2 * SAMPLE_RATE


def test_without_the_package_the_gate_takes_its_place(monkeypatch):
    monkeypatch.setitem(sys.modules, "livekit.rtc", None)
    assert make_echo("auto").name == "gate"
    with pytest.raises(SpeechError, match="pip install livekit"):
        make_echo("webrtc")


def test_echo_engines_by_name():
    assert make_echo("none") is None
    assert make_echo("gate").name == "gate"
    with pytest.raises(SpeechError, match="speex"):
        make_echo("speex")
