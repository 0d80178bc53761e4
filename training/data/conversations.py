"""Whole conversations: what was seen, said, answered and commanded, turn by turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.outcomes import News
from smolfusion_ros.dialogue.prompt import context_line
from smolfusion_ros.errors import CommandError
from smolfusion_ros.vision.scene import SceneDescription
from training.data import seen
from training.data.amounts import Amount
from training.data.phrasings import OUTCOME, Family, Phrasings
from training.data.speaker import Said, Speaker
from training.errors import TrainingError

LENGTHS, LENGTH_WEIGHTS = (1, 2, 3, 4), (40, 28, 20, 12)
# What a turn is, as long as nothing before it is referred to: as people speak, and as it is taught.
MOVES = {"request": 40, "wrapped": 14, "joined": 10, "talk": 24, "seen": 12}
LESSONS = {"request": 36, "wrapped": 14, "joined": 18, "talk": 26, "seen": 10}
CORRECTION_SHARE = 0.3
NEWS_SHARE = 0.3
OUTCOME_SHARE = 0.25
CALL_SHARE = 0.06
FAILURES = ("obstacle ahead", "out of reach", "battery low", "gripper empty", "lost balance", "timeout", "")
_PLACE = re.compile(r"\{(\w+)\}")
OTHER = {"left": "right", "right": "left", "forward": "backward", "backward": "forward"}


@dataclass(frozen=True)
class Turn:
    """One turn; ``commands`` as the model writes them, ``families`` the wordings that made it."""

    scene: str
    heard: str
    say: str
    commands: tuple[Mapping[str, Any], ...]
    families: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Asked:
    """What was said in a turn and what is right to answer."""

    heard: str
    say: str
    commands: tuple[Mapping[str, Any], ...]
    families: tuple[Family, ...]
    amount: str = ""
    says: Sequence[str] = ()  # that fit its command


class Author:
    """Writes conversations from one half of the phrasings.

    Args:
        name: of the robot.
        moves: how often a turn is what, as in ``MOVES``.
    """

    def __init__(
        self,
        phrasings: Phrasings,
        catalogue: Catalogue,
        name: str,
        random: Random,
        moves: Mapping[str, int] = MOVES,
    ) -> None:
        self._phrasings = phrasings
        self._catalogue = catalogue
        self._name = name
        self._random = random
        self._speaker = Speaker(phrasings, catalogue, name, random)
        self._bare = [family for families in phrasings.actions.values() for family in families if family.bare]
        self._talk = {about_scene: _groups(phrasings.talk, about_scene) for about_scene in (True, False)}
        self._outcome = [family for family in phrasings.talk if family.group == OUTCOME]
        there = {
            "request": True,
            "wrapped": phrasings.wrappers and self._bare,
            "joined": phrasings.joins and self._bare,
            "talk": self._talk[False],
            "seen": self._talk[True],
        }
        self._moves = {move: weight for move, weight in moves.items() if there[move]}

    def conversation(self) -> list[Turn]:
        """A conversation of one to four turns, minutes apart at most."""
        random, turns = self._random, []
        scene, clock_s = seen.some_scene(random), random.randrange(24 * 3600)
        before: _Asked | None = None
        for _ in range(random.choices(LENGTHS, LENGTH_WEIGHTS)[0]):
            news = self._news(before)
            asked = self._asked(before, scene, news)
            turns.append(
                Turn(
                    context_line(seen.line(scene, clock_s), news),
                    self._voiced(asked),
                    asked.say,
                    asked.commands,
                    tuple(family.id for family in asked.families),
                )
            )
            before, clock_s = asked, clock_s + random.randint(3, 90)
            if random.random() < 0.5:
                scene = seen.some_scene(random)
        return turns

    def _asked(self, before: _Asked | None, scene: SceneDescription, news: Sequence[News]) -> _Asked:
        random = self._random
        if news and self._outcome and random.random() < OUTCOME_SHARE:
            family = random.choice(self._outcome)
            return _Asked(self._speaker.say(family, scene).text, outcome_answer(random, news[0]), (), (family,))
        if before is not None and len(before.commands) == 1 and random.random() < CORRECTION_SHARE:
            corrected = self._corrected(before, scene)
            if corrected is not None:
                return corrected
        move = random.choices(list(self._moves), list(self._moves.values()))[0]
        if move == "joined":
            return self._joined(scene)
        if move == "wrapped":
            return self._wrapped(scene)
        if move != "request":
            return self._talked(scene, about_scene=move == "seen")
        families = random.choice(list(self._phrasings.actions.values()))
        return self._request(self._one(families, scene), scene)

    def _one(self, families: Sequence[Family], scene: SceneDescription) -> Family:
        """One that can be said in this scene: a side must tell a thing apart."""
        if not seen.referable(scene):
            families = [family for family in families if "side" not in family.template.slots]
        return self._random.choice(families)

    def _request(self, family: Family, scene: SceneDescription) -> _Asked:
        said = self._speaker.say(family, scene)
        command = self._checked(family, self._speaker.command(family.kind, family, said))
        return _Asked(said.text, self._reply(family.say, command), (command,), (family,), said.amount, family.say)

    def _wrapped(self, scene: SceneDescription) -> _Asked:
        wrapper = self._random.choice(self._phrasings.wrappers)
        inner = self._request(self._one(self._bare, scene), scene)
        said = self._speaker.say(wrapper, scene, {"request": inner.heard})
        return replace(inner, heard=said.text, families=(wrapper, *inner.families))

    def _joined(self, scene: SceneDescription) -> _Asked:
        join = self._random.choice(self._phrasings.joins)
        slots = [slot for slot in join.template.slots if slot.isdigit()]
        by_action: dict[str, list[Family]] = {}
        for family in self._bare:
            by_action.setdefault(family.kind, []).append(family)
        chosen = self._random.sample([each for each in by_action if each != "stop"], len(slots))
        parts = [self._request(self._one(by_action[action], scene), scene) for action in chosen]
        said = self._speaker.say(
            join, scene, {slot: part.heard for slot, part in zip(sorted(slots), parts, strict=True)}
        )
        several = self._phrasings.words["several"]
        say = " ".join(part.say for part in parts) if len(parts) == 2 else self._random.choice(several)
        commands = tuple(command for part in parts for command in part.commands)
        return _Asked(said.text, say, commands, (join, *(family for part in parts for family in part.families)))

    def _talked(self, scene: SceneDescription, *, about_scene: bool) -> _Asked:
        family = self._random.choice(self._random.choice(self._talk[about_scene]))
        said = self._speaker.say(family, scene)
        say = self._random.choice(family.say) if family.say else self._truth(family, said, scene)
        return _Asked(said.text, say, (), (family,))

    def _truth(self, family: Family, said: Said, scene: SceneDescription) -> str:
        return seen.answer(self._random, family.ask, scene, said.thing, said.noun, said.side)

    def _corrected(self, before: _Asked, scene: SceneDescription) -> _Asked | None:
        [command] = before.commands
        action = command["name"]
        fitting = [each for each in self._phrasings.corrections if each.after in (action, "any")]
        self._random.shuffle(fitting)
        for family in fitting:
            slots = family.template.slots
            if ("said" in slots and not before.amount) or ("side" in slots and not seen.referable(scene)):
                continue
            said = self._speaker.say(family, scene, {"said": before.amount})
            changed = self._changed(action, dict(command["arguments"]), family, said)
            if changed is None:
                continue
            commands = (self._checked(family, {"name": action, "arguments": changed}),) if changed != "none" else ()
            again = before.says if changed == command["arguments"] else ()
            says = family.say or again or self._phrasings.says[action]
            say = self._reply(says, commands[0]) if commands else self._random.choice(family.say)
            return _Asked(said.text, say, commands, (family,), said.amount, says)
        return None

    def _changed(self, action: str, arguments: dict[str, Any], family: Family, said: Said) -> Any:
        """The arguments after a correction; ``none`` where nothing is to be done, None where it makes no sense."""
        if "none" in family.change.values():
            return "none"
        if "same" in family.change.values():
            return arguments
        kinds = {argument.spoken_name: argument.kind for argument in self._catalogue[action].arguments}
        for name, change in family.change.items():
            if name not in kinds:
                return None
            if change == "other":
                if arguments.get(name) not in OTHER:
                    return None
                arguments[name] = OTHER[arguments[name]]
            elif change == "slot":
                given = self._speaker.command(action, replace(family, fixed={}), said)["arguments"]
                if name not in given or given[name] == arguments.get(name):
                    return None
                arguments[name] = given[name]
            else:
                arguments[name] = Amount.read(change).as_written() if kinds[name] == "quantity" else change
        return arguments

    def _reply(self, says: Sequence[str], command: Mapping[str, Any]) -> str:
        words = {name: self._speaker.spoken(name, value) for name, value in command["arguments"].items()}
        words = {name: word for name, word in words.items() if word}
        fitting = [say for say in says if set(_PLACE.findall(say)) <= set(words)]
        if not fitting:
            raise TrainingError(f"{command} has no answer among {says}: they name other arguments")
        return _PLACE.sub(lambda place: words[place[1]], self._random.choice(fitting))

    def _checked(self, family: Family, command: dict[str, Any]) -> dict[str, Any]:
        try:
            self._catalogue.command(command)
        except CommandError as error:
            raise TrainingError(f"{family.id} {family.template.source!r} commands {command}: {error}") from error
        return command

    def _news(self, before: _Asked | None) -> tuple[News, ...]:
        """What the driver told of the last turn's commands, now and then."""
        if before is None or not before.commands or self._random.random() > NEWS_SHARE:
            return ()
        name = before.commands[0]["name"]
        if self._random.random() < 0.6:
            return (News(name, "succeeded"),)
        return (News(name, "failed", self._random.choice(FAILURES)),)

    def _voiced(self, asked: _Asked) -> str:
        """As a speech recogniser writes it, or as somebody types it."""
        random, text = self._random, asked.heard
        calls = self._phrasings.words.get("calls")
        if calls and random.random() < CALL_SHARE:
            text = f"{random.choice(calls)} {self._name.lower()}, {text}"
        if random.random() < 0.45:
            return text
        question = _is_question(text)
        ending = "?" if question else random.choice((".", ".", "!", ""))
        text = text.replace(f" {self._name.lower()}", f" {self._name}").replace(" i ", " I ").replace(" i'", " I'")
        return text[0].upper() + text[1:] + ending


_QUESTION_WORDS = frozenset(
    (
        *("can", "could", "would", "will", "does", "did", "is", "are", "am", "was", "were", "has"),
        *("may", "might", "what", "where", "who", "how", "why", "when", "which"),
    )
)
# Before one of these they ask, otherwise they tell: "do you dance", "do a dance".
_ASK_BEFORE = {"do": ("you", "i", "we", "they", "any", "people"), "have": ("you", "i", "we", "they")}


def _is_question(text: str) -> bool:
    first, second = (*text.split(), "")[:2]
    return first in _QUESTION_WORDS or second in _ASK_BEFORE.get(first, ())


def outcome_answer(random: Random, news: News) -> str:
    """What the robot says when it is asked whether it has done what it was told to."""
    if news.state == "succeeded":
        return random.choice(("That went well, it is done.", "It is done, all went well."))
    if not news.detail:
        return "It did not work, and I do not know why."
    return random.choice((f"It did not work: {news.detail}.", f"That failed: {news.detail}."))


def _groups(families: Sequence[Family], about_scene: bool) -> list[list[Family]]:
    """Talk by its kind, so that each kind comes equally often; not that which needs a command before it."""
    groups: dict[str, list[Family]] = {}
    for family in families:
        if bool(family.ask) is about_scene and family.group != OUTCOME:
            groups.setdefault(family.group, []).append(family)
    return list(groups.values())
