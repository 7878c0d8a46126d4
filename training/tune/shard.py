"""Frozen weights spread over several GPUs; the adapter stays whole on each.

FSDP (https://arxiv.org/abs/2304.11277) gathers a layer's weights when it is computed and drops them after.
The LoRA weights are left out of it: they are small, and every process needs them to take the same step
(`training.tune.world`) and to save them. Embeddings and lm_head are left out too: the loss is computed
from the hidden states (`training.tune.lora`), past the module that would gather them.
"""

from __future__ import annotations

from typing import Any


def shard_base(model: Any) -> None:
    """Shard the frozen weights of every decoder layer over all processes."""
    from torch.distributed.fsdp import fully_shard

    adapter = {weight for weight in model.parameters() if weight.requires_grad}
    body = model.get_base_model().base_model
    in_layers = set(body.layers.parameters())
    for layer in body.layers:
        fully_shard(layer, ignored_params=adapter)
    # Nothing of its own to shard: it is the root that gathers the next layer while one is computed.
    others = {weight for weight in body.parameters() if weight not in in_layers}
    fully_shard(body, ignored_params=adapter | others)
