"""A question about what is seen waits for a fresh look, but not for ever, and nothing else does."""

import asyncio
from time import monotonic

import pytest
from dialogue_bench import Bench, run

from smolfusion_ros.dialogue.grammar import ANSWER_OPENING
from smolfusion_ros.dialogue.looking import Looks
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.policy import Situation
from smolfusion_ros.dialogue.turn import SceneContext

QUESTION = "who do you see?"
OLD = SceneContext("10:00:00 nobody", Situation(scene_age_s=20.0))
NEW = SceneContext("10:00:20 person left", Situation(person_seen=True, scene_age_s=0.2))


def bench(**limits: float) -> Bench:
    made = Bench(**limits)
    made.engine._looks = Looks(["do you see"])
    made.scene = OLD
    return made


def test_answer_is_about_the_scene_that_came_meanwhile() -> None:
    async def scenario() -> None:
        robot = bench(fresh_scene_deadline_s=5.0)
        turn = robot.start("one", QUESTION)
        await asyncio.sleep(0.05)
        assert not robot.model.requests
        robot.scene = NEW
        robot.engine.on_scene()
        record = await turn
        assert record.scene == NEW.line
        assert record.stages_s["look"] < 1.0

    run(scenario())


def test_a_scene_that_is_no_newer_is_not_enough() -> None:
    async def scenario() -> None:
        robot = bench(fresh_scene_deadline_s=0.2)
        begun_s = monotonic()
        turn = robot.start("one", QUESTION)
        for _ in range(3):
            await asyncio.sleep(0.02)
            robot.engine.on_scene()
        assert (await turn).scene == OLD.line
        assert monotonic() - begun_s >= 0.2

    run(scenario())


def test_age_of_a_scene_that_is_not_up_to_date_is_said_behind_the_answer() -> None:
    async def scenario() -> None:
        robot = bench(fresh_scene_deadline_s=0.05)
        for said in ("I see nobody.", "I do."):
            robot.model.answers(robot.layout.answer_text(said, []).removeprefix(ANSWER_OPENING))
        assert (await robot.turn(QUESTION)).said == "I see nobody. I saw that 20 seconds ago."
        robot.scene = NEW
        assert (await robot.turn(QUESTION)).said == "I do."

    run(scenario())


@pytest.mark.parametrize(
    ("heard", "scene"),
    [("wave please", OLD), (QUESTION, NEW), (QUESTION, SceneContext("", Situation()))],
    ids=["no question", "fresh already", "no camera"],
)
def test_nothing_is_waited_for_without_need(heard: str, scene: SceneContext) -> None:
    async def scenario() -> None:
        robot = bench(fresh_scene_deadline_s=30.0)
        robot.scene = scene
        await asyncio.wait_for(robot.turn(heard), 2.0)

    run(scenario())


def test_other_sessions_do_not_wait_for_a_look() -> None:
    async def scenario() -> None:
        robot = bench(fresh_scene_deadline_s=5.0)
        looking = robot.start("one", QUESTION, "anna")
        await asyncio.sleep(0.02)
        await asyncio.wait_for(robot.turn("hello", "ben"), 2.0)
        robot.engine.interrupt()
        assert (await looking).interrupted

    run(scenario())


@pytest.mark.parametrize(
    "heard",
    ["What do you see?", "can you see me", "Who is there?", "what colour is my shirt", "where's the cup?", "누구야?"],
)
def test_questions_about_the_scene_are_known(persona: Persona, heard: str) -> None:
    assert Looks(persona.looks).asked_for(heard)


@pytest.mark.parametrize("heard", ["wave your hand", "how are you", "look at the cup", "turn left", "tell me a joke"])
def test_other_utterances_ask_for_no_look(persona: Persona, heard: str) -> None:
    assert not Looks(persona.looks).asked_for(heard)
