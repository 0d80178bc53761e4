"""Requantising against llama.cpp's own, and the real model against the manifest's sum."""

import ctypes
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize

from smolfusion_ros.bringup.paths import manifest_path, share_directory
from smolfusion_ros.errors import ModelMissingError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.requantise import requantise_q8_0
from smolfusion_ros.llama.verify import sha256_of

TOY = share_directory() / "models" / "tiny_smolvlm-text-f16.gguf"


def contents(path: Path) -> tuple[dict[str, tuple[object, bytes]], dict[str, object]]:
    reader = GGUFReader(path)
    tensors = {tensor.name: (tensor.tensor_type, tensor.data.tobytes()) for tensor in reader.tensors}
    return tensors, {name: field.contents() for name, field in reader.fields.items()}


def test_metadata_is_kept_and_weights_become_q8_0(tmp_path: Path):
    requantise_q8_0(TOY, tmp_path / "q8.gguf")
    tensors, metadata = contents(tmp_path / "q8.gguf")
    before, expected = contents(TOY)
    assert {kind for kind, _ in tensors.values()} == {GGMLQuantizationType.F32, GGMLQuantizationType.Q8_0}
    assert tensors.keys() == before.keys()
    assert metadata["tokenizer.chat_template"] == expected["tokenizer.chat_template"]
    assert metadata["tokenizer.ggml.tokens"] == expected["tokenizer.ggml.tokens"]
    assert metadata["general.file_type"] == 7


@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed")
def test_tensors_are_those_of_llama_cpp_bit_for_bit(tmp_path: Path):
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
    theirs = tmp_path / "theirs.gguf"
    code = llama_cpp.llama_model_quantize(str(TOY).encode(), str(theirs).encode(), ctypes.byref(params))
    assert code == 0
    requantise_q8_0(TOY, tmp_path / "ours.gguf")
    assert contents(tmp_path / "ours.gguf")[0] == contents(theirs)[0]


def test_smollm2_requantised_here_has_the_sum_in_the_manifest(tmp_path: Path):
    manifest = load_manifest(manifest_path())
    try:
        source = manifest.resolve("smollm2-135m-instruct-q4_1").model
    except ModelMissingError as error:
        pytest.skip(str(error))
    requantise_q8_0(source, tmp_path / "q8.gguf")
    expected = manifest.entry("smollm2-135m-instruct-q8_0").model
    assert (tmp_path / "q8.gguf").stat().st_size == expected.size
    assert sha256_of(tmp_path / "q8.gguf") == expected.sha256


def write_adapter(path: Path, name: str = "blk.0.attn_q.weight") -> tuple[np.ndarray, np.ndarray]:
    """A LoRA adapter of rank 2 with alpha 4 for one tensor of the toy model."""
    [tensor] = [tensor for tensor in GGUFReader(TOY).tensors if tensor.name == "blk.0.attn_q.weight"]
    rows, columns = tensor.data.shape
    dice = np.random.default_rng(1)
    low, high = dice.normal(size=(2, columns)).astype(np.float32), dice.normal(size=(rows, 2)).astype(np.float32)
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_float32("adapter.lora.alpha", 4.0)
    writer.add_tensor(f"{name}.lora_a", low)
    writer.add_tensor(f"{name}.lora_b", high)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return low, high


def test_adapter_is_merged_into_the_tensor_that_it_is_for_and_no_other(tmp_path: Path):
    low, high = write_adapter(tmp_path / "adapter.gguf")
    requantise_q8_0(TOY, tmp_path / "plain.gguf")
    requantise_q8_0(TOY, tmp_path / "merged.gguf", tmp_path / "adapter.gguf")
    before, after = contents(tmp_path / "plain.gguf")[0], contents(tmp_path / "merged.gguf")[0]
    assert [name for name in before if before[name] != after[name]] == ["blk.0.attn_q.weight"]
    weights = [
        dequantize(tensor.data, tensor.tensor_type)
        for name in ("plain", "merged")
        for tensor in GGUFReader(tmp_path / f"{name}.gguf").tensors
        if tensor.name == "blk.0.attn_q.weight"
    ]
    assert np.abs(weights[1] - weights[0] - 2.0 * high @ low).max() < 0.01 * np.abs(weights[1]).max()


def test_what_is_no_adapter_of_the_model_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="is no LoRA adapter"):
        requantise_q8_0(TOY, tmp_path / "merged.gguf", TOY)
    write_adapter(tmp_path / "adapter.gguf", "blk.99.attn_q.weight")
    with pytest.raises(ValueError, match=r"adapts blk\.99\.attn_q\.weight, which its base does not have"):
        requantise_q8_0(TOY, tmp_path / "merged.gguf", tmp_path / "adapter.gguf")
