"""A SmolVLM as two files that llama.cpp serves: the language model, and the tower with its projector (mmproj).

The formats are those of llama.cpp's ``convert_hf_to_gguf.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import SmolVLMForConditionalGeneration

from training.errors import TrainingError
from training.export import gguf_files
from training.vision.vocabulary import CHAT_TEMPLATE, END, PAD, START, UNKNOWN, Vocabulary

_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# llama.cpp computes with these in float32.
_FULL = ("position_embd", "patch_embd")
_HALF = 0.5


def export(
    model: SmolVLMForConditionalGeneration,
    vocabulary: Vocabulary,
    directory: Path,
    name: str,
    *,
    longest_edge: int | None = None,
) -> tuple[Path, Path]:
    """Write ``<name>-text-f16.gguf`` and ``<name>-mmproj-f16.gguf``, matrices in F16; gives both paths.

    Args:
        longest_edge: pixels to which a picture is scaled before it is cut into tiles; None: the tower's, a single tile.

    Raises:
        TrainingError: a file cannot be written, or a weight has no name in GGUF.
    """
    text, mmproj = directory / f"{name}-text-f16.gguf", directory / f"{name}-mmproj-f16.gguf"
    _write_text(model, vocabulary, text, name)
    _write_tower(model, mmproj, name, longest_edge)
    return text, mmproj


def _write_text(model: SmolVLMForConditionalGeneration, vocabulary: Vocabulary, path: Path, name: str) -> None:
    config: Any = model.config.text_config
    weights = model.model.text_model.state_dict()
    with gguf_files.written(path, "llama") as writer:
        writer.add_type("model")
        writer.add_name(name)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
        writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_vocab_size(len(vocabulary.tokens))
        writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_F16))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_vocabulary(writer, vocabulary)
        _add(writer, "token_embd.weight", weights["embed_tokens.weight"])
        if not model.config.tie_word_embeddings:
            _add(writer, "output.weight", model.lm_head.weight)
        _add(writer, "output_norm.weight", weights["norm.weight"])
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
        for layer in range(config.num_hidden_layers):
            for theirs, ours in _LAYER.items():
                values = weights[f"layers.{layer}.{theirs}.weight"]
                _add(writer, f"blk.{layer}.{ours}.weight", values, heads=heads.get(ours, 0))


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(list(vocabulary.tokens))
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([int(control if t in vocabulary.special else normal) for t in vocabulary.tokens])
    writer.add_token_merges(list(vocabulary.merges))
    writer.add_bos_token_id(vocabulary.id(START))
    writer.add_eos_token_id(vocabulary.id(END))
    writer.add_unk_token_id(vocabulary.id(UNKNOWN))
    writer.add_pad_token_id(vocabulary.id(PAD))
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _write_tower(model: SmolVLMForConditionalGeneration, path: Path, name: str, longest_edge: int | None) -> None:
    config: Any = model.config.vision_config
    language: Any = model.config.text_config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, config.num_hidden_layers)
    with gguf_files.written(path, "clip") as writer:
        writer.add_type("mmproj")
        writer.add_name(name)
        writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_F16))
        writer.add_clip_has_vision_encoder(True)
        writer.add_clip_projector_type("idefics3")
        writer.add_vision_use_gelu(True)
        writer.add_vision_projection_dim(language.hidden_size)
        writer.add_vision_image_size(config.image_size)
        writer.add_vision_patch_size(config.patch_size)
        writer.add_vision_embedding_length(config.hidden_size)
        writer.add_vision_feed_forward_length(config.intermediate_size)
        writer.add_vision_block_count(config.num_hidden_layers)
        writer.add_vision_head_count(config.num_attention_heads)
        writer.add_vision_image_mean([_HALF] * 3)
        writer.add_vision_image_std([_HALF] * 3)
        writer.add_vision_attention_layernorm_eps(config.layer_norm_eps)
        writer.add_vision_projector_scale_factor(model.config.scale_factor)
        writer.add_vision_preproc_image_size(longest_edge or config.image_size)
        for theirs, values in model.model.state_dict().items():
            if not theirs.startswith(("vision_model", "connector")):
                continue
            ours = names.get_name(f"model.{theirs}", try_suffixes=(".weight", ".bias"))
            if ours is None:
                raise TrainingError(f"{theirs} has no name in GGUF")
            _add(writer, ours, values, full=any(each in ours for each in _FULL))


def _add(writer: gguf.GGUFWriter, name: str, values: torch.Tensor, *, full: bool = False, heads: int = 0) -> None:
    array: np.ndarray[Any, Any] = values.detach().cpu().float().numpy()
    if heads:
        array = gguf_files.paired_rows(array, heads)
    if array.ndim >= 2 and not full:
        array = array.astype(np.float16)
    writer.add_tensor(name, np.ascontiguousarray(array))
