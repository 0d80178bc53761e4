"""Branches behind a prefix that is evaluated once have the loss and the gradient of whole sequences."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from toy_language_model import toy_model

from training.sft.batches import Batches
from training.sft.branches import IGNORED, Branch
from training.sft.loss import branch_loss

PREFIX = tuple(range(10, 30))


@pytest.fixture
def branches() -> list[Branch]:
    generator = torch.Generator().manual_seed(2)
    found = []
    for length in (5, 9, 14):
        ids = torch.randint(3, 259, (length,), generator=generator).tolist()
        found.append(Branch(PREFIX, tuple(ids), (IGNORED, IGNORED, *ids[2:])))
    return found


@pytest.mark.parametrize("prefix", [PREFIX, ()])
def test_loss_and_gradient_are_those_of_whole_sequences(branches: list[Branch], prefix: tuple[int, ...]):
    model = toy_model()
    branches = [Branch(prefix, each.ids, each.labels) for each in branches]
    [batch] = Batches(branches, batch_tokens=1000, padding=0, seed=0).first(1)
    loss = branch_loss(model, batch)
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    total, tokens = torch.zeros(()), 0
    for each in branches:
        logits = model(input_ids=torch.tensor([[*prefix, *each.ids]])).logits[0, :-1]
        targets = torch.tensor([*[IGNORED] * len(prefix), *each.labels])[1:]
        total = total + cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
        tokens += int((targets != IGNORED).sum())
    naive = total / tokens
    naive.backward()
    assert loss.item() == pytest.approx(naive.item(), rel=1e-5)
    for name, weight in model.named_parameters():
        assert torch.allclose(weight.grad, gradients[name], rtol=1e-3, atol=1e-6), name
