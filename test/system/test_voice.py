"""A person speaks, the robot answers aloud: sound in, commands and sound out, between real processes."""

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from smolfusion_ros.msg import Reply

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.demo.room import Room, spoken
from smolfusion_ros.errors import ModelMissingError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.nodes import _qos
from smolfusion_ros.speech.recognition import make_recogniser
from smolfusion_ros.speech.synthesis import Voice, make_voice
from system.probe import until
from system.stack import Stack, Workplace, running

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed (apt install espeak-ng)"),
]

STORY = "Tell me a long story about a dragon, a princess and a wizard."
TALE = (
    "Once upon a time there was a dragon who lived in a cave behind a waterfall and collected spoons, "
    "for he had read that every guest must have one, and he hoped that one day there would be guests."
)
ECHO_DB = -20.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    names = ("llm_backend", "dialogue", "memory", "listener", "speaker")
    with running(tmp_path_factory.mktemp("voice"), *names, voice=True, sound="topic") as started:
        yield started


@pytest.fixture(scope="module")
def person() -> Iterator[Voice]:
    voice = make_voice("espeak", words_per_minute=150)
    yield voice
    voice.close()


@pytest.fixture(scope="module")
def room(stack: Stack) -> Iterator[Room]:
    for topic in ("utterance", "hearing", "speaking", "action_command", "turn", "reply"):
        stack.probe.heard(topic)
    made = Room(stack.probe.node, echo_db=ECHO_DB)
    until(lambda: stack.probe.node.count_publishers("voice") > 0, "the robot's voice")
    time.sleep(1.0)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quiet(stack: Stack, room: Room) -> Iterator[None]:
    yield
    speaking = stack.probe.heard("speaking")
    until(lambda: not len(speaking) or not speaking.messages()[-1].active, "the robot is silent", 30.0)
    time.sleep(0.8)


def words(text: str) -> list[str]:
    return "".join(each for each in text.casefold() if each.isalnum() or each == " ").split()


def test_spoken_request_becomes_a_command_and_a_reply_that_can_be_heard(stack: Stack, room: Room, person: Voice):
    probe, pieces = stack.probe, len(room.heard)
    room.say(spoken(person, "Please wave your right hand."))
    utterance = probe.heard("utterance").wait_for().message
    assert words(utterance.text) == words("please wave your right hand")
    assert (utterance.language, utterance.confidence > 0.4) == ("en", True)
    command = probe.heard("action_command").wait_for(lambda each: each.name == "wave").message
    assert '"right"' in command.arguments_json
    turn = probe.heard("turn").wait_for(lambda each: each.id == command.turn_id).message
    ended = probe.heard("speaking").wait_for(lambda each: each.turn_id == turn.id and not each.active).message
    assert words(ended.spoken) == words(turn.said) and not ended.interrupted
    model = load_manifest(manifest_path()).resolve("whisper-tiny.en").model
    recogniser = make_recogniser("whisper", model)
    recogniser.begin()
    recogniser.feed(room.voice(pieces))
    told = recogniser.finish().text
    print(f"said {turn.said!r}, understood {told!r}")
    assert len(set(words(told)) & set(words(turn.said))) >= 0.6 * len(set(words(turn.said)))


def test_robot_does_not_answer_its_own_voice(stack: Stack, room: Room, person: Voice):
    before = len(stack.probe.heard("utterance"))
    room.say(spoken(person, STORY))
    stack.probe.heard("utterance").wait_for(since=before)
    turns = stack.probe.heard("turn")
    turn = turns.wait_for(lambda each: "story" in each.heard.casefold()).message
    stack.probe.heard("speaking").wait_for(lambda each: each.turn_id == turn.id and not each.active, 60.0)
    time.sleep(1.5)
    assert [each.text for each in stack.probe.heard("utterance").messages(before)][1:] == []


def test_voice_is_silent_when_somebody_speaks_and_what_was_said_is_answered(stack: Stack, room: Room, person: Voice):
    probe, silences_ms = stack.probe, []
    replies = probe.publisher(Reply, "reply", _qos.REPLY)
    for number in range(5):
        turn_id, begun, commands = f"tale {number}", len(probe.heard("speaking")), len(probe.heard("action_command"))
        replies.publish(Reply(turn_id=turn_id, session_id="default", clause=TALE, is_final=True))
        probe.heard("speaking").wait_for(lambda each: each.active, since=begun)
        time.sleep(2.0)
        pieces, begins_s = len(room.heard), time.time()
        room.say(spoken(person, f"Please wave your {('right', 'left')[number % 2]} hand."))
        ended = probe.heard("speaking").wait_for(lambda each: each.interrupted, since=begun).message
        assert ended.turn_id == turn_id
        assert words(TALE)[: len(words(ended.spoken))] == words(ended.spoken) != words(TALE)
        last = [at_s for at_s, _ in room.heard[pieces:] if at_s < begins_s + 1.0]
        silences_ms.append(((last[-1] if last else begins_s) + 0.02 - begins_s) * 1e3)
        probe.heard("action_command").wait_for(lambda each: each.name == "wave", since=commands)
        until(lambda: not probe.heard("speaking").messages()[-1].active, "silence", 20.0)
        time.sleep(4.5)  # waving again so soon is refused
    print(f"somebody speaks → silent: median {statistics.median(silences_ms):.0f} ms, worst {max(silences_ms):.0f} ms")
    assert statistics.median(silences_ms) < 300


def test_stop_by_voice_is_a_reflex(stack: Stack, room: Room, person: Voice):
    before, said = len(stack.probe.heard("action_command")), len(stack.probe.heard("utterance"))
    room.say(spoken(person, "Robot, stop!"))
    command = stack.probe.heard("action_command").wait_for(since=before).message
    heard = stack.probe.heard("utterance").messages(said)
    assert (command.name, command.source) == ("stop", "reflex"), [each.text for each in heard]


def test_stop_by_voice_is_a_reflex_in_korean(tmp_path_factory, person: Voice):
    place = Workplace(tmp_path_factory.mktemp("korean"))
    profile = Path(place.profile)
    content = yaml.safe_load(profile.read_text(encoding="utf-8"))
    content["speech"] |= {"engine": "vosk", "model": "vosk-small-ko", "language": "ko"}
    profile.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        load_manifest(manifest_path()).resolve("vosk-small-ko")
    except ModelMissingError as error:
        pytest.skip(str(error))
    parameters = place.directory / "own.yaml"
    parameters.write_text("/**/listener: {ros__parameters: {phrases: '멈춰, 정지, 안녕하세요'}}", encoding="utf-8")
    options = {"voice": True, "sound": "topic", "params_file": str(parameters)}
    with running(place, "llm_backend", "dialogue", "listener", **options) as korean:
        utterances, commands = korean.probe.heard("utterance"), korean.probe.heard("action_command")
        made = Room(korean.probe.node)
        until(lambda: made.is_heard, "the listener")
        time.sleep(3.0)  # the model is loaded
        made.say(spoken(person, "멈춰!", "ko"))
        utterance = utterances.wait_for().message
        assert (utterance.text, utterance.language) == ("멈춰", "ko")
        command = commands.wait_for().message
        assert (command.name, command.source) == ("stop", "reflex")
        made.close()
