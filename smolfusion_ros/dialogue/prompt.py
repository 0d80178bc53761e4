"""The prompt's layout: the one function family that nodes, benches and training share.

``[persona + catalogue + examples (constant)] [turn 1] … [turn n] [scene line + utterance]``, append-only: nothing
earlier is ever rewritten, so a backend's KV cache stays valid and a turn costs its own tokens alone. A turn is
four pieces that are tokenised apart, so that token ids never depend on what stands beside them, and that the
person's own words can never become control tokens::

    open        <|im_start|>user\\n[
    context     14:03:05 person left smiling]\\n
    utterance   wave back please
    close       <|im_end|>\\n<|im_start|>assistant\\n{"say": "

The context is the scene line, and after it, in the one turn that is told, what became of earlier commands
(``context_line``).

ChatML is the format of both SmolLM2 and Qwen3; Qwen3's empty think block (its template's
``enable_thinking=false``) is part of ``close`` and stays in the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.grammar import ANSWER_OPENING
from smolfusion_ros.dialogue.outcomes import MAX_NEWS, News
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.text import one_line
from smolfusion_ros.errors import ConfigurationError

_THINK = {"chatml": "", "chatml-no-think": "<think>\n\n</think>\n\n"}
TURN_END = "<|im_end|>\n"
NO_SCENE = "nothing seen"
MAX_DETAIL_CHARACTERS = 48
# What the line itself is made of, and what a chat template might take for a control token.
_MARKS = str.maketrans(dict.fromkeys("[]<>|;,", " "))


@dataclass(frozen=True)
class Piece:
    """Text that is tokenised on its own; only ``special`` pieces may hold control tokens."""

    text: str
    special: bool


def context_line(scene: str, news: Sequence[News] = ()) -> str:
    """What a turn's prompt says in brackets: the scene line, and how commands have ended since the last turn.

    ``<scene>; <action> <state>[: <detail>], …``, for example::

        14:03:05 person left smiling; walk failed: obstacle ahead, wave succeeded

    At most the newest three, oldest first. A detail is a driver's free text: what does not print and
    ``[ ] < > | ; ,`` become spaces, and it ends after 48 characters. Without news the line is the scene line.
    """
    if not news:
        return scene
    return f"{scene or NO_SCENE}; {', '.join(map(_in_words, news[-MAX_NEWS:]))}"


def _in_words(news: News) -> str:
    detail = one_line(news.detail.translate(_MARKS))[:MAX_DETAIL_CHARACTERS].rstrip()
    return f"{news.action} {news.state}{': ' if detail else ''}{detail}"


class PromptLayout:
    """Renders the constant prefix, turns and answers for one persona, catalogue and chat format."""

    def __init__(self, persona: Persona, catalogue: Catalogue, chat_format: str = "chatml") -> None:
        if chat_format not in _THINK:
            raise ConfigurationError(f"chat format {chat_format!r} is not one of {', '.join(_THINK)}")
        self.persona = persona
        self.catalogue = catalogue
        self.assistant_opening = f"{TURN_END}<|im_start|>assistant\n{_THINK[chat_format]}"

    def system_text(self) -> str:
        """Persona and catalogue in words."""
        actions = "\n".join(action.signature for action in self.catalogue)
        return f"{self.persona.text}\nActions:\n{actions}"

    def prefix(self) -> list[Piece]:
        """The constant part: system text and example turns."""
        pieces = [Piece(f"<|im_start|>system\n{self.system_text()}{TURN_END}", True)]
        for example in self.persona.examples:
            pieces += self.turn(example.scene, example.heard)
            pieces.append(Piece(self.answer_tail(example.say, example.commands), True))
        return pieces

    def turn(self, scene: str, heard: str) -> list[Piece]:
        """A turn up to and with the opened answer."""
        return [
            *self.turn_opening(scene),
            Piece(heard, False),
            Piece(self.assistant_opening + ANSWER_OPENING, True),
        ]

    @staticmethod
    def turn_opening(scene: str) -> list[Piece]:
        """What is known of a turn before anybody has spoken."""
        return [Piece("<|im_start|>user\n[", True), Piece(f"{scene or NO_SCENE}]\n", False)]

    @staticmethod
    def answer_text(say: str, commands: Iterable[Mapping[str, Any]]) -> str:
        """A whole answer in the form in which the grammar lets the model write it."""
        plain = say.replace('"', "'").replace("\\", "/")
        return json.dumps({"say": " ".join(plain.split()), "commands": list(commands)}, ensure_ascii=False)

    def answer_tail(self, say: str, commands: Iterable[Mapping[str, Any]]) -> str:
        """What follows the opened answer, to the end of the turn."""
        return self.answer_text(say, commands).removeprefix(ANSWER_OPENING) + TURN_END

    @staticmethod
    def answer_pieces(answer_text: str) -> list[Piece]:
        """What follows the opened answer; the model's own words must not become control tokens."""
        return [Piece(answer_text.removeprefix(ANSWER_OPENING), False), Piece(TURN_END, True)]

    def messages(self, history: Sequence[tuple[str, str, str]], scene: str, heard: str) -> list[dict[str, str]]:
        """The same conversation as chat messages, for servers without token ids.

        Args:
            history: (scene line, utterance, whole answer) of the turns so far.

        The server's template decides here what is a control token, so none may stand in what a person said.
        """
        messages = [{"role": "system", "content": self.system_text()}]
        examples = [(e.scene, e.heard, self.answer_text(e.say, e.commands)) for e in self.persona.examples]
        for past_scene, past_heard, answer in [*examples, *history]:
            messages.append({"role": "user", "content": f"[{past_scene or NO_SCENE}]\n{_harmless(past_heard)}"})
            messages.append({"role": "assistant", "content": answer})
        messages.append({"role": "user", "content": f"[{scene or NO_SCENE}]\n{_harmless(heard)}"})
        return messages


def _harmless(text: str) -> str:
    return text.replace("<|", "< |").replace("|>", "| >")
