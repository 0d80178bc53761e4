"""Microphones that are not there, refuse, or go away. There is none here: a stand-in plays PortAudio's part."""

import sys
from types import SimpleNamespace

import pytest

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.microphone import Microphone


class PortAudioError(Exception):
    pass


class Driver:
    """As much of sounddevice as the microphone uses."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.rates = {16000, 48000}
        self.stream = None
        self.refuses = ""

    def check_input_settings(self, device, channels, dtype, samplerate) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate")

    def query_devices(self, device, kind):
        return {"default_samplerate": 48000.0}

    def RawInputStream(self, **options):  # noqa: N802
        if self.refuses:
            raise PortAudioError(self.refuses)
        self.stream = SimpleNamespace(**options, start=lambda: None, close=lambda: None)
        return self.stream

    def give(self, data: bytes, adc_time: float = 0.0, current_time: float = 0.0, overflow: bool = False) -> None:
        when = SimpleNamespace(inputBufferAdcTime=adc_time, currentTime=current_time)
        self.stream.callback(data, len(data) // 2, when, SimpleNamespace(input_overflow=overflow))


@pytest.fixture
def driver(monkeypatch) -> Driver:
    driver = Driver()
    monkeypatch.setitem(sys.modules, "sounddevice", driver)
    return driver


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def test_a_machine_without_a_microphone_says_so():
    with pytest.raises(SpeechError, match=r"microphone"):
        Microphone(print, "no such device")


def test_a_missing_package_or_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SpeechError, match="pip install sounddevice"):
        Microphone(print)


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SpeechError, match="apt install libportaudio2"):
        Microphone(print)
    sys.modules.pop("sounddevice", None)


def test_sound_comes_with_its_format_and_the_time_of_its_last_sample(driver):
    got, clock = [], Clock()
    microphone = Microphone(lambda *sound: got.append(sound), clock=clock)
    driver.give(bytes(1024), adc_time=7.0, current_time=7.0 + 0.032 + 0.01)
    driver.give(bytes(1024))
    ((data, rate, channels, time_s), (*_, untimed_s)) = got
    assert (data, rate, channels) == (bytes(1024), 16000, 1)
    assert time_s == pytest.approx(49.99)
    assert untimed_s == 50.0
    assert driver.stream.blocksize == 512
    assert microphone.overflows == 0


def test_a_device_without_16_khz_gives_its_own_rate(driver):
    driver.rates = {48000}
    assert Microphone(print).sample_rate == 48000
    assert driver.stream.samplerate == 48000


def test_a_device_that_refuses_says_why(driver):
    driver.refuses = "Device unavailable"
    with pytest.raises(SpeechError, match=r"'usb'.*Device unavailable"):
        Microphone(print, "usb")


def test_lost_pieces_are_counted(driver):
    microphone = Microphone(lambda *_: None)
    driver.give(bytes(1024), overflow=True)
    driver.give(bytes(1024))
    assert microphone.overflows == 1


def test_an_unplugged_microphone_is_noticed(driver):
    clock = Clock()
    microphone = Microphone(lambda *_: None, clock=clock)
    microphone.check()
    driver.stream.finished_callback()
    with pytest.raises(SpeechError, match="has stopped"):
        microphone.check()


def test_a_microphone_that_falls_silent_is_noticed_after_a_second(driver):
    clock = Clock()
    microphone = Microphone(lambda *_: None, clock=clock)
    clock.now_s += 0.9
    driver.give(bytes(1024))
    clock.now_s += 0.9
    microphone.check()
    clock.now_s += 0.2
    with pytest.raises(SpeechError, match=r"no sound for 1\.1 s"):
        microphone.check()


def test_closing_twice_or_after_it_is_gone_does_no_harm(driver):
    def gone() -> None:
        raise PortAudioError("gone")

    microphone = Microphone(lambda *_: None)
    driver.stream.close = gone
    microphone.close()
    microphone.close()


@pytest.mark.parametrize(("options", "message"), [({"block_s": 0.0}, "block_s"), ({"channels": 0}, "channels is 0")])
def test_nonsense_is_refused(driver, options, message):
    with pytest.raises(SpeechError, match=message):
        Microphone(print, **options)
