"""A remote engine's API key: sent with every request, and told to nobody else."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer, Stream

from smolfusion_ros.errors import BackendError, BackendRefusedError, BackendUnavailableError
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.llama.guard import State
from smolfusion_ros.secret import Secret

KEY = Secret("sk-0123456789abcdef", "llm_key_file /etc/key")
WRONG = Secret("sk-wrong", "VLM_API_KEY")
NONE = Secret("", "llm_key_file or LLM_API_KEY")
CHAT, COMPLETION = "/v1/chat/completions", "/completion"
HELLO = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
SEEN = {"choices": [{"message": {"content": "a cup"}}], "usage": {"prompt_tokens": 9}}


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def chat(client: LlamaClient) -> str:
    return "".join([chunk.text async for chunk in client.chat([{"role": "user", "content": "a"}], max_tokens=4)])


async def complete(client: LlamaClient) -> str:
    return "".join([chunk.text async for chunk in client.complete((1, 2), grammar="", max_tokens=4)])


async def look(client: LlamaClient) -> str:
    return (await client.ask_about_image(b"\xff\xd8", "what?")).text


def test_every_request_bears_the_key() -> None:
    async def scenario() -> None:
        replies = {"/tokenize": Reply({"tokens": [1]}), COMPLETION: Stream({"content": "hi", "stop": True})}
        async with ScriptedServer.native(replies) as native, ScriptedServer.vllm({CHAT: Stream(HELLO)}) as foreign:
            native.key = foreign.key = KEY.value
            client, other = LlamaClient(native.url, key=KEY), LlamaClient(foreign.url, key=KEY)
            assert (await client.capabilities()).native
            assert await client.tokenize("a", special=False) == (1,)
            assert await complete(client) == "hi"
            assert await chat(other) == "hi"
            foreign.replies[CHAT] = Reply(SEEN)
            assert await look(other) == "a cup"
            await client.probe()
            asked = native.asked + foreign.asked
            assert {each.headers["authorization"] for each in asked} == {f"Bearer {KEY.value}"}
            for each in (client, other):
                await each.close()

    run(scenario())


def test_without_a_key_no_request_bears_one() -> None:
    async def scenario() -> None:
        async with ScriptedServer.vllm({CHAT: Stream(HELLO)}) as server:
            client = LlamaClient(server.url, key=NONE)
            assert await chat(client) == "hi"
            assert not [each for each in server.asked if "authorization" in each.headers]

    run(scenario())


@pytest.mark.parametrize("use", [chat, look])
@pytest.mark.parametrize("kind", [ScriptedServer.native, ScriptedServer.vllm])
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (WRONG, "the key of VLM_API_KEY is refused: HTTP 401"),
        (NONE, r"a key is wanted \(llm_key_file or LLM_API_KEY\): HTTP 401"),
        (None, "a key is wanted: HTTP 401"),
    ],
)
def test_refusal_names_the_place_of_the_key_and_not_the_key(
    use: Any, kind: Any, key: Secret | None, reason: str
) -> None:
    async def scenario() -> None:
        async with kind() as server:
            server.key = KEY.value
            client = LlamaClient(server.url, key=key)
            with pytest.raises(BackendRefusedError, match=f"^{server.url}: {reason}") as refused:
                await use(client)
            assert not isinstance(refused.value, BackendUnavailableError)
            assert WRONG.value not in str(refused.value)

    run(scenario())


@pytest.mark.parametrize("use", [chat, complete, look])
def test_key_that_is_taken_back_while_the_engine_runs_is_told(use: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer.native() as server:
            client = LlamaClient(server.url, key=KEY)
            await client.capabilities()
            server.replies |= {path: Reply({"error": "not this model"}, 403) for path in (CHAT, COMPLETION)}
            with pytest.raises(
                BackendRefusedError, match=r"the key of llm_key_file /etc/key is refused: HTTP 403.*not"
            ):
                await use(client)

    run(scenario())


def test_engine_that_refuses_is_spared_until_it_takes_the_key() -> None:
    async def scenario() -> None:
        async with ScriptedServer.vllm({CHAT: Stream(HELLO)}) as server:
            server.key = KEY.value
            client = LlamaClient(server.url, key=WRONG)
            client.guard._first_rest_s = client.guard._rest_s = 0.1
            for _ in range(3):
                await client.probe()
                with pytest.raises(BackendRefusedError):
                    await chat(client)
            assert client.guard.state is State.STRUGGLING
            assert client.guard.reason.startswith("the key of VLM_API_KEY is refused: HTTP 401")
            assert WRONG.value not in client.guard.reason
            asked = len(server.asked)
            with pytest.raises(BackendUnavailableError, match="the key of VLM_API_KEY is refused"):
                await chat(client)
            assert len(server.asked) == asked, "it was asked again at once"
            server.key = WRONG.value
            await asyncio.sleep(0.15)
            assert await chat(client) == "hi"
            assert client.guard.state is State.UP

    run(scenario())


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": f"unexpected header Bearer {KEY.value}"}, 400),
        Reply({"error": "x" * 170 + KEY.value}, 400),
        Reply(f"oops: {KEY.value}".encode(), 500),
        Reply({"said": KEY.value}),
        Reply({"choices": [{"message": KEY.value}]}),
        Reply({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": KEY.value}}),
        Stream({"error": {"message": f"for {KEY.value}"}}),
        Stream({"choices": [{"delta": {"content": [KEY.value]}}]}),
        Stream({"choices": [{"delta": KEY.value}]}),
    ],
)
def test_engine_that_repeats_the_key_does_not_spread_it(reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with ScriptedServer.vllm({CHAT: reply}) as server:
            client = LlamaClient(server.url, key=KEY)
            with pytest.raises(BackendError) as failure:
                await (chat(client) if isinstance(reply, Stream) else look(client))
            assert KEY.value[:10] not in str(failure.value)
            assert KEY.value[:10] not in client.guard.reason

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert "httpcore" in {record.name.split(".")[0] for record in caplog.records}
    assert KEY.value not in caplog.text


def test_key_does_not_follow_a_redirection() -> None:
    async def scenario() -> None:
        async with ScriptedServer.vllm({CHAT: Stream(HELLO)}) as elsewhere, ScriptedServer.vllm() as server:
            server.replies[CHAT] = Reply({}, 307)
            client = LlamaClient(server.url, key=KEY)
            with pytest.raises(BackendError, match="HTTP 307"):
                await chat(client)
            assert elsewhere.asked == []

    run(scenario())
