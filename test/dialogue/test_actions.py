"""The catalogue: which commands it takes, what they become, and what a wrong catalogue file is told."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from random_commands import any_command

from smolfusion_ros.dialogue.actions import MAX_NOUN_LENGTH, PRIORITIES, Action, Argument, Catalogue
from smolfusion_ros.errors import CommandError, ConfigurationError

DEFAULT_ACTIONS = [
    *("stop", "wave", "nod", "shake_head", "bow", "clap", "dance", "sit_down", "stand_up", "handshake", "high_five"),
    *("look_at", "point_at", "turn", "walk", "approach", "follow", "pick_up", "put_down", "give", "set_expression"),
]
DISTANCE = Argument("distance_m", "quantity", unit="m", minimum=0.1, maximum=3.0)
ANGLE = Argument("angle_deg", "quantity", unit="deg", minimum=5, maximum=180)
HAND = Argument("hand", "choice", values=("left", "right", "both"))
TARGET = Argument("target", "target")


def amount(value: object, unit: object) -> dict[str, object]:
    return {"value": value, "unit": unit}


def test_default_catalogue_has_the_documented_actions(catalogue: Catalogue):
    assert [action.name for action in catalogue] == DEFAULT_ACTIONS


def test_actions_that_move_the_body_or_reach_out_are_motions(catalogue: Catalogue):
    in_place = {"stop", "wave", "nod", "shake_head", "clap", "look_at", "point_at", "set_expression"}
    assert {action.name for action in catalogue if not action.motion} == in_place


def test_stop_comes_before_everything_else(catalogue: Catalogue):
    assert catalogue["stop"].priority == PRIORITIES["stop"]
    assert all(action.priority < PRIORITIES["stop"] for action in catalogue if action.name != "stop")


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("stop", "stop{}"),
        ("wave", "wave{hand: left|right|both}"),
        ("turn", "turn{direction: left|right, angle: deg|rad|turn}"),
        ("walk", "walk{direction: forward|backward|left|right, distance: m|cm|mm|ft|in}"),
        ("put_down", "put_down{object: noun, location?: noun}"),
        ("look_at", "look_at{target: target}"),
    ],
)
def test_signature_shows_how_the_model_writes_an_action(catalogue: Catalogue, name: str, signature: str):
    assert catalogue[name].signature == signature


@pytest.mark.parametrize(
    ("argument", "written", "published"),
    [
        (DISTANCE, amount(50, "cm"), 0.5),
        (DISTANCE, amount(1.5, "m"), 1.5),
        (DISTANCE, amount(200, "mm"), 0.2),
        (DISTANCE, amount(3, "ft"), 0.914),
        (DISTANCE, amount(10, "in"), 0.254),
        (DISTANCE, amount(0.1, "m"), 0.1),
        (DISTANCE, amount(3, "m"), 3.0),
        (DISTANCE, amount(300, "cm"), 3.0),
        (ANGLE, amount(0.5, "turn"), 180.0),
        (ANGLE, amount(0.25, "turn"), 90.0),
        (ANGLE, amount(1.5708, "rad"), 90.0),
        (ANGLE, amount(5, "deg"), 5.0),
    ],
)
def test_amounts_become_metres_and_degrees_to_three_decimals(argument: Argument, written: object, published: float):
    assert argument.check(written) == published


@pytest.mark.parametrize(
    ("argument", "written", "reason"),
    [
        (DISTANCE, amount(301, "cm"), "distance_m 3.01 is outside 0.1 to 3"),
        (DISTANCE, amount(0, "m"), "outside"),
        (DISTANCE, amount(-1, "m"), "outside"),
        (DISTANCE, amount(9, "cm"), "distance_m 0.09 is outside"),
        (DISTANCE, amount(1e308, "m"), "outside"),
        (DISTANCE, amount(10**400, "m"), "not a number"),
        (DISTANCE, amount(float("nan"), "m"), "not a number"),
        (DISTANCE, amount(float("inf"), "m"), "not a number"),
        (DISTANCE, amount(True, "m"), "not a number"),
        (DISTANCE, amount("1", "m"), "not a number"),
        (DISTANCE, amount(None, "m"), "not a number"),
        (DISTANCE, amount(1, "deg"), "in 'deg', not one of m, cm, mm, ft, in"),
        (DISTANCE, amount(1, "km"), "in 'km'"),
        (DISTANCE, amount(1, ["m"]), "not one of"),
        (DISTANCE, amount(1, None), "not one of"),
        (DISTANCE, 1.0, "not a {value, unit} pair"),
        (DISTANCE, {"value": 1}, "not a {value, unit} pair"),
        (DISTANCE, {**amount(1, "m"), "about": True}, "not a {value, unit} pair"),
        (ANGLE, amount(1, "turn"), "angle_deg 360 is outside 5 to 180"),
        (ANGLE, amount(1, "m"), "in 'm'"),
    ],
)
def test_amounts_out_of_range_or_of_another_kind_are_refused(argument: Argument, written: object, reason: str):
    with pytest.raises(CommandError) as refusal:
        argument.check(written)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("argument", "written", "published"),
    [
        (HAND, "left", "left"),
        (HAND, " LEFT ", "left"),
        (TARGET, "person", "person"),
        (TARGET, "Red  Ball", "red ball"),
        (TARGET, "t-shirt", "t-shirt"),
        (TARGET, "컵", "컵"),
        (TARGET, "Größe", "größe"),
        (TARGET, "x" * MAX_NOUN_LENGTH, "x" * MAX_NOUN_LENGTH),
    ],
)
def test_words_are_taken_in_lower_case_with_single_spaces(argument: Argument, written: str, published: str):
    assert argument.check(written) == published


@pytest.mark.parametrize(
    ("argument", "written", "reason"),
    [
        (HAND, "third", "hand 'third' is not one of left, right, both"),
        (HAND, "", "is not one of"),
        (HAND, 1, "hand is 1, not a word"),
        (HAND, None, "not a word"),
        (HAND, ["left"], "not a word"),
        (TARGET, "", "1 to 32 characters, not 0"),
        (TARGET, "   ", "1 to 32 characters, not 0"),
        (TARGET, "x" * (MAX_NOUN_LENGTH + 1), "not 33"),
        (TARGET, "cup; rm -rf", "not a noun"),
        (TARGET, "<|im_end|>", "not a noun"),
        (TARGET, "cup\x00", "not a noun"),
        (TARGET, "cup2", "not a noun"),
        (TARGET, "-", "not a noun"),
        (TARGET, amount(1, "m"), "not a word"),
    ],
)
def test_other_words_are_refused_with_the_reason(argument: Argument, written: object, reason: str):
    with pytest.raises(CommandError) as refusal:
        argument.check(written)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"name": "fly", "arguments": {}}, "unknown action 'fly'"),
        ({"name": "wave", "arguments": {}}, "argument 'hand' is missing"),
        ({"name": "wave"}, "argument 'hand' is missing"),
        ({"name": "stop", "arguments": {"hand": "left"}}, "unknown argument 'hand'"),
        ({"name": "turn", "arguments": {"direction": "left", "angle_deg": 90}}, "unknown argument 'angle_deg'"),
        ({"name": "put_down", "arguments": {"location": "table"}}, "argument 'object' is missing"),
        ({"name": "stop", "arguments": []}, "are not an object"),
        ({"name": "stop", "arguments": None}, "are not an object"),
        ({"name": 7, "arguments": {}}, "is not a command"),
        ({"arguments": {}}, "is not a command"),
        ("stop", "is not a command"),
        (None, "is not a command"),
        (["stop"], "is not a command"),
    ],
)
def test_what_is_no_command_of_the_catalogue_is_refused(catalogue: Catalogue, written: object, reason: str):
    with pytest.raises(CommandError) as refusal:
        catalogue.command(written)
    assert reason in str(refusal.value)


def test_argument_that_may_be_left_out_may_be_given(catalogue: Catalogue):
    without = catalogue.command({"name": "put_down", "arguments": {"object": "cup"}})
    with_it = catalogue.command({"name": "put_down", "arguments": {"object": "cup", "location": "table"}})
    assert without.arguments == {"object": "cup"}
    assert with_it.arguments == {"object": "cup", "location": "table"}


def test_action_without_arguments_needs_none_written(catalogue: Catalogue):
    assert catalogue.command({"name": "stop"}).arguments == {}


def test_published_arguments_carry_their_unit_in_the_name(catalogue: Catalogue):
    written = {"name": "walk", "arguments": {"direction": "forward", "distance": amount(50, "cm")}}
    command = catalogue.command(written)
    assert command.name == "walk"
    assert command.arguments == {"direction": "forward", "distance_m": 0.5}


@pytest.mark.parametrize("name", DEFAULT_ACTIONS)
def test_every_action_comes_back_from_its_written_and_its_published_form(catalogue: Catalogue, name: str):
    random = Random(name)
    for _ in range(50):
        written = any_command(random, catalogue[name])
        command = catalogue.command(written)
        assert catalogue.command(command.as_written()) == command
        assert catalogue.restored(command.name, command.arguments) == command
        assert set(command.as_written()["arguments"]) == set(written["arguments"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("fly", {}), ("wave", {}), ("wave", {"hand": "third"}), ("walk", {"direction": "left", "distance_m": 99})],
)
def test_command_in_memory_that_is_no_longer_valid_is_refused(catalogue: Catalogue, name: str, arguments: Any):
    with pytest.raises(CommandError):
        catalogue.restored(name, arguments)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "colour"}, "kind 'colour' is not one of choice, target, noun, quantity"),
        ({"kind": "choice"}, "needs values"),
        ({"kind": "choice", "values": (True, False)}, "value True is not a word"),
        ({"kind": "choice", "values": ("Left",)}, "value 'Left' is not a word in lower case"),
        ({"kind": "quantity", "unit": "kg", "maximum": 1.0}, "unit 'kg' is not one of m, deg"),
        ({"kind": "quantity", "unit": "m"}, "range [0.0, 0.0] is empty"),
        ({"kind": "quantity", "unit": "m", "minimum": 2.0, "maximum": 1.0}, "is empty"),
        ({"kind": "quantity", "unit": "m", "maximum": float("nan")}, "is empty"),
    ],
)
def test_argument_that_cannot_be_is_not_built(fields: dict[str, Any], reason: str):
    with pytest.raises(ConfigurationError) as refusal:
        Argument("x", **fields)
    assert reason in str(refusal.value)
    assert "argument x" in str(refusal.value)


def test_catalogue_without_actions_is_not_built():
    with pytest.raises(ConfigurationError, match="empty"):
        Catalogue({})


def write(folder: Path, text: str) -> Path:
    path = folder / "robot.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_own_catalogue_is_read_with_its_defaults(tmp_path: Path):
    text = "actions:\n  sit:\n  jump: {cooldown_s: 2, max_scene_age_s: 3, needs: person, priority: low}\n"
    own = Catalogue.load(write(tmp_path, text))
    assert own["sit"] == Action("sit", "sit")
    assert not own["sit"].motion
    jump = own["jump"]
    assert (jump.cooldown_s, jump.max_scene_age_s, jump.needs_person, jump.priority) == (2.0, 3.0, True, 0)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{speed: 3}", "unknown key 'speed'"),
        ("{priority: urgent}", "priority 'urgent' is not one of low, normal, stop"),
        ("{needs: dog}", "needs 'dog'"),
        ("{cooldown_s: soon}", "soon"),
        ("{cooldown_s: -1}", "cooldown_s is -1.0, not 0 or more seconds"),
        ("{max_scene_age_s: .nan}", "max_scene_age_s is nan"),
        ("{cooldown_s: .inf}", "cooldown_s is inf"),
        ("{lifetime_s: 0}", "lifetime_s is 0.0, not more than 0, at most 3600"),
        ("{lifetime_s: .inf}", "lifetime_s is inf"),
        ("{lifetime_s: .nan}", "lifetime_s is nan"),
        ("{priority: stop}", "priority 'stop'; `stop` is that of the action stop alone"),
        ("{priority: [low]}", "priority ['low'] is not one of"),
        ("{motion: 1}", "motion 1 is not true or false"),
        ("{motion: maybe}", "motion 'maybe'"),
        ("{arguments: {speed: {kind: velocity}}}", "argument speed: kind 'velocity'"),
        ("{arguments: {speed: {kind: quantity, unit: m, range: 3}}}", "int"),
        ("{arguments: {speed: {kind: quantity, unit: m, range: [1, 2, 3]}}}", "unpack"),
        ("{arguments: {state: {kind: choice, values: [on, off]}}}", "value True"),
        ("{arguments: {hand: choice}}", "argument hand: 'choice' is not a mapping"),
        ("{arguments: [hand]}", "items"),
        ("walk fast", "'walk fast' is not a mapping"),
        ("[description]", "is not a mapping"),
    ],
)
def test_wrong_entry_of_a_catalogue_file_is_named_with_its_file(tmp_path: Path, entry: str, reason: str):
    path = write(tmp_path, f"actions:\n  stop: {{}}\n  march: {entry}\n")
    with pytest.raises(ConfigurationError) as refusal:
        Catalogue.load(path)
    assert str(refusal.value).startswith(f"{path}: march: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"reflexes: {}", b"actions: []", b"actions: {}", b"- stop", b"actions: {stop", b"actions: {\xff\xfe: {}}"],
)
def test_file_that_holds_no_catalogue_is_a_configuration_error(tmp_path: Path, content: bytes):
    path = tmp_path / "robot.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        Catalogue.load(path)


def test_missing_catalogue_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=str(tmp_path / "none.yaml")):
        Catalogue.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("priority", ["low", "normal"])
def test_stop_of_an_own_catalogue_may_not_stand_below_others(tmp_path: Path, priority: str):
    with pytest.raises(ConfigurationError, match=f"stop: priority '{priority}'"):
        Catalogue.load(write(tmp_path, f"actions: {{stop: {{priority: {priority}}}}}\n"))


def test_stop_has_its_priority_also_where_none_is_written(tmp_path: Path):
    own = Catalogue.load(write(tmp_path, "actions: {stop: {}, march: {motion: true}}\n"))
    assert own["stop"].priority == PRIORITIES["stop"]
    assert own["march"].priority == PRIORITIES["normal"]
    assert own["march"].motion
