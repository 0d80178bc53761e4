"""Requantising against llama.cpp's own, and the real model against the manifest's sum."""

import ctypes
import importlib.util
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType, GGUFReader

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
