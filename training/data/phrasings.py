"""The phrasing files of one language: families of wordings, each in the training data or in the test data."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.errors import CommandError
from training.data.amounts import Amount
from training.data.templates import Template
from training.documents import LINE, read
from training.errors import TrainingError

# Of every kind of family so large a part is for the test.
TEST_SHARE = 0.25
WORDS_FILE = "words.yaml"

# Which argument of an action a slot gives, in the order in which they are looked for.
ARGUMENT_OF = {
    "hand": ("hand",),
    "direction": ("direction",),
    "way": ("direction",),
    "distance": ("distance",),
    "angle": ("angle",),
    "object": ("object", "target"),
    "thing": ("object", "target"),
    "side": ("target",),
    "looking": ("target",),
    "target": ("target",),
    "place": ("location",),
    "someone": ("recipient",),
    "emotion": ("emotion",),
}
# Slots that stand for no argument.
PLAIN_SLOTS = {"name", "said", "request", "1", "2", "3"}
# Kinds of talk that the generator answers: from what is seen, and from what became of a command.
SEEN, OUTCOME = "seen", "outcome"
ASKS = (
    "person_there",
    "person_where",
    "person_shirt",
    "person_mood",
    "person_waving",
    "how_many_people",
    "objects",
    "object_where",
    "object_there",
    "object_colour",
    "object_side",
    "everything",
)


@dataclass(frozen=True)
class Family:
    """One wording with all its variants.

    Attributes:
        kind: the action; or ``talk``, ``wrapper``, ``join``, ``correction``, ``follow_up``.
        group: families are split within it: the action, the kind of talk, ….
        say: what the robot may answer.
        fixed: arguments that the wording implies, as the model writes them.
        after: the action that a correction or follow-up refers to, or ``any``.
        change: what becomes of that action's arguments: ``other``, ``slot``, ``same``, ``none``.
        ask: what of the scene is asked for.
        is_test: belongs to the test data alone.
    """

    kind: str
    group: str
    template: Template
    style: str = ""
    say: tuple[str, ...] = ()
    bare: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    after: str = ""
    change: Mapping[str, str] = field(default_factory=dict)
    ask: str = ""
    is_test: bool = False

    @property
    def id(self) -> str:
        digest = hashlib.sha256(self.template.source.encode()).hexdigest()[:8]
        return f"{self.kind}:{self.group}:{digest}"


@dataclass(frozen=True)
class Phrasings:
    """All families of a language, the words for its slots, and what may be answered to an action in any wording."""

    language: str
    words: Mapping[str, Any]
    says: Mapping[str, tuple[str, ...]]
    actions: Mapping[str, tuple[Family, ...]]
    talk: tuple[Family, ...]
    wrappers: tuple[Family, ...] = ()
    joins: tuple[Family, ...] = ()
    corrections: tuple[Family, ...] = ()

    @property
    def families(self) -> Iterator[Family]:
        for families in self.actions.values():
            yield from families
        yield from (*self.talk, *self.wrappers, *self.joins, *self.corrections)

    def of(self, *, test: bool) -> Phrasings:
        """The half for training, or the one for the test."""

        def half(families: Iterable[Family]) -> tuple[Family, ...]:
            return tuple(each for each in families if each.is_test is test)

        return replace(
            self,
            actions={name: half(families) for name, families in self.actions.items()},
            talk=half(self.talk),
            wrappers=half(self.wrappers),
            joins=half(self.joins),
            corrections=half(self.corrections),
        )

    @classmethod
    def load(cls, directory: Path, catalogue: Catalogue) -> Phrasings:
        """Read a language's directory.

        Raises:
            TrainingError: a file cannot be read, or an entry is wrong; names file and line.
        """
        words: Mapping[str, Any] = {}
        says: dict[str, tuple[str, ...]] = {}
        families: list[Family] = []
        files = sorted(directory.glob("*.yaml"))
        if not files:
            raise TrainingError(f"no phrasings in {directory}")
        for path in files:
            document = read(path)
            if path.name == WORDS_FILE:
                words = _without_lines(document)
            else:
                families += _families(path, document, catalogue)
                actions = _without_lines(document.get("actions") or {})
                says |= {name: tuple(entry.get("say", ())) for name, entry in actions.items()}
        seen: dict[str, Family] = {}
        for each in families:
            if each.id in seen:
                raise TrainingError(f"{directory}: {each.template.source!r} stands there twice for {each.group}")
            seen[each.id] = each
        families = _split(families)
        kinds: dict[str, list[Family]] = defaultdict(list)
        for each in families:
            kinds[each.kind].append(each)
        return cls(
            language=directory.name,
            words=words,
            says=says,
            actions={action.name: tuple(kinds[action.name]) for action in catalogue if kinds[action.name]},
            talk=tuple(kinds["talk"]),
            wrappers=tuple(kinds["wrapper"]),
            joins=tuple(kinds["join"]),
            corrections=tuple(kinds["correction"]),
        )


def _split(families: list[Family]) -> list[Family]:
    """Within each group by the hash of the wording, so that a new family moves hardly any other."""
    groups: dict[str, list[Family]] = defaultdict(list)
    for each in families:
        groups[f"{each.kind}:{each.group}:{each.bare}"].append(each)
    split = []
    for members in groups.values():
        members.sort(key=lambda each: each.id.rsplit(":", 1)[1])
        tests = round(len(members) * TEST_SHARE)
        split += [replace(each, is_test=index < tests) for index, each in enumerate(members)]
    return split


def _families(path: Path, document: Mapping[str, Any], catalogue: Catalogue) -> Iterator[Family]:
    for action, entry in (document.get("actions") or {}).items():
        if action == LINE:
            continue
        for item in _items(path, entry, "families"):
            yield _request(path, catalogue, action, entry, item)
    for item in _items(path, document, "talk", missing=()):
        yield _talk(path, item)
    for key, kind in (("wrappers", "wrapper"), ("joins", "join")):
        for item in _items(path, document, key, missing=()):
            group = f"{kind} of {len(_template(path, item).slots)}"
            yield Family(kind, group, _template(path, item), style=item.get("style", ""))
    for key in ("corrections", "follow_ups"):
        for item in _items(path, document, key, missing=()):
            yield _correction(path, catalogue, item)


def _items(path: Path, entry: Mapping[str, Any], key: str, missing: object = None) -> list[Mapping[str, Any]]:
    items = entry.get(key, missing)
    if items == ():
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) and "text" in item for item in items):
        raise TrainingError.at(path, entry.get(LINE, 1), f"{key} must be a list of mappings with a `text`")
    return items


def _template(path: Path, item: Mapping[str, Any]) -> Template:
    try:
        template = Template.parse(str(item["text"]))
    except ValueError as error:
        raise TrainingError.at(path, item[LINE], error) from error
    unknown = set(template.slots) - set(ARGUMENT_OF) - PLAIN_SLOTS
    if unknown:
        raise TrainingError.at(path, item[LINE], f"there is no slot {sorted(unknown)[0]!r}")
    return template


def _request(path: Path, catalogue: Catalogue, name: str, entry: Mapping[str, Any], item: Mapping[str, Any]) -> Family:
    try:
        action = catalogue[name]
    except CommandError as error:
        raise TrainingError.at(path, entry[LINE], error) from error
    template = _template(path, item)
    arguments = {argument.spoken_name: argument for argument in action.arguments}
    known = {"text", "style", "bare", "say", LINE}
    fixed = _fixed(path, item, {key: value for key, value in item.items() if key not in known}, arguments)
    filled = {each for slot in template.slots for each in ARGUMENT_OF.get(slot, ()) if each in arguments}
    twice = filled & set(fixed)
    if twice:
        raise TrainingError.at(path, item[LINE], f"{name}: {min(twice)!r} comes from a slot and is fixed as well")
    given = filled | set(fixed)
    lacking = [key for key, argument in arguments.items() if key not in given and not argument.optional]
    if lacking:
        raise TrainingError.at(path, item[LINE], f"{name} needs {lacking[0]!r}: no slot and no fixed value gives it")
    say = item.get("say") or entry.get("say")
    if not say:
        raise TrainingError.at(path, item[LINE], f"{name} has nothing to say")
    return Family(name, name, template, item.get("style", ""), tuple(say), bool(item.get("bare")), fixed)


def _fixed(
    path: Path, item: Mapping[str, Any], given: Mapping[str, Any], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    for key, value in given.items():
        name = "direction" if key == "way" else key
        if name not in arguments:
            raise TrainingError.at(path, item[LINE], f"there is no argument {key!r}")
        argument = arguments[name]
        try:
            fixed[name] = Amount.read(str(value)).as_written() if argument.kind == "quantity" else str(value)
            argument.check(fixed[name])
        except (CommandError, ValueError) as error:
            raise TrainingError.at(path, item[LINE], f"{key}: {error}") from error
    return fixed


def _talk(path: Path, item: Mapping[str, Any]) -> Family:
    kind, ask = item.get("kind"), item.get("ask", "")
    if not kind:
        raise TrainingError.at(path, item[LINE], "talk needs a `kind`")
    answered = kind in (SEEN, OUTCOME)  # by the generator
    if (kind == SEEN) != (ask in ASKS) or answered == bool(item.get("say")):
        problem = f"talk needs `say`; of the kind `{SEEN}` an `ask` that is known, of the kind `{OUTCOME}` neither"
        raise TrainingError.at(path, item[LINE], problem)
    return Family("talk", f"{kind} {ask}".strip(), _template(path, item), say=tuple(item.get("say", ())), ask=ask)


def _correction(path: Path, catalogue: Catalogue, item: Mapping[str, Any]) -> Family:
    after, change = item.get("after"), item.get("change")
    if after != "any" and after not in {action.name for action in catalogue}:
        raise TrainingError.at(path, item[LINE], f"`after` {after!r} is no action")
    if isinstance(change, str):
        change = {"*": change}
    if not isinstance(change, dict) or not change:
        raise TrainingError.at(path, item[LINE], "`change` is missing")
    changes = {key: str(value) for key, value in change.items() if key != LINE}
    template, say = _template(path, item), tuple(item.get("say", ()))
    if "none" in changes.values() and not say:
        raise TrainingError.at(path, item[LINE], "nothing is to be done, so it needs `say`")
    return Family("correction", str(after), template, say=say, after=str(after), change=changes)


def _without_lines(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_lines(each) for key, each in value.items() if key != LINE}
    return value
