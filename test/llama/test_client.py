"""The client against servers that present themselves in every way, and fail in every way."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from scripted_server import BREAK_OFF, PROPS, Reply, ScriptedServer, Stream

from smolfusion_ros.errors import BackendError, BackendUnavailableError
from smolfusion_ros.llama import slots
from smolfusion_ros.llama.answers import Capabilities, Chunk, Timings, VisionAnswer
from smolfusion_ros.llama.client import REMEMBERED_PIECES, LlamaClient
from smolfusion_ros.llama.guard import State

COMPLETION, CHAT = "/completion", "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"say": {"type": "string"}}}
MESSAGES = [{"role": "user", "content": "hello"}]
TIMINGS = {"cache_n": 7, "prompt_n": 5, "prompt_ms": 12.5, "predicted_n": 3, "predicted_ms": 30.0}
LOADING = Reply({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, 503)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def client_of(server: ScriptedServer, timeout_s: float = 5.0) -> LlamaClient:
    return LlamaClient(server.url, timeout_s=timeout_s)


def complete(client: LlamaClient, **options: Any) -> AsyncIterator[Chunk]:
    return client.complete((1, 2, 3), grammar="root ::= [a-z]+", max_tokens=16, **options)


def chat(client: LlamaClient, schema: dict[str, Any] | None = None) -> AsyncIterator[Chunk]:
    return client.chat(MESSAGES, schema=schema, max_tokens=16)


def chat_event(text: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("server", "capabilities"),
    [
        (ScriptedServer.native, Capabilities(True, model_id="/models/a.gguf", context_tokens=2048)),
        (ScriptedServer.llama_cpp_python, Capabilities(False, schema_beside_type=True, model_id="tiny")),
        (ScriptedServer.vllm, Capabilities(False, model_id="Qwen/Qwen3-1.7B")),
    ],
)
def test_server_is_known_by_how_it_presents_itself(server: Any, capabilities: Capabilities):
    async def scenario() -> None:
        async with server() as started:
            client = client_of(started)
            assert await client.capabilities() == capabilities
            asked = len(started.asked)
            assert await client.capabilities() == capabilities
            assert len(started.asked) == asked
            await client.probe()
            assert client.guard.state is State.UP
            await client.close()

    run(scenario())


def test_server_that_tells_little_is_taken_for_a_foreign_one():
    async def scenario() -> None:
        async with ScriptedServer({"/v1/models": Reply({"data": []})}) as server:
            assert await client_of(server).capabilities() == Capabilities(False)

    run(scenario())


def test_native_server_that_tells_no_context_has_none_known():
    async def scenario() -> None:
        async with ScriptedServer({"/props": Reply({"model_path": "/b.gguf"})}) as server:
            assert await client_of(server).capabilities() == Capabilities(True, model_id="/b.gguf")

    run(scenario())


@pytest.mark.parametrize(
    ("replies", "state"),
    [
        ({"/health": Reply({"status": "ok"})}, State.UP),
        ({"/health": LOADING}, State.LOADING),
        ({"/health": Reply(b"", 500)}, State.DOWN),
        ({"/v1/models": Reply({"data": []})}, State.UP),
        ({"/health": Reply({"status": "ok"}, after_s=5)}, State.UNKNOWN),
    ],
)
def test_probe_tells_how_a_server_is(replies: dict[str, Reply], state: State):
    async def scenario() -> None:
        async with ScriptedServer(replies) as server:
            client = client_of(server)
            await client.probe()
            assert client.guard.state is state

    run(scenario())


def test_hung_server_is_away_after_two_probes_and_found_when_it_answers_again():
    async def scenario() -> None:
        async with ScriptedServer.native({"/health": Reply({"status": "ok"}, after_s=5)}) as server:
            client = client_of(server)
            begun = monotonic()
            await client.probe()
            await client.probe()
            assert client.guard.state is State.DOWN
            assert monotonic() - begun < 2.5
            with pytest.raises(BackendUnavailableError, match=r"away for 0 s: no answer within 0\.8 s"):
                await client.capabilities()
            assert len(server.bodies("/props")) == 0
            server.replies["/health"] = Reply({"status": "ok"})
            await client.probe()
            assert (await client.capabilities()).native

    run(scenario())


def test_another_model_in_the_place_of_the_old_one_is_noticed():
    async def scenario() -> None:
        async with ScriptedServer.native() as server:
            client = client_of(server)
            assert (await client.capabilities()).model_id == "/models/a.gguf"
            server.replies["/health"] = LOADING
            await client.probe()
            server.replies |= {"/health": Reply({"status": "ok"}), "/props": Reply({**PROPS, "model_path": "/b.gguf"})}
            await client.probe()
            assert (await client.capabilities()).model_id == "/b.gguf"

    run(scenario())


def test_failing_server_is_spared_after_three_failures():
    async def scenario() -> None:
        async with ScriptedServer.native({"/tokenize": Reply({"error": "out of memory"}, 500)}) as server:
            client = client_of(server)
            for _ in range(3):
                with pytest.raises(BackendUnavailableError, match="HTTP 500"):
                    await client.tokenize("a", special=False)
            with pytest.raises(BackendUnavailableError, match="failed 3 times in a row"):
                await client.tokenize("a", special=False)
            assert len(server.bodies("/tokenize")) == 3

    run(scenario())


def test_server_that_tokenizes_but_does_not_answer_is_spared_too():
    async def scenario() -> None:
        replies = {"/tokenize": Reply({"tokens": [1]}), COMPLETION: Reply({"error": "out of memory"}, 500)}
        async with ScriptedServer.native(replies) as server:
            client = client_of(server)
            for _ in range(3):
                assert (await client.capabilities()).native
                assert await client.tokenize("a", special=False) == (1,)
                with pytest.raises(BackendUnavailableError, match="HTTP 500"):
                    await anext(complete(client))
            with pytest.raises(BackendUnavailableError, match="failed 3 times in a row"):
                await anext(complete(client))
            assert len(server.bodies(COMPLETION)) == 3

    run(scenario())


@pytest.mark.parametrize("event", [7, [], {"content": 7}, {"content": None}, {"content": "a", "tokens": "no"}])
def test_event_that_is_no_piece_of_an_answer_is_an_error_with_the_address(event: object):
    async def scenario() -> None:
        async with ScriptedServer.native({COMPLETION: Stream(event)}) as server:
            client = client_of(server)
            with pytest.raises(BackendError, match=f"{server.url}: no piece of an answer: "):
                await anext(complete(client))

    run(scenario())


RESTORE, SAVE = "/slots/0?action=restore", "/slots/0?action=save"


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of saved prompts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return slots.made_directory("a model")


def test_evaluated_prompt_is_saved_and_restored(saved: Path):
    async def scenario() -> None:
        async with ScriptedServer.native({RESTORE: Reply({}), SAVE: Reply({})}) as server:
            client = client_of(server)
            await client.restore("a.slot")
            assert server.bodies(RESTORE) == []
            (saved / "a.slot.new").touch()  # by the server
            await client.save("a.slot")
            await client.restore("a.slot")
            assert server.bodies(SAVE) == [{"filename": "a.slot.new"}]
            assert server.bodies(RESTORE) == [{"filename": "a.taken"}]

    run(scenario())
    assert [path.name for path in saved.glob("a.*")] == ["a.slot"]


def test_saved_prompt_that_a_server_refuses_is_not_offered_again(saved: Path):
    async def scenario() -> None:
        async with ScriptedServer.native({RESTORE: Reply({"error": "invalid slot save file"}, 400)}) as server:
            client = client_of(server)
            (saved / "a.slot").touch()
            with pytest.raises(BackendError, match="invalid slot save file"):
                await client.restore("a.slot")
            await client.restore("a.slot")
            assert len(server.bodies(RESTORE)) == 1

    run(scenario())


def test_server_that_saves_no_prompts_is_not_failing(saved: Path):
    async def scenario() -> None:
        async with ScriptedServer.native({SAVE: Reply({"error": "not supported"}, 501)}) as server:
            client = client_of(server)
            for _ in range(4):
                with pytest.raises(BackendError, match="not supported"):
                    await client.save("a.slot")

    run(scenario())


def test_answer_about_a_picture_has_a_deadline():
    async def scenario() -> None:
        async with ScriptedServer.native({CHAT: Reply({}, after_s=5)}) as server:
            with pytest.raises(BackendUnavailableError, match=r"no answer within 0\.2 s"):
                await client_of(server).ask_about_image(b"\xff\xd8", "what?", deadline_s=0.2)

    run(scenario())


def test_server_that_is_loading_is_unavailable_and_probed_again():
    async def scenario() -> None:
        async with ScriptedServer({"/props": LOADING}) as server:
            client = client_of(server)
            with pytest.raises(BackendUnavailableError, match="loading"):
                await client.capabilities()
            server.replies["/props"] = Reply(PROPS)
            assert (await client.capabilities()).native

    run(scenario())


def test_nobody_listening_is_unavailable_with_the_address():
    async def scenario() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        client = LlamaClient(url)
        await client.probe()
        assert client.guard.state is State.DOWN
        for use in (client.capabilities(), client.tokenize("a", special=False), anext(complete(client))):
            with pytest.raises(BackendUnavailableError, match=url):
                await use
        await client.close()

    run(scenario())


@pytest.mark.parametrize(
    ("props", "failure"),
    [
        (Reply(b"<html>welcome</html>"), "not JSON"),
        (Reply({"error": "no key"}, 401), "a key is wanted: HTTP 401"),
        (Reply({"error": "not from here"}, 403), "HTTP 404"),
        (Reply(["a", "list"]), "not what such a server answers"),
        (Reply({"default_generation_settings": None}), "not what such a server answers"),
        (Reply({"default_generation_settings": {"n_ctx": None}}), "not what such a server answers"),
        (Reply({"default_generation_settings": {"n_ctx": "many"}}), "not what such a server answers"),
    ],
)
def test_server_of_another_kind_is_an_error(props: Reply, failure: str):
    async def scenario() -> None:
        async with ScriptedServer({"/props": props}) as server:
            with pytest.raises(BackendError, match=failure):
                await client_of(server).capabilities()

    run(scenario())


def test_completion_comes_piece_by_piece_with_its_tokens_and_timings():
    async def scenario() -> None:
        events = [
            {"content": "Hel", "tokens": [11], "stop": False},
            {"content": "lo", "tokens": [12, 13], "stop": False},
            {"content": "", "tokens": [], "stop": True, "timings": TIMINGS},
        ]
        async with ScriptedServer.native({COMPLETION: Stream(*events)}) as server:
            client = client_of(server)
            assert [chunk async for chunk in complete(client, temperature=0.5, slot=2)] == [
                Chunk("Hel", (11,)),
                Chunk("lo", (12, 13)),
                Chunk("", (), True, Timings(7, 5, 3, 12.5, 30.0)),
            ]
            (body,) = server.bodies(COMPLETION)
            assert body["prompt"] == [1, 2, 3]
            assert body["grammar"] == "root ::= [a-z]+"
            assert (body["n_predict"], body["temperature"], body["id_slot"]) == (16, 0.5, 2)
            assert body["cache_prompt"] and body["return_tokens"] and body["stream"]

    run(scenario())


def test_pieces_are_handed_on_while_the_server_still_writes():
    async def scenario() -> None:
        gate = asyncio.Event()
        events = [{"content": "a", "tokens": [1]}, gate, {"content": "b", "tokens": [2], "stop": True}]
        async with ScriptedServer.native({COMPLETION: Stream(*events)}) as server:
            stream = complete(client_of(server))
            assert (await anext(stream)).text == "a"
            gate.set()
            assert [chunk.is_final async for chunk in stream] == [True]

    run(scenario())


def test_chat_comes_piece_by_piece():
    async def scenario() -> None:
        events = [
            {"choices": [{"delta": {"role": "assistant", "content": None}, "finish_reason": None}]},
            chat_event("Hel"),
            chat_event("lo"),
            chat_event(None, "stop"),
            {"choices": [], "usage": {"prompt_tokens": 9}},
            "data: [DONE]\n\n",
        ]
        async with ScriptedServer.vllm({CHAT: Stream(*events)}) as server:
            chunks = [chunk async for chunk in chat(client_of(server))]
            assert "".join(chunk.text for chunk in chunks) == "Hello"
            assert [chunk.is_final for chunk in chunks] == [False, False, False, True, False]

    run(scenario())


@pytest.mark.parametrize(
    ("server", "response_format"),
    [
        (ScriptedServer.llama_cpp_python, {"type": "json_object", "schema": SCHEMA}),
        (
            ScriptedServer.vllm,
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
        ),
        (
            ScriptedServer.native,
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
        ),
    ],
)
def test_schema_is_given_in_the_form_that_the_server_understands(server: Any, response_format: dict[str, Any]):
    async def scenario() -> None:
        async with server({CHAT: Stream(chat_event("{}", "stop"))}) as started:
            client = LlamaClient(started.url, model="mine")
            assert [chunk.text async for chunk in chat(client, SCHEMA)] == ["{}"]
            assert [chunk.text async for chunk in chat(client)] == ["{}"]
            bound, free = started.bodies(CHAT)
            assert bound["response_format"] == response_format
            assert "response_format" not in free
            for body in (bound, free):
                assert (body["model"], body["messages"], body["max_tokens"]) == ("mine", MESSAGES, 16)
                assert body["stream"] is True and body["temperature"] == 0.0
                assert body["chat_template_kwargs"] == {"enable_thinking": False}
                assert body.get("repeat_penalty") == (1.0 if server == ScriptedServer.llama_cpp_python else None)

    run(scenario())


def test_letters_that_break_lines_elsewhere_do_not_break_an_event():
    async def scenario() -> None:
        text = "a\u2028b\u2029c\x85d 🙂 컵"
        async with ScriptedServer.native({COMPLETION: Stream({"content": text, "stop": True})}) as server:
            assert [chunk.text async for chunk in complete(client_of(server))] == [text]

    run(scenario())


def test_event_may_come_in_any_pieces():
    async def scenario() -> None:
        event = f"data: {json.dumps({'content': 'hello', 'stop': True})}\r\n\r\n"
        steps: list[object] = [": still alive\n\n"]
        for char in event:
            steps += [char]
        async with ScriptedServer.native({COMPLETION: Stream(*steps)}) as server:
            assert [chunk.text async for chunk in complete(client_of(server))] == ["hello"]

    run(scenario())


@pytest.mark.parametrize("ask", [complete, chat])
def test_error_in_the_stream_is_a_backend_error_with_its_words(ask: Any):
    async def scenario() -> None:
        error = {"error": {"code": 400, "message": "the request exceeds the context size"}}
        async with ScriptedServer.native({COMPLETION: Stream(error), CHAT: Stream(error)}) as server:
            with pytest.raises(BackendError, match="exceeds the context size") as failure:
                await anext(ask(client_of(server)))
            assert not isinstance(failure.value, BackendUnavailableError)

    run(scenario())


@pytest.mark.parametrize("ask", [complete, chat])
@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (LOADING, BackendUnavailableError, "loading"),
        (Reply({"error": "bad grammar"}, 400), BackendError, "HTTP 400.*bad grammar"),
        (Reply(b"\xff" * 5000, 500), BackendError, "HTTP 500"),
    ],
)
def test_refused_generation_is_an_error_with_the_reason(ask: Any, reply: Reply, kind: type[Exception], words: str):
    async def scenario() -> None:
        async with ScriptedServer.native({COMPLETION: reply, CHAT: reply}) as server:
            with pytest.raises(kind, match=words) as failure:
                await anext(ask(client_of(server)))
            assert len(str(failure.value)) < 400

    run(scenario())


def test_server_that_dies_in_an_answer_is_unavailable_after_what_it_wrote():
    async def scenario() -> None:
        stream = Stream({"content": "Hel", "tokens": [1]}, BREAK_OFF)
        async with ScriptedServer.native({COMPLETION: stream}) as server:
            chunks = []
            with pytest.raises(BackendUnavailableError, match=server.url):
                async for chunk in complete(client_of(server)):
                    chunks.append(chunk.text)
            assert chunks == ["Hel"]

    run(scenario())


def test_server_that_falls_silent_is_unavailable_after_the_timeout():
    async def scenario() -> None:
        stream = Stream({"content": "Hel", "tokens": [1]}, asyncio.Event())
        async with ScriptedServer.native({COMPLETION: stream}) as server:
            answer = complete(client_of(server, timeout_s=0.2))
            assert (await anext(answer)).text == "Hel"
            with pytest.raises(BackendUnavailableError, match="ReadTimeout"):
                await anext(answer)

    run(scenario())


@pytest.mark.parametrize("line", ['data: {"content": "a"\n\n', "data: nonsense\n\n"])
def test_json_that_is_cut_off_is_a_backend_error(line: str):
    async def scenario() -> None:
        async with ScriptedServer.native({COMPLETION: Stream({"content": "a"}, line)}) as server:
            answer = complete(client_of(server))
            assert (await anext(answer)).text == "a"
            with pytest.raises(BackendError, match="not JSON"):
                await anext(answer)

    run(scenario())


def test_stream_that_just_ends_ends_without_a_last_piece():
    async def scenario() -> None:
        async with ScriptedServer.native({COMPLETION: Stream({"content": "Hel"})}) as server:
            assert [chunk.is_final async for chunk in complete(client_of(server))] == [False]

    run(scenario())


@pytest.mark.parametrize("ask", [complete, chat])
def test_closing_the_iterator_hangs_up(ask: Any):
    async def scenario() -> None:
        first = {"content": "a", **chat_event("a")}
        stream = Stream(first, asyncio.Event())
        async with ScriptedServer.native({COMPLETION: stream, CHAT: stream}) as server:
            answer = ask(client_of(server))
            assert (await anext(answer)).text == "a"
            assert not server.hung_up.is_set()
            await answer.aclose()
            await asyncio.wait_for(server.hung_up.wait(), 2)

    run(scenario())


def test_cancelling_the_reader_hangs_up():
    async def scenario() -> None:
        stream = Stream({"content": "a"}, asyncio.Event())
        async with ScriptedServer.native({COMPLETION: stream}) as server:
            client = client_of(server)

            async def read() -> None:
                async for _ in complete(client):
                    reading.set()

            reading = asyncio.Event()
            reader = asyncio.create_task(read())
            await reading.wait()
            reader.cancel()
            await asyncio.wait_for(server.hung_up.wait(), 2)

    run(scenario())


def test_the_last_pieces_are_tokenised_once_each_as_words_and_as_control_tokens():
    async def scenario() -> None:
        async with ScriptedServer.native({"/tokenize": Reply({"tokens": [5, 6]})}) as server:
            client = client_of(server)
            for _ in range(2):
                assert await client.tokenize("<|im_end|>", special=True) == (5, 6)
                assert await client.tokenize("<|im_end|>", special=False) == (5, 6)
            specials = [body["parse_special"] for body in server.bodies("/tokenize")]
            assert specials == [True, False]
            assert server.bodies("/tokenize")[0] == {
                "content": "<|im_end|>",
                "add_special": False,
                "parse_special": True,
            }

    run(scenario())


def test_no_more_pieces_are_remembered_than_those_used_last():
    async def scenario() -> None:
        async with ScriptedServer.native({"/tokenize": Reply({"tokens": [5]})}) as server:
            client = client_of(server)
            for number in range(REMEMBERED_PIECES):
                await client.tokenize(str(number), special=False)
            await client.tokenize("0", special=False)
            await client.tokenize("new", special=False)  # in the place of "1"
            await client.tokenize("0", special=False)
            await client.tokenize("1", special=False)
            asked = [body["content"] for body in server.bodies("/tokenize")]
            assert asked[REMEMBERED_PIECES:] == ["new", "1"]

    run(scenario())


@pytest.mark.parametrize("fault", ["dies", "reloads"])
def test_server_that_went_away_is_probed_and_asked_for_tokens_anew(fault: str):
    async def scenario() -> None:
        async with ScriptedServer.native({"/tokenize": Reply({"tokens": [5]})}) as server:
            client = client_of(server)
            assert (await client.capabilities()).model_id == "/models/a.gguf"
            await client.tokenize("<s>", special=True)
            server.replies[COMPLETION] = LOADING if fault == "reloads" else Stream(BREAK_OFF)
            with pytest.raises(BackendUnavailableError):
                await anext(complete(client))
            server.replies["/props"] = Reply({**PROPS, "model_path": "/models/b.gguf"})
            server.replies["/tokenize"] = Reply({"tokens": [9]})
            assert (await client.capabilities()).model_id == "/models/b.gguf"
            assert await client.tokenize("<s>", special=True) == (9,)

    run(scenario())


@pytest.mark.parametrize("answer", [{}, [], {"tokens": None}, {"tokens": [None]}, {"tokens": ["a"]}, 5])
def test_answer_without_tokens_is_a_backend_error(answer: object):
    async def scenario() -> None:
        async with ScriptedServer.native({"/tokenize": Reply(answer)}) as server:
            with pytest.raises(BackendError, match="gave no tokens"):
                await client_of(server).tokenize("a", special=True)

    run(scenario())


@pytest.mark.parametrize(
    ("image", "kind"), [(b"\xff\xd8\xff\xe0 picture \x00\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n picture", "png")]
)
def test_picture_goes_first_and_byte_for_byte(image: bytes, kind: str):
    async def scenario() -> None:
        answer = {"choices": [{"message": {"content": " A red ball. \n"}}], "usage": {"prompt_tokens": 145}}
        async with ScriptedServer.llama_cpp_python({CHAT: Reply(answer)}) as server:
            client = client_of(server)
            seen = await client.ask_about_image(image, "Describe the scene.", schema=SCHEMA, max_tokens=64)
            assert seen == VisionAnswer("A red ball.", 145)
            (body,) = server.bodies(CHAT)
            (message,) = body["messages"]
            assert message["role"] == "user"
            picture, question = message["content"]
            assert question == {"type": "text", "text": "Describe the scene."}
            prefix, data = picture["image_url"]["url"].split(",")
            assert (picture["type"], prefix) == ("image_url", f"data:image/{kind};base64")
            assert base64.b64decode(data) == image
            assert body["response_format"] == {"type": "json_object", "schema": SCHEMA}
            assert (body["max_tokens"], body.get("stream")) == (64, None)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ({"choices": [{"message": {"content": None}}]}, VisionAnswer("", 0)),
        ({"choices": [{"message": {"content": "A cup."}}], "usage": None}, VisionAnswer("A cup.", 0)),
    ],
)
def test_sparse_answer_about_a_picture_is_taken(answer: object, seen: VisionAnswer):
    async def scenario() -> None:
        async with ScriptedServer.vllm({CHAT: Reply(answer)}) as server:
            assert await client_of(server).ask_about_image(b"x", "What?") == seen

    run(scenario())


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}, [], "no"])
def test_answer_without_words_about_a_picture_is_a_backend_error(answer: object):
    async def scenario() -> None:
        async with ScriptedServer.vllm({CHAT: Reply(answer)}) as server:
            with pytest.raises(BackendError, match="gave no answer"):
                await client_of(server).ask_about_image(b"x", "What?")

    run(scenario())


def test_transport_can_be_injected():
    async def scenario() -> None:
        transport = httpx.MockTransport(lambda request: httpx.Response(200, json=PROPS))
        client = LlamaClient("http://robot", transport=transport)
        assert (await client.capabilities()).model_id == "/models/a.gguf"
        await client.close()

    run(scenario())


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    async def scenario() -> None:
        async with ScriptedServer.native() as server:
            assert (await client_of(server).capabilities()).native

    run(scenario())
