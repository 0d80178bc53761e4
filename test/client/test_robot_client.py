"""The client against a robot made of plain ROS nodes: what nobody serves, late answers, stops, commands."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from counterpart import DOMAIN_ID, WAIT_S, Counterpart, until
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from smolfusion_ros.action import Converse
from smolfusion_ros.msg import ActionStatus, Person, Scene, SceneObject
from smolfusion_ros.srv import Chat

from smolfusion_ros import client
from smolfusion_ros.client import Robot, RobotError, RobotRefusedError, RobotTimeoutError, RobotUnavailableError
from smolfusion_ros.errors import SmolFusionError


@pytest.fixture(scope="module")
def namespace() -> str:
    return f"/client{threading.get_native_id()}"


@pytest.fixture
def counterpart(namespace: str) -> Iterator[Counterpart]:
    made = Counterpart(namespace)
    yield made
    made.close()


@pytest.fixture
def robot(counterpart: Counterpart, namespace: str) -> Iterator[Robot]:
    with Robot(namespace, domain_id=DOMAIN_ID, timeout_s=WAIT_S) as made:
        made.wait_until_ready()
        until(lambda: counterpart.commands.get_subscription_count() > 0)
        yield made


def test_what_nobody_serves_is_told_with_what_is_there() -> None:
    with Robot("/nobody", domain_id=DOMAIN_ID, timeout_s=0.3) as alone:
        for ask in (lambda: alone.chat("hello"), lambda: alone.converse("hello"), lambda: alone.analyze()):
            with pytest.raises(RobotUnavailableError, match=rf"nobody serves.*/nobody.*ROS_DOMAIN_ID \({DOMAIN_ID}\)"):
                ask()
        with pytest.raises(RobotUnavailableError, match="nobody confirms the emergency stop"):
            alone.stop(timeout_s=0.3)
        until(lambda: alone.stopped)  # its own press is heard all the same


def test_a_stack_in_another_namespace_is_pointed_out(counterpart: Counterpart, namespace: str) -> None:
    elsewhere = pytest.raises(RobotUnavailableError, match=f"a stack runs in .*{namespace}")
    with Robot("/elsewhere", domain_id=DOMAIN_ID, timeout_s=2.0) as lost, elsewhere:
        lost.chat("hello")


def test_a_whole_answer_comes_as_plain_values(counterpart: Counterpart, robot: Robot) -> None:
    counterpart.answer.commands = [counterpart.command("c1", "turn", arguments_json='{"angle_deg": 45.0}')]
    counterpart.answer.rejected = ["walk: too far"]
    answer = robot.chat("turn left", "mine")
    assert (counterpart.chats[0].text, counterpart.chats[0].session_id) == ("turn left", "mine")
    assert (answer.said, answer.rejected, answer.interrupted, answer.error) == ("hello", ("walk: too far",), False, "")
    [command] = answer.commands
    assert (command.name, dict(command.arguments), command.bearing_rad) == ("turn", {"angle_deg": 45.0}, None)
    assert 5.0 < command.expires_s - time.monotonic() <= 10.0


def test_refusal_is_an_error_with_the_robots_words_and_an_answer_without_a_model_is_none(
    counterpart: Counterpart, robot: Robot
) -> None:
    counterpart.answer = Chat.Response(success=False, message="the utterance is empty")
    with pytest.raises(RobotRefusedError, match="the utterance is empty"):
        robot.chat("")
    counterpart.answer = Chat.Response(success=False, message="no model", reply="I cannot think.", turn_id="t")
    assert (robot.chat("hi").said, robot.chat("hi").error) == ("I cannot think.", "no model")
    counterpart.answer = Chat.Response(success=False, message="interrupted", reply="I wa", turn_id="t")
    assert (robot.chat("hi").interrupted, robot.chat("hi").error) == (True, "")


def test_no_wait_is_longer_than_its_limit(counterpart: Counterpart, robot: Robot) -> None:
    counterpart.answers.clear()
    begun_s = time.monotonic()
    with pytest.raises(RobotTimeoutError, match="dialogue did not answer chat within"):
        robot.chat("hello", timeout_s=0.2)
    assert time.monotonic() - begun_s < 0.6
    counterpart.answers.set()
    assert robot.chat("hello").said == "hello"


def test_closing_ends_every_wait(counterpart: Counterpart, robot: Robot) -> None:
    counterpart.answers.clear()
    threading.Timer(0.2, robot.close).start()
    with pytest.raises(RobotUnavailableError, match="closed"):
        robot.chat("hello")
    with pytest.raises(RobotUnavailableError, match="closed"):
        robot.chat("hello")


def test_pieces_come_while_the_answer_is_written(counterpart: Counterpart, robot: Robot) -> None:
    def write(goal: Any) -> Converse.Result:
        said = ""
        for word in ("Once ", "upon ", "a time."):
            said += word
            goal.publish_feedback(Converse.Feedback(partial=said, delta=word))
            time.sleep(0.05)
        goal.succeed()
        command = counterpart.command("c2", session_id="")
        return Converse.Result(success=True, reply=said, turn_id="t2", commands=[command])

    counterpart.goal = write
    pieces: list[str] = []
    commands: list[str] = []
    conversation = robot.converse(
        "a story", on_delta=pieces.append, on_command=lambda command: commands.append(command.id)
    )
    assert list(conversation) == ["Once ", "upon ", "a time."]
    assert conversation.answer().said == conversation.text == "Once upon a time."
    until(lambda: (pieces, commands) == (["Once ", "upon ", "a time."], ["c2"]), f"{pieces} {commands}")


def test_commands_of_a_named_session_come_before_the_answer_is_complete_and_once(
    counterpart: Counterpart, robot: Robot
) -> None:
    complete = threading.Event()
    command = counterpart.command("early", session_id="mine")

    def write(goal: Any) -> Converse.Result:
        counterpart.commands.publish(counterpart.command("others", session_id="another"))
        counterpart.commands.publish(command)
        complete.wait(5.0)
        goal.succeed()
        return Converse.Result(success=True, reply="ok", turn_id="t3", commands=[command])

    counterpart.goal = write
    told: list[tuple[str, bool]] = []
    conversation = robot.converse(
        "nod", "mine", on_command=lambda command: told.append((command.id, conversation.done))
    )
    until(lambda: told)
    complete.set()
    assert [each.id for each in conversation.answer().commands] == ["early"]
    time.sleep(0.1)
    assert told == [("early", False)]


def test_an_utterance_that_is_refused_raises_where_it_is_waited_for(counterpart: Counterpart, robot: Robot) -> None:
    def refuse(goal: Any) -> Converse.Result:
        goal.abort()
        return Converse.Result(message="more than 8 turns wait")

    counterpart.goal = refuse
    with pytest.raises(RobotRefusedError, match="more than 8 turns wait"):
        list(robot.converse("hello"))


def test_a_picture_is_sent_byte_for_byte(counterpart: Counterpart, robot: Robot, tmp_path: Path) -> None:
    picture = tmp_path / "cup.jpg"
    picture.write_bytes(b"\xff\xd8 a cup")
    analysis = robot.analyze("what is it?", picture)
    assert (analysis.answer, analysis.latency_s) == ("a cup", 0.25)
    assert robot.analyze(image=b"\x89PNG").answer == "a cup"
    assert [bytes(each.image.data) for each in counterpart.analyses] == [b"\xff\xd8 a cup", b"\x89PNG"]
    with pytest.raises(RobotError, match="cannot be read"):
        robot.analyze("what is it?", tmp_path / "none.jpg")


def test_commands_are_told_once_and_never_late(counterpart: Counterpart, robot: Robot) -> None:
    told: list[str] = []
    robot.on_command(lambda command: told.append(command.id))
    late = counterpart.command("late", lifetime_s=1.0)
    late.header.stamp.sec -= 5
    for each in (late, counterpart.command("a"), counterpart.command("a"), counterpart.command("b")):
        counterpart.commands.publish(each)
    counterpart.commands.publish(counterpart.command("nonsense", arguments_json="{"))
    counterpart.commands.publish(counterpart.command("last"))
    until(lambda: "last" in told)
    assert told == ["a", "b", "last"]


def test_a_callback_may_ask_the_robot_and_one_that_fails_silences_nothing(
    counterpart: Counterpart, robot: Robot
) -> None:
    said: list[str] = []
    robot.on_command(lambda command: 1 / 0)
    robot.on_command(lambda command: said.append(robot.chat("what now?").said))
    counterpart.commands.publish(counterpart.command("x"))
    counterpart.commands.publish(counterpart.command("y"))
    until(lambda: said == ["hello", "hello"])


def test_scenes_are_told_and_the_newest_is_kept(counterpart: Counterpart, robot: Robot) -> None:
    scene = Scene(compact="person left; cup right", summary="A person.", source="vlm")
    scene.header.stamp.sec = 7
    scene.persons = [Person(position="left", gesture="waving", bearing_rad=0.3, engaged=True)]
    scene.objects = [SceneObject(label="cup", position="right")]
    counterpart.scenes.publish(scene)
    until(lambda: robot.scene is not None)
    told: list[client.Scene] = []
    robot.on_scene(told.append)
    until(lambda: told)
    [seen] = told
    assert (seen.line, seen.stamp_s, seen.persons[0].gesture) == ("person left; cup right", 7.0, "waving")
    assert seen.persons[0].bearing_rad == pytest.approx(0.3)
    assert seen.things == (client.Thing("cup", "", "right"),)


def test_reports_carry_the_state_and_an_unknown_one_is_refused(counterpart: Counterpart, robot: Robot) -> None:
    until(lambda: counterpart.node.count_publishers(f"{counterpart.node.get_namespace()}/action_status") > 0)
    robot.report("c9", "failed", "obstacle ahead")
    until(lambda: counterpart.statuses)
    status = counterpart.statuses[0]
    assert (status.command_id, status.state, status.detail) == ("c9", ActionStatus.FAILED, "obstacle ahead")
    with pytest.raises(SmolFusionError, match="'done' is not one of accepted"):
        robot.report("c9", "done")


def test_stop_waits_until_it_is_confirmed_and_reset_until_it_is_released(
    counterpart: Counterpart, robot: Robot
) -> None:
    told: list[bool] = []
    robot.on_stop(told.append)
    with pytest.raises(RobotRefusedError, match="is not engaged"):
        robot.reset_stop()
    robot.stop()
    assert robot.stopped
    assert counterpart.presses
    late: list[bool] = []
    robot.on_stop(late.append)
    assert late == [True]
    robot.reset_stop()
    until(lambda: told == [True, False], f"{told}")
    assert not robot.stopped


def test_a_node_of_ones_own_is_used_and_left_as_it_is(counterpart: Counterpart, namespace: str) -> None:
    mine = Node("mine", namespace=namespace, context=counterpart.context)
    counterpart.executor.add_node(mine)
    for _ in range(5):  # beside a thread that spins it all the time
        with Robot(node=mine, timeout_s=WAIT_S) as robot:
            assert robot.node is mine
            assert robot.chat("hello").said == "hello"
    counterpart.executor.remove_node(mine)
    mine.destroy_node()


def test_a_node_that_nobody_spins_is_told(counterpart: Counterpart, namespace: str) -> None:
    mine = Node("mine", namespace=namespace, context=counterpart.context)
    with Robot(node=mine, timeout_s=WAIT_S) as unspun, pytest.raises(RobotError, match="nobody spins the node"):
        unspun.chat("hello")
    waiting = SingleThreadedExecutor(context=counterpart.context)
    waiting.add_node(mine)
    with pytest.raises(RobotError, match="nobody spins the node"):
        Robot(node=mine)
    waiting.shutdown()
    mine.destroy_node()


def test_the_thread_that_hears_the_robot_is_not_made_to_wait_for_it(counterpart: Counterpart, robot: Robot) -> None:
    errors: list[Exception] = []

    def ask(_engaged: bool) -> None:
        try:
            robot.chat("hello")
        except RobotError as error:
            errors.append(error)

    robot.on_stop(ask)
    robot.stop()
    until(lambda: errors)
    assert "cannot wait" in str(errors[0])
