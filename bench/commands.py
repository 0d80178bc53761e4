"""What a language model commands for wordings that it has never seen: python -m bench.commands.

Conversations of the test half of training/phrasings (no wording of it is in the training data) are put to a running
backend exactly as the dialogue node does, turn by turn, each behind the true turns before it. Models named with
``--beside`` are asked the same in the same run, with the prompt's examples. Prints tables; never fails.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import _json
from bench._backend import serving
from bench._turns import Asker, Outcome
from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.answer import AnswerWriter
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.prepare import prepare
from training.data.conversations import Author, Turn
from training.data.make import PHRASINGS
from training.data.phrasings import Phrasings
from training.prompt import robot_prompt

PORT = 18092
Outcomes = list[Outcome]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="embedded")
    own = "instead of the profile's, without examples: a name, MODEL.gguf or MODEL.gguf+ADAPTER.gguf"
    parser.add_argument("--model", action="append", default=[], help=own)
    parser.add_argument("--beside", action="append", default=[], metavar="MODEL", help="asked too, with examples")
    parser.add_argument("--conversations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--language", default="en")
    _json.add_option(parser)
    parser.add_argument("--errors", type=int, default=0, help="print so many wrong turns of each model")
    arguments = parser.parse_args()
    profile = load_profile(arguments.profile)
    prompt = robot_prompt()
    catalogue, robot = prompt.catalogue, prompt.persona.name
    conversations = _conversations(catalogue, robot, arguments)
    found: dict[str, Outcomes] = {}
    contenders = [(model, False) for model in arguments.model] or [(profile.llm.model, profile.llm.prompt_examples)]
    contenders += [(model, True) for model in arguments.beside]
    for model, examples in contenders:
        name, _, adapter = model.partition("+")
        variables = {"LLM_ADAPTER": adapter} if adapter else {}
        layout = robot_prompt(profile.llm.chat_format, examples=examples)
        changes = {"model": name, "threads": arguments.threads}
        with serving(profile, "llm", port=PORT, variables=variables, **changes) as backend:
            writer = AnswerWriter(LlamaClient(backend.url), layout, max_answer_tokens=160)
            found[model] = asyncio.run(_asked(Asker(writer, layout), conversations, model))
    console = Console(width=140)
    figures = {model: _figures(model, outcomes, robot) for model, outcomes in found.items()}
    console.print(_summary(figures))
    console.print(_by_action(found, catalogue))
    console.print(_by_form(found))
    for model, outcomes in found.items():
        _print_wrong(console, model, [each for each in outcomes if not each.exact][: arguments.errors])
    document = {
        _short(model): {"summary": figures[model], "turns": [asdict(each) for each in outcomes]}
        for model, outcomes in found.items()
    }
    _json.write(arguments.json, document)


def _conversations(catalogue: Catalogue, name: str, arguments: argparse.Namespace) -> list[list[Turn]]:
    phrasings = Phrasings.load(PHRASINGS / arguments.language, catalogue).of(test=True)
    author = Author(phrasings, catalogue, name, random.Random(f"{arguments.seed} bench"))
    return [author.conversation() for _ in range(arguments.conversations)]


async def _asked(asker: Asker, conversations: Sequence[Sequence[Turn]], model: str) -> Outcomes:
    return [
        outcome
        for turns in track(conversations, description=Path(model).name)
        async for outcome in asker.outcomes(turns)
    ]


def _figures(model: str, outcomes: Outcomes, name: str) -> dict[str, str]:
    unasked = [each for each in outcomes if not each.wanted]
    return {
        "turns": str(len(outcomes)),
        "exact": _share(each.exact for each in outcomes),
        "exact where a command was asked for": _share(each.exact for each in outcomes if each.wanted),
        "restraint, where none was asked for": _share(not each.got and not each.rejected for each in unasked),
        "right actions, wrong arguments": _share(each.wrong_arguments for each in outcomes),
        "valid against the schema": _share(each.valid for each in outcomes),
        "in persona": _share(each.in_persona(name) for each in outcomes),
        "prompt, tokens a second": _speed(outcomes, "evaluated_tokens", "prompt_ms"),
        "answer, tokens a second": _speed(outcomes, "answer_tokens", "answer_ms"),
        "files, MB": _size(model),
    }


def _summary(figures: dict[str, dict[str, str]]) -> Table:
    table = _table("commands, wordings never seen", "", figures)
    for row in next(iter(figures.values())):
        table.add_row(row, *(of[row] for of in figures.values()))
    return table


def _by_action(found: dict[str, Outcomes], catalogue: Catalogue) -> Table:
    table = _table("exact, by action asked for", "action", found)
    for action in catalogue:
        asked = {
            model: [each for each in outcomes if any(call["name"] == action.name for call in each.wanted)]
            for model, outcomes in found.items()
        }
        table.add_row(action.name, *(_share(each.exact for each in outcomes) for outcomes in asked.values()))
    return table


def _by_form(found: dict[str, Outcomes]) -> Table:
    table = _table("exact, by form", "form", found)
    forms = {_form(each.turn): None for outcomes in found.values() for each in outcomes}
    for form in sorted(forms):
        table.add_row(
            form, *(_share(each.exact for each in outcomes if _form(each.turn) == form) for outcomes in found.values())
        )
    return table


def _table(title: str, first: str, models: Iterable[str]) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for model in models:
        table.add_column(_short(model), justify="right")
    return table


def _form(turn: Turn) -> str:
    kind, group = turn.families[0].split(":")[:2]
    return kind if kind in ("wrapper", "correction") else group if kind in ("talk", "join") else "request"


def _print_wrong(console: Console, model: str, outcomes: Outcomes) -> None:
    for each in outcomes:
        console.print(f"[bold]{_short(model)}[/]: {each.turn.scene}\n  {each.turn.heard!r} → {each.say!r}", markup=True)
        console.print(f"  wanted {each.wanted}\n  got    {each.got} {each.rejected or ''}", markup=False)


def _share(true: Any) -> str:
    all_ = list(true)
    return f"{100 * sum(all_) / len(all_):.1f} % of {len(all_)}" if all_ else "–"


def _speed(outcomes: Outcomes, tokens: str, milliseconds: str) -> str:
    timed = [each.timings for each in outcomes if each.timings]
    taken_s = sum(getattr(each, milliseconds) for each in timed) / 1000
    return f"{sum(getattr(each, tokens) for each in timed) / taken_s:.0f}" if taken_s else "–"


def _short(model: str) -> str:
    return "+".join(Path(part).name for part in model.split("+"))


def _size(model: str) -> str:
    name, _, adapter = model.partition("+")
    files = prepare(load_manifest(manifest_path()), name)
    paths = [*files.all, *([Path(adapter)] if adapter else [])]
    return " + ".join(f"{path.stat().st_size / 1e6:.1f}" for path in paths)


if __name__ == "__main__":
    main()
