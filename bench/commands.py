"""What the language model commands for a list of phrases: python bench/commands.py [--url http://127.0.0.1:8080].

Every phrase is the first turn of a conversation, in each of three scenes, put to a running backend exactly as the
dialogue node does. Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import aclosing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.answer import AnswerWriter
from smolfusion_ros.dialogue.conversation import Conversation
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.errors import CommandError
from smolfusion_ros.llama.client import LlamaClient

SCENES = (
    "06:47:19 person left smiling waving red shirt; ball yellow centre; book green right",
    "14:03:05 nobody",
    "11:20:40 person right neutral blue shirt",
)
# None of these is among the examples of config/persona.yaml.
PHRASES: dict[str, list[dict[str, object]]] = {
    "nod please": [{"name": "nod"}],
    "please wave back with your right hand": [{"name": "wave", "hand": "right"}],
    "wave with both hands": [{"name": "wave", "hand": "both"}],
    "turn left 45 degrees": [{"name": "turn", "direction": "left", "angle_deg": 45.0}],
    "walk forward one meter": [{"name": "walk", "direction": "forward", "distance_m": 1.0}],
    "sit down please": [{"name": "sit_down"}],
    "clap your hands": [{"name": "clap"}],
    "come here please": [{"name": "approach", "target": "person"}],
    "look happy": [{"name": "set_expression", "emotion": "happy"}],
    "how are you today?": [],
    "hello robot": [],
    "what do you see?": [],
    "thank you": [],
    "tell me a joke": [],
}


async def measure(url: str, persona: Path, console: Console) -> None:
    """Put every phrase in every scene to the backend at ``url`` and print what came out."""
    config = share_directory() / "config"
    catalogue = Catalogue.load(config / "actions.yaml")
    layout = PromptLayout(Persona.load(persona, catalogue), catalogue)
    writer = AnswerWriter(LlamaClient(url), layout, max_answer_tokens=160)
    table = Table(title=f"commands, {len(PHRASES)} phrases in {len(SCENES)} scenes")
    for heading in ("phrase", "right", "otherwise"):
        table.add_column(heading)
    right = restrained = unasked = 0
    for phrase, wanted in PHRASES.items():
        got = [await commands(writer, catalogue, scene, phrase) for scene in SCENES]
        wrong = [answer for answer in got if answer != wanted]
        right += len(got) - len(wrong)
        if not wanted:
            unasked += len(got)
            restrained += len(got) - len(wrong)
        table.add_row(phrase, f"{len(got) - len(wrong)}/{len(got)}", "; ".join(map(str, wrong)))
    console.print(table)
    total = len(PHRASES) * len(SCENES)
    console.print(f"exact: {right}/{total}; no command where none was asked: {restrained}/{unasked}")


async def commands(writer: AnswerWriter, catalogue: Catalogue, scene: str, phrase: str) -> list[dict[str, object]]:
    """The valid commands of one first turn."""
    conversation = Conversation(max_turns=2, max_tokens=1)
    answer = await writer.begin(conversation, scene, phrase)
    found: list[dict[str, object]] = []
    async with aclosing(writer.write(answer, conversation)) as updates:
        async for update in updates:
            for written in update.commands:
                try:
                    command = catalogue.command(written)
                except CommandError as error:
                    found.append({"rejected": str(error)})
                else:
                    found.append({"name": command.name, **command.arguments})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="a running LLM backend")
    parser.add_argument("--persona", type=Path, default=share_directory() / "config" / "persona.yaml")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.url, arguments.persona, Console(width=160)))


if __name__ == "__main__":
    main()
