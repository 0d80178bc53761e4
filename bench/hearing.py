"""What the recogniser understands, and what it should not: python -m bench.hearing.

100 commands in the voices of espeak-ng (word error rate, the time of the engine beside the clip's), and ten minutes of
sounds that are no speech (utterances that nobody said). Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from dataclasses import dataclass
from statistics import median

import numpy as np
from jiwer import wer
from rich.console import Console
from rich.table import Table

from bench import _json, _noises
from smolfusion_ros.demo.room import spoken
from smolfusion_ros.nodes._ear_config import ListenerConfig, make_ear
from smolfusion_ros.speech.hearing import EarEvent, Heard, SpeechStarted
from smolfusion_ros.speech.sound import SAMPLE_RATE, Samples
from smolfusion_ros.speech.synthesis import make_voice
from training.data.conversations import Author
from training.data.make import PHRASINGS
from training.data.phrasings import Phrasings
from training.prompt import robot_prompt

VOICES = (("en", 150), ("en-us", 165), ("en-gb-scotland", 140), ("en-gb-x-rp", 175))
PIECE = 320
TAIL_S = 1.5
MAX_WORDS = 12
# Spelt as recognisers do.
SAME = {"metres": "meters", "metre": "meter", "centimetres": "centimeters", "colour": "color", "ok": "okay"}


@dataclass(frozen=True)
class Understood:
    """One sentence: what was said, what was understood, the clip's length and the engine's time, seconds."""

    said: str
    heard: str
    clip_s: float
    engine_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--noise-minutes", type=float, default=10.0)
    parser.add_argument("--context", help="other words of introduction for Whisper than the listener's; empty: none")
    _json.add_option(parser)
    arguments = parser.parse_args()
    config = ListenerConfig() if arguments.context is None else ListenerConfig(context=arguments.context)
    understood = _commands(config, arguments.sentences)
    invented = {name: _false_utterances(config, sound) for name, sound in _noises.of(arguments.noise_minutes * 60)}
    _print(understood, invented)
    _json.write(arguments.json, {"sentences": [vars(each) for each in understood], "invented": invented})


def _commands(config: ListenerConfig, number: int) -> list[Understood]:
    dice, found = random.Random(0), []
    events: list[EarEvent] = []
    ear, _ = make_ear(config, events.append, "none")
    sentences = _sentences(number, dice)
    for index, said in enumerate(sentences):
        name, speed = VOICES[index % len(VOICES)]
        voice = make_voice("espeak", words_per_minute=speed)
        clip = spoken(voice, said, name)
        voice.close()
        events.clear()
        _listen(ear, np.concatenate([_quiet(0.5, index), clip, _quiet(TAIL_S, index)]))
        heard = [each for each in events if isinstance(each, Heard)]
        text = " ".join(each.transcript.text for each in heard)
        found.append(Understood(said, text, clip.size / SAMPLE_RATE, sum(each.engine_s for each in heard)))
    ear.close()
    return found


def _sentences(number: int, dice: random.Random) -> list[str]:
    """Short requests in wordings of the test half of the phrasings, as the language model is tested with."""
    prompt = robot_prompt()
    phrasings = Phrasings.load(PHRASINGS / "en", prompt.catalogue).of(test=True)
    author = Author(phrasings, prompt.catalogue, prompt.persona.name, dice)
    found: list[str] = []
    while len(found) < number:
        said = (turn.heard for turn in author.conversation() if turn.commands)
        found += [text for text in said if 2 <= len(text.split()) <= MAX_WORDS and not re.search(r"\d", text)]
    return found[:number]


def _listen(ear, sound: Samples) -> None:
    """As fast as it goes; recognition has its time at the end."""
    for at in range(0, sound.size, PIECE):
        ear.hear(sound[at : at + PIECE], at / SAMPLE_RATE)
    while not ear.idle:
        time.sleep(0.005)


def _quiet(seconds: float, seed: int) -> Samples:
    noise = np.random.default_rng(seed).normal(0.0, 10 ** (-65 / 20), round(seconds * SAMPLE_RATE))
    return noise.astype(np.float32)


def _false_utterances(config: ListenerConfig, sound: Samples) -> dict[str, int]:
    events: list[EarEvent] = []
    ear, _ = make_ear(config, events.append, "none")
    _listen(ear, sound)
    ear.close()
    counts = {kind.__name__: sum(isinstance(each, kind) for each in events) for kind in (SpeechStarted, Heard)}
    return {"starts": counts["SpeechStarted"], "utterances": counts["Heard"]}


def normal(text: str) -> str:
    """Words alone, spelt in one way."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()
    return " ".join(SAME.get(word, word) for word in words)


def _print(understood: list[Understood], invented: dict[str, dict[str, int]]) -> None:
    console = Console()
    if understood:
        rate = wer([normal(each.said) for each in understood], [normal(each.heard) or "-" for each in understood])
        exact = sum(normal(each.said) == normal(each.heard) for each in understood)
        factor = median(each.engine_s / each.clip_s for each in understood)
        console.print(
            f"{len(understood)} synthetic commands: word error rate {rate:.1%}, {exact} without an error; "
            f"engine {median(each.engine_s for each in understood) * 1e3:.0f} ms, {factor:.3f} of the clip's length"
        )
        for each in understood:
            if normal(each.said) != normal(each.heard):
                console.print(f"  {each.said!r} → {each.heard!r}")
    table = Table("no speech", "starts of speech", "utterances")
    for name, counts in invented.items():
        table.add_row(name, str(counts["starts"]), str(counts["utterances"]))
    console.print(table)


if __name__ == "__main__":
    main()
