"""Many people at once: python -m bench.load --users 8 --seconds 40.

Each talks to the gateway in a session of his own and thinks between turns. Then as many clients put the very same
prompts to the language model's server, without any node in between, and think as long. Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from bench import _json
from bench._backend import write_profile
from bench._direct import ids_of
from bench._stack import GATEWAY_PORT, LLM_PORT, running, wait_for_log
from bench._talk import ANSWER_S, UTTERANCES
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.dialogue.grammar import answer_grammar
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.dialogue.turn import Limits
from smolfusion_ros.llama.client import LlamaClient
from training.prompt import robot_prompt

THINKING_S = (0.5, 2.5)
HISTORY_LIMIT = 1000
Prompt = tuple[int, ...]


@dataclass
class Served:
    """What a crowd got: times in seconds from each request on; refusals by HTTP status."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    tokens: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    took_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """Rates per second, times in ms."""
        return {
            "turns a second": len(self.whole_s) / self.took_s,
            "tokens a second": self.tokens / self.took_s,
            "first text, median, ms": 1e3 * median(self.first_s),
            "first text, p95, ms": 1e3 * quantiles(self.first_s, n=20)[-1],
            "whole answer, p95, ms": 1e3 * quantiles(self.whole_s, n=20)[-1],
        }


class Person:
    """One user of the gateway, with an address of his own, since the rate limit is one for each address."""

    def __init__(self, number: int) -> None:
        self._session = f"user {number}"
        self._turns = 0
        transport = httpx.AsyncHTTPTransport(local_address=f"127.0.0.{2 + number}")
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{GATEWAY_PORT}", transport=transport, timeout=ANSWER_S
        )
        self._number = number

    async def say_something(self, served: Served) -> None:
        """One turn, its answer in pieces."""
        asked = {
            "text": UTTERANCES[(5 * self._number + self._turns) % len(UTTERANCES)],
            "session_id": self._session,
            "stream": True,
        }
        self._turns += 1
        begun_s, first_s = time.perf_counter(), 0.0
        async with self._http.stream("POST", "/chat", json=asked) as answer:
            if answer.status_code != 200:
                served.refused[answer.status_code] += 1
                return
            async for line in answer.aiter_lines():
                if line == "event: delta":
                    first_s = first_s or time.perf_counter() - begun_s
        served.first_s.append(first_s)
        served.whole_s.append(time.perf_counter() - begun_s)

    async def history(self) -> list[dict[str, Any]]:
        """His turns, oldest first."""
        answer = await self._http.get(f"/sessions/{self._session}", params={"limit": HISTORY_LIMIT})
        return list(answer.json()["turns"])

    async def close(self) -> None:
        await self._http.aclose()


class Bare:
    """One client of the language model's server, which has nothing to do but ask."""

    def __init__(self, client: LlamaClient, grammar: str, prompts: Sequence[Prompt]) -> None:
        self._client = client
        self._grammar = grammar
        self._prompts = list(prompts)

    @property
    def has_more(self) -> bool:
        return bool(self._prompts)

    async def say_something(self, served: Served) -> None:
        """The next prompt."""
        begun_s, first_s = time.perf_counter(), 0.0
        most = Limits().max_answer_tokens
        chunks = self._client.complete(self._prompts.pop(0), grammar=self._grammar, max_tokens=most)
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.text:
                    first_s = first_s or time.perf_counter() - begun_s
                served.tokens += chunk.timings.answer_tokens if chunk.timings else 0
        served.first_s.append(first_s)
        served.whole_s.append(time.perf_counter() - begun_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=40.0, help="nobody begins a turn later")
    parser.add_argument("--slots", type=int, help="of the server: conversations it keeps; as many as users by default")
    _json.add_option(parser)
    arguments = parser.parse_args()
    slots = arguments.slots or arguments.users
    with tempfile.TemporaryDirectory(prefix="smolfusion-bench-") as directory:
        path = Path(directory) / "bench.yaml"
        write_profile(path, load_profile("embedded"), "llm", slots=slots)
        with running("rendered:still", "--profile", str(path), gateway=True) as stack:
            wait_for_log(stack, ["ready", "serving http"])
            ours, bare = asyncio.run(_both(arguments.users, arguments.seconds))
    _report(ours, bare, f"{arguments.users} users, {slots} slots, {len(ours.whole_s)} turns")
    _json.write(arguments.json, {"gateway": asdict(ours), "backend": asdict(bare)})


async def _both(users: int, seconds: float) -> tuple[Served, Served]:
    people = [Person(number) for number in range(users)]
    for person in people:  # after that every slot holds the constant part of the prompt
        await person.say_something(Served())
    known = [len(await person.history()) for person in people]
    ours = await _crowd([_talking(number, person, seconds) for number, person in enumerate(people)])
    histories = [await person.history() for person in people]
    for person in people:
        await person.close()
    told = [turn for history, begun in zip(histories, known, strict=True) for turn in history[begun:]]
    ours.tokens = sum(turn["answer_tokens"] for turn in told)

    llm = load_profile("embedded").llm
    layout = robot_prompt(llm.chat_format, examples=llm.prompt_examples)
    client, grammar = LlamaClient(f"http://127.0.0.1:{LLM_PORT}"), answer_grammar(layout.catalogue)
    prompts = [await _prompts(client, layout, history) for history in histories]
    clients = [Bare(client, grammar, each[begun:]) for each, begun in zip(prompts, known, strict=True)]
    bare = await _crowd([_asking(number, each) for number, each in enumerate(clients)])
    await client.close()
    return ours, bare


async def _crowd(users: Sequence[Any]) -> Served:
    """Everybody at once; each of ``users`` takes what it counts in and returns a coroutine."""
    served, begun_s = Served(), time.perf_counter()
    await asyncio.gather(*(user(served) for user in users))
    served.took_s = time.perf_counter() - begun_s
    return served


def _talking(number: int, person: Person, seconds: float) -> Any:
    async def talk(served: Served) -> None:
        dice, end_s = random.Random(number), time.monotonic() + seconds
        while True:
            await asyncio.sleep(dice.uniform(*THINKING_S))
            if time.monotonic() > end_s:
                return
            await person.say_something(served)

    return talk


def _asking(number: int, bare: Bare) -> Any:
    async def ask(served: Served) -> None:
        dice = random.Random(number)
        while bare.has_more:
            await asyncio.sleep(dice.uniform(*THINKING_S))
            await bare.say_something(served)

    return ask


async def _prompts(client: LlamaClient, layout: PromptLayout, turns: Sequence[dict[str, Any]]) -> list[Prompt]:
    """The prompt of each turn as token ids: the constant part, the turns before, its scene line and utterance."""
    past, found = await ids_of(client, layout.prefix()), []
    for turn in turns:
        past += await ids_of(client, layout.turn(turn["scene"], turn["heard"]))
        found.append(past)
        answer = layout.answer_text(turn["said"], [_call(command) for command in turn["commands"]])
        past += await ids_of(client, layout.answer_pieces(answer))
    return found


def _call(command: dict[str, Any]) -> dict[str, Any]:
    return {"name": command["name"], "arguments": command["arguments"]}


def _report(ours: Served, bare: Served, title: str) -> None:
    console = Console()
    table = Table(title=title)
    for heading in ("", "gateway", "the backend alone", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    others = bare.figures()
    for name, figure in ours.figures().items():
        digits = 0 if name.endswith("ms") else 2
        table.add_row(name, f"{figure:.{digits}f}", f"{others[name]:.{digits}f}", f"{figure / others[name]:.2f}")
    console.print(table)
    refused = ", ".join(f"{times} x {status}" for status, times in sorted(ours.refused.items()))
    console.print(f"refused by the gateway: {refused or 'nothing'}")


if __name__ == "__main__":
    main()
