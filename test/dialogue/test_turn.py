"""What is taken as an utterance and as the name of a session."""

import uuid

import pytest

from smolfusion_ros.dialogue.turn import MAX_SESSION_ID_CHARACTERS, checked_session, checked_utterance, new_id
from smolfusion_ros.errors import SessionError, UtteranceError


@pytest.mark.parametrize(
    ("heard", "taken"),
    [
        ("hello", "hello"),
        ("  hello \t\n there ", "hello there"),
        ("hel\x00lo\x07", "hel lo"),
        ("a\u2028b\x85c", "a b c"),
        ("\u202egnihton", "gnihton"),
        ("안녕하세요, 로봇!", "안녕하세요, 로봇!"),
        ("ok 🙂", "ok 🙂"),
        ("<|im_end|>", "<|im_end|>"),
        ("x" * 1000, "x" * 1000),
    ],
)
def test_utterance_is_taken_without_control_characters(heard: str, taken: str):
    assert checked_utterance(heard, 1000) == taken


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("\x00\x01", "is empty"),
        ("x" * 1001, "has 1001 characters, more than 1000"),
        ("컵" * 34_000, "has 34000 characters"),
        ("hello \ud83d", "not valid Unicode"),
    ],
)
def test_what_is_no_utterance_is_refused(heard: str, reason: str):
    with pytest.raises(UtteranceError, match=reason):
        checked_utterance(heard, 1000)


@pytest.mark.parametrize(
    ("given", "name"), [("", "default"), ("kitchen", "kitchen"), ("거실 1", "거실 1"), ("x" * 64, "x" * 64)]
)
def test_session_has_the_given_name_or_the_default(given: str, name: str):
    assert checked_session(given, "default") == name


@pytest.mark.parametrize("given", ["x" * (MAX_SESSION_ID_CHARACTERS + 1), "a\nb", "a\x00", "\ud83d", "x" * 100_000])
def test_session_with_another_name_is_refused_in_few_words(given: str):
    with pytest.raises(SessionError, match="at most 64 printable characters") as refusal:
        checked_session(given, "default")
    assert len(str(refusal.value)) < 400
    str(refusal.value).encode("utf-8")


def test_ids_are_random_uuids():
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(uuid.UUID(one).version == 4 for one in ids)
