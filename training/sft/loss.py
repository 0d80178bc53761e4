"""The loss of many branches that continue one prefix, which is evaluated once for all of them."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, PreTrainedModel

from training.sft.batches import Batch
from training.sft.branches import IGNORED


def branch_loss(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Mean cross entropy over the answers' tokens, in nats, the same as if every branch stood behind its own prefix.

    The prefix's keys and values are a part of the graph, so its gradient is that of the whole, too. Padding on the
    right is seen by no token before it under the causal mask. Only the answers' tokens are put to the vocabulary,
    which is a fifth of a small model's work.
    """
    hidden = _hidden(model, batch)
    # The state at a position predicts the next token.
    targets = batch.labels[:, 1:]
    asked = targets != IGNORED
    head = model.get_output_embeddings()
    logits = head(hidden[:, :-1][asked]).float()
    return cross_entropy(logits, targets[asked])


def _hidden(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    decoder = getattr(model, model.base_model_prefix)
    if not len(batch.prefix):
        return decoder(input_ids=batch.ids, use_cache=False).last_hidden_state
    cache = DynamicCache(config=model.config)
    decoder(input_ids=batch.prefix[None], past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(batch.ids))
    return decoder(input_ids=batch.ids, past_key_values=cache, use_cache=True).last_hidden_state
