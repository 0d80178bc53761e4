"""The phrasing files: what is wrong is told with file and line, and both halves have everything."""

from pathlib import Path

import pytest

from smolfusion_ros.dialogue.actions import Catalogue
from training.data.phrasings import Phrasings
from training.errors import TrainingError

FAMILIES_OF_AN_ACTION = 20


def test_every_action_is_asked_for_in_many_ways(english: Phrasings, catalogue: Catalogue) -> None:
    counts = {action.name: len(english.actions.get(action.name, ())) for action in catalogue}
    assert min(counts.values()) >= FAMILIES_OF_AN_ACTION, counts
    for name, families in english.actions.items():
        assert sum(family.bare for family in families) >= 4, name


def test_no_wording_is_in_both_halves_and_each_half_has_every_action(english: Phrasings) -> None:
    train, test = english.of(test=False), english.of(test=True)
    assert not {each.template.source for each in train.families} & {each.template.source for each in test.families}
    for half in (train, test):
        assert all(half.actions.values())
        assert half.talk and half.wrappers and half.joins and half.corrections
        assert all(any(family.bare for family in families) for families in half.actions.values())


def test_a_new_wording_moves_few_others(tmp_path: Path, catalogue: Catalogue) -> None:
    texts = [f"nod for me {number}" for number in range(40)]

    def tests(chosen: list[str]) -> set[str]:
        items = "".join(f"      - {{text: {text}}}\n" for text in chosen)
        (tmp_path / "a.yaml").write_text(f"actions:\n  nod:\n    say: [Nodding.]\n    families:\n{items}")
        return {each.template.source for each in Phrasings.load(tmp_path, catalogue).of(test=True).families}

    before, after = tests(texts), tests([*texts, "nod once more"])
    assert len(before) == 10
    assert len(before & after) >= 9


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("actions:\n  fly:\n    say: [a]\n    families:\n      - {text: fly}\n", "3: unknown action 'fly'"),
        ("actions:\n  nod:\n    say: [a]\n    families:\n      - {text: '[nod'}\n", "5: ']' is missing"),
        (
            "actions:\n  nod:\n    say: [a]\n    families:\n      - {text: 'nod {so}'}\n",
            "5: there is no slot 'so'",
        ),
        ("actions:\n  nod:\n    families:\n      - {text: nod}\n", "4: nod has nothing to say"),
        ("actions:\n  wave:\n    say: [a]\n    families:\n      - {text: wave}\n", "5: wave needs 'hand'"),
        ("actions:\n  wave:\n    say: [a]\n    families:\n      - {text: a, hand: third}\n", "5: hand: "),
        ("actions:\n  turn:\n    say: [a]\n    families:\n      - {text: 'a {direction}', angle: 5 m}\n", "5: angle: "),
        ("actions:\n  nod:\n    say: [a]\n    families:\n      - nod\n", "3: families must be a list of mappings"),
        ("talk:\n  - {text: hello}\n", "2: talk needs a `kind`"),
        ("talk:\n  - {kind: seen, ask: weather, text: hello}\n", "2: talk needs `say`"),
        ("corrections:\n  - {after: fly, text: no, change: same}\n", "2: `after` 'fly' is no action"),
        ("corrections:\n  - {after: any, text: again}\n", "2: `change` is missing"),
        ("corrections:\n  - {after: any, text: no, change: none}\n", "2: nothing is to be done"),
        ("talk: [\n", ""),
    ],
)
def test_wrong_entry_is_told_with_file_and_line(tmp_path: Path, catalogue: Catalogue, text: str, problem: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(TrainingError, match=r"wrong\.yaml:") as caught:
        Phrasings.load(tmp_path, catalogue)
    assert problem in str(caught.value)


def test_wording_that_stands_there_twice_is_an_error(tmp_path: Path, catalogue: Catalogue) -> None:
    entry = "      - {text: nod}\n"
    (tmp_path / "a.yaml").write_text(f"actions:\n  nod:\n    say: [a]\n    families:\n{entry}{entry}")
    with pytest.raises(TrainingError, match="'nod' stands there twice"):
        Phrasings.load(tmp_path, catalogue)


def test_directory_without_phrasings_is_an_error(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(TrainingError, match="no phrasings in"):
        Phrasings.load(tmp_path, catalogue)
