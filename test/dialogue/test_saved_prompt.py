"""The constant part of the prompt is given to a server that starts anew as the one before it had evaluated it."""

from dataclasses import replace

from dialogue_bench import Bench, run
from scripted_model import ScriptedModel

from smolfusion_ros.errors import BackendError


def test_server_is_given_what_was_saved_once() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.engine.warm_up()
        await bench.turn()
        await bench.turn()
        [name] = bench.model.restored
        assert name.endswith(".slot")
        bench.model.servers += 1
        await bench.turn()
        assert bench.model.restored == [name, name]

    run(scenario())


def test_what_had_to_be_evaluated_is_saved_under_the_same_name() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.engine.warm_up()
        assert bench.model.saved == bench.model.restored

    run(scenario())


def test_another_model_has_another_name() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.engine.warm_up()
        bench.model.served = replace(bench.model.served, model_id="model-b")
        bench.model.servers += 1
        await bench.engine.warm_up()
        assert len(set(bench.model.restored)) == 2

    run(scenario())


def test_server_that_takes_nothing_evaluates_it() -> None:
    class Refusing(ScriptedModel):
        async def restore(self, name: str) -> None:
            raise BackendError("HTTP 501: not supported")

        save = restore

    async def scenario() -> None:
        bench = Bench(Refusing())
        await bench.engine.warm_up()
        assert (await bench.turn()).said == "Yes."

    run(scenario())
