"""Who is spoken to."""

import pytest

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.wake import Wake, edit_distance


def said(text: str, words=("robot", "hey smol", "로봇"), **options) -> str | None:
    return Wake(words, **options).take(text, 0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Robot, wave your hand.", "wave your hand."),
        ("ROBOT! Wave.", "Wave."),
        ("robots wave", "wave"),
        ("Rowbot wave", "wave"),
        ("Hey, Smol: don't move!", "don't move!"),
        ("heysmol come", "come"),
        ("Hey smal, come", "come"),
        ("로봇, 손 흔들어", "손 흔들어"),
        ("Robot.", ""),
        ("Robot", ""),
    ],
)
def test_the_wake_word_is_found_and_taken_off(text, rest):
    assert said(text) == rest


@pytest.mark.parametrize(
    "text", ["wave your hand", "the robot waves", "hey you", "rob the bank", "로보 손", "", "...", "ro"]
)
def test_what_does_not_begin_with_a_wake_word_is_not_for_the_robot(text):
    assert said(text) is None


def test_short_words_must_be_right_to_the_letter():
    assert said("Max, go", words=["max"]) == "go"
    assert said("Mac, go", words=["max"]) is None


def test_it_stays_awake_from_each_utterance_that_passed_to_the_next_one_begun_in_time():
    wake = Wake(["robot"], awake_s=10.0)
    assert wake.take("come here", 0.0, 1.0) is None
    assert wake.take("robot come here", 2.0, 3.0) == "come here"
    assert wake.take("and now wave", 12.9, 20.0) == "and now wave"
    assert wake.take("and bow", 29.0, 31.0) == "and bow"
    assert wake.take("and dance", 41.1, 42.0) is None


def test_a_stop_passes_asleep_and_wakes_nobody():
    wake = Wake(["robot"], always=lambda text: text == "stop")
    assert wake.take("stop", 0.0, 1.0) == "stop"
    assert wake.take("come here", 1.0, 2.0) is None


def test_the_nearest_of_several_wake_words_counts():
    assert said("robot arm up", words=["robot", "robot arm"]) == "arm up"
    assert said("robota up", words=["robot", "robota"]) == "up"


def test_without_a_wake_word_everything_passes():
    assert said("whatever", words=[]) == "whatever"
    assert Wake([]).is_awake(1e9)


@pytest.mark.parametrize(("words", "awake_s", "message"), [(["robot", " !"], 1.0, "letters"), (["robot"], -1.0, "-1")])
def test_nonsense_is_refused(words, awake_s, message):
    with pytest.raises(SpeechError, match=message):
        Wake(words, awake_s)


def test_edit_distance_counts_letters():
    assert [edit_distance("robot", other) for other in ("robot", "robots", "rowbot", "robit", "bot", "")] == [
        0,
        1,
        1,
        1,
        2,
        5,
    ]
