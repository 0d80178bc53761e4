"""What a vision-language model tells of drawn scenes that it has never seen: python -m bench.scenes.

Camera pictures as JPEG are put to a running backend exactly as the perception node does, and the answers compared with
what was drawn. With ``--hf`` the same pixels are also put to the model in PyTorch, to see whether both say the same.
Prints tables; never fails.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import _json
from bench._backend import serving
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.vision.questions import QuestionSet, question_set
from smolfusion_ros.vision.render import render_scene
from smolfusion_ros.vision.specs import SceneSpec
from smolfusion_ros.vision.truth import truth
from smolfusion_ros.vision.workers import encode_jpeg
from training.vision.pictures import CAMERA, scene, squeezed
from training.vision.scores import Scores

PORT = 18093
# The scenes of this seed are in no training and in no test of one.
SEED = 2_000_003
JPEG_QUALITY = 85
ROWS = (
    "person",
    "side",
    "shirt",
    "expression",
    "waving",
    "pointing",
    "holding",
    "things",
    "object kind",
    "object colour",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--model", type=Path, help="TEXT.gguf instead of the profile's; needs --mmproj")
    parser.add_argument("--mmproj", type=Path, help="MMPROJ.gguf")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--provider", default="auto")
    parser.add_argument("--hf", type=Path, help="the same model as trained, to compare answers with")
    _json.add_option(parser)
    parser.add_argument("--errors", type=int, default=0, help="print so many wrong answers")
    arguments = parser.parse_args()
    if bool(arguments.model) != bool(arguments.mmproj):
        parser.error("give both --model and --mmproj, or none")
    profile = load_profile(arguments.profile)
    questions = question_set(profile.vlm.questions)
    specs = [scene(arguments.seed, index) for index in range(arguments.scenes)]
    variables = {"VLM_MODEL": str(arguments.model), "VLM_MMPROJ": str(arguments.mmproj)} if arguments.model else {}
    changes = {"threads": arguments.threads, "provider": arguments.provider}
    with serving(profile, "vlm", port=PORT, variables=variables, **changes) as backend:
        jpegs = [as_jpeg(spec, index) for index, spec in enumerate(specs)]
        answers, times_s = asyncio.run(_asked(backend.url, jpegs, questions, "drawn scenes"))
        same = ""
        if arguments.hf:
            same = asyncio.run(_agreement(backend.url, arguments.hf, jpegs, questions))
    console = Console()
    console.print(_table(specs, answers, questions, times_s))
    if same:
        console.print(same)
    wrong = [(spec.caption, answer) for spec, answer in zip(specs, answers, strict=True) if spec.caption != answer]
    for caption, answer in wrong[: arguments.errors]:
        console.print(f"[green]{caption}[/green]\n[red]{answer}[/red]\n")
    pairs = [{"true": spec.caption, "told": answer} for spec, answer in zip(specs, answers, strict=True)]
    _json.write(arguments.json, pairs)


def as_jpeg(spec: SceneSpec, seed: int) -> bytes:
    """A scene as the motion gate sends it."""
    return encode_jpeg(render_scene(spec, *CAMERA, seed=seed), max(CAMERA), JPEG_QUALITY)


async def _asked(
    url: str, pictures: Sequence[bytes], questions: QuestionSet, text: str
) -> tuple[list[str], list[float]]:
    client = LlamaClient(url)
    answers, times_s = [], []
    try:
        for picture in track(pictures, description=text):
            begun_s = time.monotonic()
            answer = await client.ask_about_image(
                picture, questions.question, schema=questions.json_schema, max_tokens=questions.max_tokens
            )
            times_s.append(time.monotonic() - begun_s)
            answers.append(answer.text)
    finally:
        await client.close()
    return answers, times_s


async def _agreement(url: str, directory: Path, jpegs: Sequence[bytes], questions: QuestionSet) -> str:
    """How many answers are the same in PyTorch, to PNGs of the tower's size: nothing resizes them once more."""
    import torch
    from transformers import SmolVLMForConditionalGeneration

    from training.vision.answering import answered
    from training.vision.vocabulary import Vocabulary

    torch.set_num_threads(1)
    model = SmolVLMForConditionalGeneration.from_pretrained(directory)
    side = model.config.vision_config.image_size
    decoded = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] for jpeg in jpegs]
    tiles = [squeezed(np.ascontiguousarray(picture, np.uint8), side) for picture in decoded]
    pngs = [cv2.imencode(".png", tile[:, :, ::-1])[1].tobytes() for tile in tiles]
    ours, _ = await _asked(url, pngs, questions, "the same as PNG")
    theirs = answered(model, Vocabulary.load(directory), np.stack(tiles), questions.question)
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return f"the same words in llama.cpp and PyTorch: {same}/{len(ours)}"


def _table(specs: Sequence[SceneSpec], answers: Sequence[str], questions: QuestionSet, times_s: list[float]) -> Table:
    scores = Scores()
    for spec, answer in zip(specs, answers, strict=True):
        scores.add(questions.parse(answer), truth(spec))
    counts = scores.counts()
    expressions = sorted(name for name in counts if name.startswith("expression "))
    table = Table(title=f"what is told of {len(specs)} drawn scenes")
    for heading in ("", "right", "of", "share"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in (*ROWS[:4], *expressions, *ROWS[4:], "whole scene"):
        right, total = counts.get(name, (0, 0))
        table.add_row(name, str(right), str(total), f"{right / total:.1%}" if total else "")
    times_ms = sorted(1000 * each for each in times_s)
    table.add_section()
    table.add_row("ms a picture, median", "", "", f"{statistics.median(times_ms):.0f}")
    table.add_row("ms a picture, 95 %", "", "", f"{times_ms[int(0.95 * (len(times_ms) - 1))]:.0f}")
    return table


if __name__ == "__main__":
    main()
