"""The first word of an answer: python -m bench.latency.

A person talks to the running stack while what is seen changes every two seconds. Beside it stand, from the same
backend in the same run, the backend's own first token for the same words after the same cached context (the limit),
and the naive way of putting the same conversation to it (the scene in the system prompt, a sliding window of turns).
Prints a table, draws a plot; never fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from bench import _json
from bench._direct import Direct, First, Past
from bench._stack import LLM_PORT, NAMESPACE, running, wait_for_log
from bench._talk import UTTERANCES, Exchange, Visitor
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.nodes._spinning import spinning
from training.prompt import robot_prompt

HISTORY_TURNS = 20
SCENE_EVERY_S = 2.0
# Beyond the utterance's own tokens a turn evaluates what closes it and opens the answer.
PREFILLED_WITHIN_TOKENS = 16
SESSION = "bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=30, help="measured, after 20 that fill the history")
    _json.add_option(parser)
    parser.add_argument("--plot", type=Path, help="draw the first token over the conversation's length (PNG)")
    arguments = parser.parse_args()
    with running("rendered:still") as stack, spinning(lambda: Visitor("bench", namespace=NAMESPACE)) as visitor:
        wait_for_log(stack, ["ready"])
        exchanges = _talk(visitor, HISTORY_TURNS + arguments.turns)
        limits, naive = asyncio.run(_directly(exchanges))
    _report(Console(width=120), exchanges[HISTORY_TURNS:], limits[HISTORY_TURNS:], naive[HISTORY_TURNS:])
    rows = zip(exchanges, limits, naive, strict=True)
    document = [
        {
            "ours_s": ours.first_text_s,
            "evaluated": ours.turn.evaluated_tokens,
            "limit_s": limit.seconds,
            "naive_s": other.seconds,
            "naive_evaluated": other.evaluated_tokens,
        }
        for ours, limit, other in rows
    ]
    _json.write(arguments.json, document)
    if arguments.plot:
        _plot(exchanges, limits, naive, arguments.plot)


def _talk(visitor: Visitor, turns: int) -> list[Exchange]:
    """Turns at random times; the scene changes every two seconds all the while."""
    dice, exchanges = random.Random(4), []
    next_scene_s = time.monotonic()
    for number in range(turns):
        speak_s = time.monotonic() + dice.uniform(1.0, 4.0)
        while (now_s := time.monotonic()) < speak_s:
            if now_s >= next_scene_s:
                visitor.change_scene()
                next_scene_s += SCENE_EVERY_S
            time.sleep(0.01)
        exchanges.append(visitor.ask(UTTERANCES[number % len(UTTERANCES)], SESSION))
        next_scene_s = max(next_scene_s, time.monotonic())
    return exchanges


async def _directly(exchanges: Sequence[Exchange]) -> tuple[list[First], list[First]]:
    llm = load_profile("embedded").llm
    layout = robot_prompt(llm.chat_format, examples=llm.prompt_examples)
    direct = Direct(LlamaClient(f"http://127.0.0.1:{LLM_PORT}"), layout, HISTORY_TURNS)
    past: list[Past] = [(each.turn.scene, each.heard, _answer(each)) for each in exchanges]
    limits, naive = [], []
    for number, (scene, heard, _) in enumerate(past):
        limits.append(await direct.limit(past[max(0, number - HISTORY_TURNS) : number], scene, heard))
    for number, (scene, heard, _) in enumerate(past):
        naive.append(await direct.naive(past[:number], scene, heard))
    return limits, naive


def _answer(exchange: Exchange) -> str:
    commands = [{"name": each.name, "arguments": json.loads(each.arguments_json)} for each in exchange.turn.commands]
    return PromptLayout.answer_text(exchange.turn.said, commands)


def _report(console: Console, ours: Sequence[Exchange], limits: Sequence[First], naive: Sequence[First]) -> None:
    table = Table(title=f"first text of an answer, {len(ours)} turns behind {HISTORY_TURNS} others, scene changing")
    for heading in ("", "median, ms", "p95, ms", "tokens evaluated", "ratio"):
        table.add_column(heading, justify="left" if not heading else "right")
    rows = {
        "ours: utterance → reply in another process": (
            [each.first_text_s for each in ours],
            [each.turn.evaluated_tokens for each in ours],
        ),
        "the backend's own, same context cached": (
            [each.seconds for each in limits],
            [each.evaluated_tokens for each in limits],
        ),
        "naive: scene in the system prompt": (
            [each.seconds for each in naive],
            [each.evaluated_tokens for each in naive],
        ),
    }
    base_s = median(rows["ours: utterance → reply in another process"][0])
    for name, (seconds, tokens) in rows.items():
        p95_s = quantiles(seconds, n=20)[-1]
        table.add_row(
            name,
            f"{1000 * median(seconds):.0f}",
            f"{1000 * p95_s:.0f}",
            f"{median(tokens):.0f}",
            f"{median(seconds) / base_s:.2f}",
        )
    console.print(table)
    beyond = [each.turn.evaluated_tokens - limit.evaluated_tokens for each, limit in zip(ours, limits, strict=True)]
    ready = sum(each <= PREFILLED_WITHIN_TOKENS for each in beyond)
    console.print(
        f"fully evaluated ahead: {ready} of {len(ours)} turns; tokens beyond the limit's: median {median(beyond):.0f}"
    )


def _plot(exchanges: Sequence[Exchange], limits: Sequence[First], naive: Sequence[First], target: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    turns = range(1, len(exchanges) + 1)
    series = {
        "naive": [each.seconds for each in naive],
        "ours": [each.first_text_s for each in exchanges],
        "the backend's own": [each.seconds for each in limits],
    }
    for name, seconds in series.items():
        axes.plot(turns, [1000 * each for each in seconds], label=name)
    axes.set(xlabel="turn of the conversation", ylabel="first text, ms", yscale="log")
    axes.legend()
    figure.savefig(target, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
