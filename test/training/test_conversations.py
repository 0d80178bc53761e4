"""Generated conversations: valid, varied, true to the scene, and the same for the same seed."""

import re
from random import Random

import pytest

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.grammar import MAX_SENTENCE_CHARACTERS
from smolfusion_ros.dialogue.outcomes import News
from training.data.conversations import Author, Turn, outcome_answer
from training.data.phrasings import Phrasings

NUMBER = 3000


@pytest.fixture(scope="module", params=[False, True], ids=["train", "test"])
def conversations(request: pytest.FixtureRequest, english: Phrasings, catalogue: Catalogue) -> list[list[Turn]]:
    author = Author(english.of(test=request.param), catalogue, "Smol", Random(1))
    return [author.conversation() for _ in range(NUMBER)]


def test_every_answer_is_one_that_the_grammar_allows(conversations: list[list[Turn]], catalogue: Catalogue) -> None:
    sentence = re.compile(rf"[^\"\\.!?]{{1,{MAX_SENTENCE_CHARACTERS}}}[.!?]")
    for turn in (turn for turns in conversations for turn in turns):
        for command in turn.commands:
            catalogue.command(command)
        assert re.fullmatch(rf"{sentence.pattern}( {sentence.pattern})?", turn.say), turn
        assert turn.heard == " ".join(turn.heard.split())
        assert not set("{}[]()|") & set(turn.heard), turn


def test_every_action_comes_and_enough_turns_ask_for_none(
    conversations: list[list[Turn]], catalogue: Catalogue
) -> None:
    turns = [turn for conversation in conversations for turn in conversation]
    commanded = {command["name"] for turn in turns for command in turn.commands}
    assert commanded == {action.name for action in catalogue}
    assert sum(not turn.commands for turn in turns) > 0.2 * len(turns)
    assert sum(len(turn.commands) > 1 for turn in turns) > 0.03 * len(turns)


def test_same_seed_writes_the_same(english: Phrasings, catalogue: Catalogue) -> None:
    def write(seed: int) -> list[list[Turn]]:
        author = Author(english, catalogue, "Smol", Random(seed))
        return [author.conversation() for _ in range(30)]

    assert write(3) == write(3) != write(4)


def test_answers_about_the_scene_are_true(conversations: list[list[Turn]]) -> None:
    checked = 0
    for turn in (turn for turns in conversations for turn in turns):
        if any(":seen how_many_people:" in family for family in turn.families):
            number = len(re.findall(r"\bperson\b", turn.scene))
            words = {0: "nobody", 1: "one person", 2: "two people", 3: "three people"}[min(3, number)]
            assert words in turn.say, turn
            checked += 1
    assert checked > 2


def test_thing_on_a_side_is_the_one_that_is_seen_there(conversations: list[list[Turn]]) -> None:
    checked = 0
    for turn in (turn for turns in conversations for turn in turns):
        referred = re.search(r"(?:one|thing) (?:on|to) the (left|right)", turn.heard)
        if referred and len(turn.commands) == 1 and turn.commands[0]["name"] in ("look_at", "point_at", "approach"):
            target = turn.commands[0]["arguments"]["target"]
            assert re.search(rf"\b{target}( \w+)? {referred[1]}\b", turn.scene), turn
            checked += 1
    assert checked > 2


@pytest.mark.parametrize(
    ("news", "told"),
    [
        (News("walk", "succeeded"), "it is done"),
        (News("walk", "failed", "obstacle ahead"), "obstacle ahead"),
        (News("walk", "failed"), "I do not know why"),
    ],
)
def test_question_about_the_last_command_is_answered_from_its_report(news: News, told: str):
    assert all(told.lower() in outcome_answer(Random(seed), news).lower() for seed in range(9))


def test_last_command_is_asked_for_only_when_something_is_known_of_it(english: Phrasings, catalogue: Catalogue):
    author = Author(english.of(test=False), catalogue, "Smol", Random(1))
    asked = [
        turn
        for _ in range(600)
        for turn in author.conversation()
        if any(family.startswith("talk:outcome") for family in turn.families)
    ]
    assert asked
    assert all(not turn.commands and ("succeeded" in turn.scene or "failed" in turn.scene) for turn in asked)
