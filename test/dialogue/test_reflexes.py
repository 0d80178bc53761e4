"""Utterances that need no model: the whole utterance counts, not a word in it."""

import unicodedata
from pathlib import Path

import pytest

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.reflexes import Reflexes, normalise
from smolfusion_ros.errors import ConfigurationError


@pytest.fixture(scope="module")
def reflexes(config: Path, catalogue: Catalogue) -> Reflexes:
    return Reflexes.load(config / "actions.yaml", catalogue, name="Smol")


@pytest.mark.parametrize(
    "utterance",
    [
        "stop",
        "Stop!",
        "STOP!!!",
        "  stop . ",
        "please stop",
        "stop please",
        "Robot, stop now",
        "Hey Smol, please stop immediately!",
        "okay okay stop",
        "Stop it.",
        "Do not move",
        "Don't move!",
        "Don’t move",
        "Hold still, please.",
        "emergency stop",
        "ｓｔｏｐ",
        "ＳＴＯＰ！",
        "멈춰",
        "멈춰!",
        "정지",
        "그만.",
        unicodedata.normalize("NFD", "멈춰"),
        "freeze\n",
        "stop, stop, stop!",
        "wait, stop!",
        "stop right now",
        "Robot! Stop walking, please stop.",
        "멈춰 멈춰",
        "그만해",
    ],
)
def test_stop_alone_with_its_courtesies_is_a_reflex(reflexes: Reflexes, utterance: str):
    command = reflexes.match(utterance)
    assert command is not None
    assert (command.name, dict(command.arguments)) == ("stop", {})


@pytest.mark.parametrize(
    "utterance",
    [
        "don't stop",
        "do not stop",
        "never stop",
        "the bus stop",
        "Where is the bus stop?",
        "stop the music",
        "stop and turn left",
        "stop, then wave",
        "nonstop",
        "stopp",
        "stops",
        "st op",
        "stop stop wave",
        "please",
        "robot now please",
        "",
        "   ",
        "?!",
        "멈추지 마",
        "멈춰 있는 사람이 보여?",
        "wave",
    ],
)
def test_anything_more_or_else_is_for_the_model(reflexes: Reflexes, utterance: str):
    assert reflexes.match(utterance) is None


def test_reflex_has_its_reply(reflexes: Reflexes, catalogue: Catalogue):
    assert reflexes.reply(catalogue.command({"name": "stop"})) == "Stopping."
    assert reflexes.reply(catalogue.command({"name": "nod"})) == ""


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Hello,   World! ", "hello world"),
        ("Straße", "strasse"),
        ("ﬁne", "fine"),
        ("Don’t", "don't"),
        ("안녕!", "안녕"),
        ("١٢٣ go", "١٢٣ go"),
        ("", ""),
    ],
)
def test_words_are_compared_folded_and_without_punctuation(text: str, plain: str):
    assert normalise(text) == plain
    assert normalise(plain) == plain


@pytest.mark.parametrize("name", ["fly", "wave"])
def test_reflex_must_be_an_action_that_needs_no_arguments(catalogue: Catalogue, name: str):
    with pytest.raises(ConfigurationError, match=f"reflex '{name}'"):
        Reflexes(catalogue, {name: ["now"]})


def test_catalogue_without_reflexes_has_none(tmp_path: Path, catalogue: Catalogue):
    path = tmp_path / "robot.yaml"
    path.write_text("actions: {stop: {}}\n")
    assert Reflexes.load(path, catalogue).match("stop") is None


def test_courtesy_may_be_a_phrase_of_its_own(catalogue: Catalogue):
    own = Reflexes(catalogue, {"nod": ["okay"]}, courtesies=["okay", "robot"])
    assert own.match("okay").name == "nod"
    assert own.match("Robot, okay!").name == "nod"
    assert own.match("robot") is None
