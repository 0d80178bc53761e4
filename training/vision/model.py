"""A SmolVLM of any size: the tower, the connector and the language model, with fresh weights."""

from __future__ import annotations

import math

import torch
from transformers import LlamaConfig, SmolVLMConfig, SmolVLMForConditionalGeneration
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from training.vision.recipe import Text, Tower
from training.vision.vocabulary import END, IMAGE, PAD, START, Vocabulary


def built(tower: Tower, text: Text, vocabulary: Vocabulary) -> SmolVLMForConditionalGeneration:
    """A model with random weights and, in the tower, sinusoidal positions (Beyer et al. 2022)."""
    vision = SmolVLMVisionConfig(
        hidden_size=tower.width,
        intermediate_size=tower.hidden,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads,
        image_size=tower.picture,
        patch_size=tower.patch,
    )
    language = LlamaConfig(
        vocab_size=len(vocabulary.tokens),
        hidden_size=text.width,
        intermediate_size=text.hidden,
        num_hidden_layers=text.layers,
        num_attention_heads=text.heads,
        num_key_value_heads=text.heads,
        max_position_embeddings=text.context,
        bos_token_id=vocabulary.id(START),
        eos_token_id=vocabulary.id(END),
        pad_token_id=vocabulary.id(PAD),
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
    )
    config = SmolVLMConfig(
        vision_config=vision,
        text_config=language,
        scale_factor=tower.shuffle,
        image_token_id=vocabulary.id(IMAGE),
        tie_word_embeddings=True,
    )
    model = SmolVLMForConditionalGeneration(config)
    with torch.no_grad():
        positions = model.model.vision_model.embeddings.position_embedding.weight
        positions.copy_(0.5 * _sinusoids(tower.patches, tower.width))
    return model


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    """BxHxWx3 uint8 RGB as Bx3xHxW float32, -1 to 1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def seen(model: SmolVLMForConditionalGeneration, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the tower makes of BxCxHxW pixels: BxPxW of the patches, BxTxD of the tokens."""
    patches = model.model.vision_model(pixels).last_hidden_state
    return patches, model.model.connector(patches)


def with_views(model: SmolVLMForConditionalGeneration, ids: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
    """Embeddings of BxL ids, the image tokens replaced by BxVxD views in order."""
    embedded = model.model.text_model.get_input_embeddings()(ids)
    mask = (ids == model.config.image_token_id).unsqueeze(-1)
    return embedded.masked_scatter(mask, views.to(embedded.dtype))


def _sinusoids(side: int, width: int) -> torch.Tensor:
    """Sines and cosines of row and column, (side * side) x width."""
    quarter = width // 4
    rates = torch.exp(-math.log(100.0) * torch.arange(quarter) / max(1, quarter - 1))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [each.reshape(-1, 1) * rates for each in (rows, columns)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)
