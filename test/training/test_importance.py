"""How strongly columns are used is measured on the text, whatever it is padded with."""

import numpy as np
import torch
from gguf import MODEL_ARCH, get_tensor_name_map
from toy_language_model import toy_model

from training.export.importance import importance
from training.sft.batches import Batch, Batches
from training.sft.branches import IGNORED, Branch

NAMES = get_tensor_name_map(MODEL_ARCH.LLAMA, 2)


def branch(length: int) -> Branch:
    ids = tuple(range(20, 20 + length))
    return Branch((5, 6, 7), ids, (IGNORED, *ids[1:]))


def batch_of(*branches: Branch) -> Batch:
    [batch] = Batches(branches, batch_tokens=1000, padding=0, seed=0).first(1)
    return batch


def test_padding_does_not_count():
    model = toy_model()
    padded = importance(model, [batch_of(branch(4), branch(40))], NAMES)
    apart = importance(model, [batch_of(branch(4)), batch_of(branch(40))], NAMES)
    assert padded.keys() == apart.keys()
    for name, squares in padded.items():
        assert np.allclose(squares, apart[name], rtol=1e-4), name


def test_columns_are_the_mean_squares_of_what_enters_a_matrix():
    model, batch = toy_model(), batch_of(branch(10))
    entered = []
    model.model.layers[1].mlp.down_proj.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0][0]))
    found = importance(model, [batch], NAMES)["blk.1.ffn_down.weight"]
    assert found.shape == (64,)
    assert np.allclose(found, torch.mean(entered[0] ** 2, dim=0).numpy(), rtol=1e-4)
