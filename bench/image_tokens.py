"""What bounding a picture's tokens is worth to a SmolVLM-256M: python -m bench.image_tokens.

The model has the dimensions of SmolVLM-256M-Instruct (its config.json on the Hugging Face hub) and random weights,
which cost as much as trained ones; its vocabulary is a small one. 640x480 JPEGs are put to it with the tokens that it
takes by itself, cut into tiles, and with those that the profiles for a robot allow. Prints a table; never fails.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, SmolVLMConfig, SmolVLMForConditionalGeneration
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from bench import _json
from bench._backend import serving
from smolfusion_ros.bringup.profile import Profile, load_profile
from smolfusion_ros.llama.client import LlamaClient
from smolfusion_ros.vision.visit import Visit
from smolfusion_ros.vision.workers import encode_jpeg
from training.export.vision import export
from training.vision.vocabulary import END, IMAGE, PAD, START, Vocabulary

PORT = 18096
LONGEST_EDGE_PX = 2048
TILES = 6  # a side at most
VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
TEXT = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
}
QUESTION, OTHER_QUESTION = "Who is there?", "What do they do?"


@dataclass(frozen=True)
class Cost:
    """Tokens of the prompt with its picture, and seconds until the first word.

    ``again_s`` is the time of another question about the same picture.
    """

    tokens: int
    seconds: float
    again_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bound", type=int, default=64, help="tokens of a picture")
    parser.add_argument("--times", type=int, default=3, help="each picture is asked about")
    parser.add_argument("--threads", type=int, default=2)
    _json.add_option(parser)
    arguments = parser.parse_args()
    profile = load_profile("embedded")
    with tempfile.TemporaryDirectory(prefix="smolfusion-bench-") as directory:
        vocabulary = _vocabulary()
        files = export(_model(vocabulary), vocabulary, Path(directory), "dimensions", longest_edge=LONGEST_EDGE_PX)
        costs = {
            name: _cost(profile, files, bound, arguments.times, arguments.threads)
            for name, bound in (("the model's own", 0), (f"bounded to {arguments.bound}", arguments.bound))
        }
    _report(costs, arguments.threads)
    _json.write(arguments.json, {name: asdict(cost) for name, cost in costs.items()})


def _vocabulary() -> Vocabulary:
    """That of the tiny SmolVLM, with a token for every tile."""
    tiny = Vocabulary.learned(100, 0)
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, TILES + 1) for column in range(1, TILES + 1)]
    tokens = tuple(dict.fromkeys((*tiny.tokens, *tiles)))
    return replace(tiny, tokens=tokens, special=tiny.special | set(tiles))


def _model(vocabulary: Vocabulary) -> SmolVLMForConditionalGeneration:
    ids = {name: vocabulary.id(token) for name, token in (("bos", START), ("eos", END), ("pad", PAD))}
    text = LlamaConfig(
        vocab_size=len(vocabulary.tokens),
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=True,
        **TEXT,
        **{f"{name}_token_id": number for name, number in ids.items()},
    )
    config = SmolVLMConfig(
        vision_config=SmolVLMVisionConfig(image_size=512, patch_size=16, **VISION),
        text_config=text,
        scale_factor=4,
        image_token_id=vocabulary.id(IMAGE),
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return SmolVLMForConditionalGeneration(config)


def _cost(profile: Profile, files: tuple[Path, Path], bound: int, times: int, threads: int) -> Cost:
    variables = {"VLM_MODEL": str(files[0]), "VLM_MMPROJ": str(files[1])}
    changes = {"image_max_tokens": bound, "context_tokens": 2048, "threads": threads}
    with serving(profile, "vlm", port=PORT, variables=variables, **changes) as backend:
        return asyncio.run(_asked(backend.url, times))


async def _asked(url: str, times: int) -> Cost:
    visit = Visit(640, 480)
    client = LlamaClient(url, timeout_s=300.0)
    costs = []
    try:
        for number in range(times):
            jpeg = encode_jpeg(visit.frame_at(10.0 + number), 640, 85)  # another one each time: nothing is cached
            marks_s = [time.monotonic()]
            for question in (QUESTION, OTHER_QUESTION):
                answer = await client.ask_about_image(jpeg, question, max_tokens=1)
                marks_s.append(time.monotonic())
            costs.append(Cost(answer.prompt_tokens, marks_s[1] - marks_s[0], marks_s[2] - marks_s[1]))
    finally:
        await client.close()
    return Cost(costs[0].tokens, median(cost.seconds for cost in costs), median(cost.again_s for cost in costs))


def _report(costs: dict[str, Cost], threads: int) -> None:
    table = Table(title=f"a 640x480 picture to a SmolVLM of 256M's dimensions, {threads} threads")
    for heading in ("image tokens", "prompt, tokens", "fewer", "first word, s", "faster", "next question, s"):
        table.add_column(heading, justify="left" if heading == "image tokens" else "right")
    own = next(iter(costs.values()))
    for name, cost in costs.items():
        ratios = [f"{ratio:.1f}x" for ratio in (own.tokens / cost.tokens, own.seconds / cost.seconds)]
        times = [f"{seconds:.2f}" for seconds in (cost.seconds, cost.again_s)]
        table.add_row(name, str(cost.tokens), ratios[0], times[0], ratios[1], times[1])
    Console().print(table)


if __name__ == "__main__":
    main()
