"""Where utterances begin and end, window by window."""

import itertools

import pytest

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.endpointer import Began, Discarded, Ended, EndpointConfig, Endpointer, Paused, Resumed
from smolfusion_ros.speech.sound import SAMPLE_RATE
from smolfusion_ros.speech.voice_activity import WINDOW

PER_S = SAMPLE_RATE / WINDOW


def run(endpointer: Endpointer, *parts: tuple[float, float]) -> list:
    """Feed (probability, seconds) parts; the events."""
    events = []
    for probability, seconds in parts:
        for _ in range(round(seconds * PER_S)):
            events += endpointer.update(probability, -30.0 if probability > 0.3 else -60.0)
    return events


def ends(events: list) -> list[Ended]:
    return [each for each in events if isinstance(each, Ended)]


def test_an_utterance_begins_a_pre_roll_early_and_ends_with_a_little_silence():
    began, paused, ended = run(Endpointer(), (0.0, 2.0), (0.9, 1.0), (0.0, 1.0))
    speech = round(2 * PER_S) * WINDOW
    silence = speech + round(1 * PER_S) * WINDOW
    assert began == Began(speech - round(0.3 * SAMPLE_RATE), speech)
    assert (ended.start, ended.speech_end, ended.cut) == (began.start, silence, False)
    assert paused == Paused(ended.end)
    assert ended.end - silence == round(0.25 * PER_S) * WINDOW


@pytest.mark.parametrize(("pattern", "begins"), [([1, 1, 1], True), ([1, 0, 1, 1], True), ([1, 0, 0, 1, 1, 0], False)])
def test_three_of_four_windows_are_a_beginning(pattern, begins):
    endpointer = Endpointer()
    events = [event for each in [0] * 10 + pattern for event in endpointer.update(float(each), -40.0)]
    assert any(isinstance(each, Began) for each in events) is begins


def test_the_end_comes_when_the_silence_is_as_long_as_asked():
    for silence_s in (0.3, 0.6, 1.5):
        endpointer = Endpointer(EndpointConfig(endpoint_silence_s=silence_s))
        run(endpointer, (0.0, 1.0), (0.9, 1.0))
        before = endpointer.position
        while endpointer.speaking:
            endpointer.update(0.0, -60.0)
        assert (endpointer.position - before) / SAMPLE_RATE == pytest.approx(silence_s, abs=0.02)


def test_a_pause_shorter_than_the_silence_goes_on_with_the_same_utterance():
    events = run(Endpointer(), (0.0, 1.0), (0.9, 1.0), (0.0, 0.4), (0.9, 1.0), (0.0, 1.0))
    assert [type(each) for each in events] == [Began, Paused, Resumed, Paused, Ended]


def test_probability_between_the_thresholds_keeps_speech_but_does_not_begin_it():
    assert run(Endpointer(), (0.42, 5.0)) == []
    assert not ends(run(Endpointer(), (0.9, 0.3), (0.42, 5.0)))


def test_what_is_shorter_than_the_minimum_is_discarded():
    events = run(Endpointer(), (0.0, 1.0), (0.9, 0.13), (0.0, 1.0))
    assert [type(each) for each in events] == [Began, Paused, Discarded]
    assert events[-1].speech_s == pytest.approx(0.128)
    assert ends(run(Endpointer(), (0.0, 1.0), (0.9, 0.2), (0.0, 1.0)))


def test_two_utterances_share_no_sample():
    events = run(Endpointer(EndpointConfig(endpoint_silence_s=0.1)), *[(0.9, 0.5), (0.0, 0.13)] * 6)
    ended = ends(events)
    assert len(ended) >= 5
    assert all(one.end <= other.start for one, other in itertools.pairwise(ended))


def test_a_pre_roll_does_not_begin_before_the_sound():
    assert run(Endpointer(), (0.9, 0.2))[0].start == 0


def test_a_long_speech_is_cut_at_its_quietest_window_and_loses_nothing():
    endpointer = Endpointer(EndpointConfig(max_utterance_s=10.0))
    events = run(endpointer, (0.0, 1.0), (0.9, 9.0))
    breath = endpointer.position
    events += endpointer.update(0.6, -55.0)
    events += run(endpointer, (0.9, 4.0), (0.0, 1.0))
    first, second = ends(events)
    assert first.cut
    assert not second.cut
    assert breath <= first.end <= breath + WINDOW
    assert second.start == first.end
    assert sum(isinstance(each, Began) for each in events) == 1


def test_a_monologue_is_cut_again_and_again_without_a_gap():
    endpointer = Endpointer()
    ended = ends(run(endpointer, (0.0, 1.0), (0.9, 120.0), (0.0, 1.0)))
    assert all(one.end == other.start for one, other in itertools.pairwise(ended))
    assert all(each.end - each.start <= 20.1 * SAMPLE_RATE for each in ended)
    assert sum(each.end - each.start for each in ended) == pytest.approx(120.5 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)


def test_the_short_rest_of_a_cut_utterance_is_not_thrown_away():
    endpointer = Endpointer(EndpointConfig(max_utterance_s=5.0, min_speech_s=2.0))
    events = run(endpointer, (0.9, 4.8))
    events += endpointer.update(0.9, -70.0)
    events += run(endpointer, (0.9, 0.3), (0.0, 1.0))
    first, rest = ends(events)
    assert rest.start == first.end
    assert rest.speech_end - rest.start < 2 * SAMPLE_RATE


def test_settled_samples_never_belong_to_another_utterance_than_the_one_under_way():
    endpointer = Endpointer(EndpointConfig(max_utterance_s=6.0))
    settled, start = 0, 0
    for index in range(2000):
        probability = 0.9 if index % 400 > 60 and index % 37 > 9 else 0.0
        for event in endpointer.update(probability, -30.0 - (index * 7919 % 31)):
            if isinstance(event, Began):
                start = settled = event.start
            if isinstance(event, Ended):
                assert event.start == start
                assert settled <= event.end
                start = settled = event.end
        if endpointer.speaking:
            settled = max(settled, endpointer.settled)
            assert endpointer.needed <= endpointer.settled
        assert endpointer.position - endpointer.needed <= 4 * SAMPLE_RATE


def test_the_end_of_the_sound_ends_the_utterance_and_leaves_no_pre_roll_behind():
    endpointer = Endpointer()
    run(endpointer, (0.0, 1.0), (0.9, 1.0))
    (ended,) = endpointer.flush()
    assert ended.end == endpointer.position
    assert endpointer.flush() == []
    (began,) = run(endpointer, (0.9, 0.2))
    assert began.start == ended.end


@pytest.mark.parametrize(
    "values",
    [
        {"start_threshold": 0.0},
        {"start_threshold": 1.5},
        {"end_threshold": 0.6},
        {"endpoint_silence_s": 0.0},
        {"endpoint_silence_s": float("nan")},
        {"min_speech_s": -1.0},
        {"pre_roll_s": 3.0},
        {"max_utterance_s": 31.0},
        {"pause_s": 0.0},
    ],
)
def test_nonsense_is_refused_by_name(values):
    (name,) = values
    with pytest.raises(SpeechError, match=name):
        EndpointConfig(**values)
