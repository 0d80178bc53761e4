"""A SmolVLM of a few thousand weights: trained, stopped and resumed, exported, and asked through llama.cpp."""

import asyncio
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch
import yaml
from transformers import SmolVLMForConditionalGeneration

from smolfusion_ros.llama.client import LlamaClient
from training import checkpoint
from training.errors import TrainingError
from training.recipe import load
from training.trainer import JOURNAL
from training.vision import __main__ as command
from training.vision.answering import answered
from training.vision.cache import Pictures
from training.vision.muon import orthogonal
from training.vision.pictures import scene
from training.vision.questions import DESCRIBE
from training.vision.recipe import VisionRecipe
from training.vision.run import train
from training.vision.vocabulary import Vocabulary

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
TOY: dict[str, Any] = {
    "name": "toy",
    "tower": {"picture": 96, "patch": 12, "shuffle": 4, "width": 32, "layers": 1, "heads": 2, "hidden": 48},
    "text": {"width": 32, "layers": 2, "heads": 2, "hidden": 48, "merges": 150},
    "scenes": {"train": 48, "test": 8},
    "schedule": {
        **{"steps": 6, "batch": 8, "learning_rate": 5e-3, "warmup": 0.1},
        **{"checkpoint_every": 2, "held_out_every": 3, "held_out": 8},
    },
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy(**changed: dict[str, Any]) -> VisionRecipe:
    return VisionRecipe.model_validate(TOY | {key: {**TOY[key], **value} for key, value in changed.items()})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(toy(), out)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return SmolVLMForConditionalGeneration.from_pretrained(out / "model").state_dict()


def test_journal_tells_of_every_step_and_the_losses_fall(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / JOURNAL).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert set(lines[0]["losses"]) == {"answer", "attributes", "patches"}
    assert lines[-1]["losses"]["answer"] < lines[0]["losses"]["answer"]
    assert [bool(line["held_out"]) for line in lines] == [False, False, True, False, False, True]
    assert 0 <= lines[-1]["held_out"]["whole scene"] <= 1


def test_same_seed_gives_the_same_weights_and_another_others(trained: Path, tmp_path: Path) -> None:
    train(toy(), tmp_path / "again")
    train(VisionRecipe.model_validate({**TOY, "seed": 1}), tmp_path / "other")
    first, again, other = weights(trained), weights(tmp_path / "again"), weights(tmp_path / "other")
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = next(name for name in first if "q_proj" in name)
    assert not torch.equal(first[name], other[name])


def test_stopped_run_goes_on_to_the_same_weights(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def stop_after_the_second(directory: Path, parts: Any, step: int, fingerprint: str) -> None:
        save(directory, parts, step, fingerprint)
        if step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop_after_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(toy(), tmp_path)
    # A line that was written after the checkpoint, and one that was cut.
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"step": 5, "losses": {}}\n{"step": 6, "los')
    monkeypatch.undo()
    train(toy(), tmp_path)
    first, resumed = weights(trained), weights(tmp_path)
    assert all(torch.equal(first[name], resumed[name]) for name in first)
    assert [json.loads(line)["step"] for line in (tmp_path / JOURNAL).read_text().splitlines()] == [1, 2, 3, 4, 5, 6]


def test_checkpoint_of_another_recipe_is_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / checkpoint.FILE).write_bytes((trained / checkpoint.FILE).read_bytes())
    with pytest.raises(TrainingError, match="of another recipe"):
        train(toy(schedule={"steps": 7}), tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"no checkpoint", lambda _: b""])
def test_damaged_checkpoint_says_what_to_do(trained: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(damage((trained / checkpoint.FILE).read_bytes()))
    with pytest.raises(TrainingError, match="remove it to begin anew"):
        train(toy(), tmp_path)


def test_damaged_drawing_says_what_to_do(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, seed=0, count=4, side=48)
    assert list(pictures.draw(1))[-1] == 4
    [path] = tmp_path.glob("scenes-*/*.npy")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TrainingError, match="have it drawn again"):
        Pictures(tmp_path, seed=0, count=4, side=48).tiles([0])


@pytest.mark.parametrize(("limit", "file"), [(20_000, "npy"), (300_000, "checkpoint")])
def test_full_disk_is_a_message_and_leaves_no_half_file(tmp_path: Path, limit: int, file: str) -> None:
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(yaml.safe_dump(TOY | {"scenes": {"train": 8, "test": 8}}))

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    line = [sys.executable, "-m", "training.vision", str(recipe), "--out", str(tmp_path / "out")]
    result = subprocess.run(line, preexec_fn=small_files, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2, result.stderr
    assert file in result.stderr and "cannot be written" in result.stderr and "Traceback" not in result.stderr
    assert list((tmp_path / "out").rglob("*.part")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tower": {"pixels": 5}}, "tower.pixels"),
        ({"tower": {"picture": 100}}, "no multiple of patch 12 x shuffle 4"),
        ({"text": {"heads": 3}}, "width 32 is no multiple of twice 3 heads"),
        ({"schedule": {"learning_rate": 2.0}}, "schedule.learning_rate"),
    ],
)
def test_wrong_recipe_is_told_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, change: Any, said: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(TOY | {key: {**TOY[key], **value} for key, value in change.items()}))
    monkeypatch.setattr(sys, "argv", ["vision", str(path), "--out", str(tmp_path / "out")])
    assert command.main() == 2
    assert said in capsys.readouterr().err


def test_shipped_recipe_can_be_read() -> None:
    assert load(CONFIGS / "tiny_smolvlm.yaml", VisionRecipe).name == "tiny_smolvlm"


def test_vocabulary_survives_saving_and_knows_every_caption(tmp_path: Path) -> None:
    vocabulary = Vocabulary.learned(400, 0)
    vocabulary.save(tmp_path)
    assert Vocabulary.load(tmp_path) == vocabulary
    for index in range(200):
        caption = scene(0, index).caption
        ids = vocabulary.answer(caption)
        assert vocabulary.text(ids) == caption
        assert len(ids) < 64, "longer than the perception node lets an answer be"


def test_orthogonal_matrices_have_singular_values_near_one() -> None:
    for shape in ((20, 50), (50, 20), (30, 30)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(*shape, generator=torch.Generator().manual_seed(1))))
        assert values.min() > 0.3
        assert values.max() < 1.3


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taught long enough to say different things of different pictures."""
    out = tmp_path_factory.mktemp("taught")
    train(toy(schedule={"steps": 250, "held_out_every": 250, "learning_rate": 1e-2, "captions": 1.0}), out)
    return out


@pytest.fixture(scope="module")
def server(taught: Path) -> Iterator[str]:
    pytest.importorskip("xllamacpp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "smolfusion_ros.llama.serve_xllamacpp", "--host", "127.0.0.1", "--port", str(port)]
    line += ["--model", str(taught / "toy-text-f16.gguf"), "--mmproj", str(taught / "toy-mmproj-f16.gguf")]
    line += ["--ctx-size", "512", "--parallel", "1", "--threads", "1", "--threads-batch", "1"]
    process = subprocess.Popen(line)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            try:
                if httpx.get(f"{url}/health", timeout=1.0).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def test_llama_cpp_says_what_pytorch_says(taught: Path, server: str) -> None:
    model = SmolVLMForConditionalGeneration.from_pretrained(taught / "model")
    vocabulary = Vocabulary.load(taught / "model")
    pictures = Pictures(taught, seed=0, count=48, side=96)
    list(pictures.draw(1))
    tiles = pictures.tiles(range(12))
    wanted = answered(model, vocabulary, tiles, max_tokens=24)
    assert len(set(wanted)) > 1

    async def compare() -> None:
        client = LlamaClient(server)
        try:
            for tile, text in zip(tiles, wanted, strict=True):
                _, png = cv2.imencode(".png", np.ascontiguousarray(tile[:, :, ::-1]))
                answer = await client.ask_about_image(png.tobytes(), DESCRIBE, max_tokens=24)
                assert answer.prompt_tokens == len(vocabulary.prompt(DESCRIBE, 4))
                assert answer.text == text
        finally:
            await client.close()

    asyncio.run(compare())
