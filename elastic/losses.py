"""What training minimises where nothing else is said, and distillation from the largest sub-network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from archsearch.errors import ElasticError

# Targets that count nothing, as in torch and transformers.
IGNORE = -100


def logits_of(output: Any) -> torch.Tensor:
    """The logits of a model's output: itself, its `.logits`, or the first of a tuple.

    Raises:
        ElasticError: there are none.
    """
    found = output if isinstance(output, torch.Tensor) else getattr(output, "logits", None)
    if found is None and isinstance(output, tuple) and output:
        found = output[0]
    if not isinstance(found, torch.Tensor):
        raise ElasticError(f"expected logits, a tensor or an output with `.logits`, but the model gave {output!r:.100}")
    return found


def default_loss(output: Any, batch: Any) -> torch.Tensor:
    """The mean cross-entropy, of what the batch says.

    - a mapping (named arguments): the model's own loss where it gives one (`labels` in the batch); otherwise of the
      next token of `labels` or `input_ids`;
    - a pair of inputs and targets: of the targets, class numbers, one for each vector of logits;
    - a tensor of tokens: of the next token of each.

    Raises:
        ElasticError: the batch is something else, or has other shapes.
    """
    if isinstance(batch, Mapping) and getattr(output, "loss", None) is not None:
        own: torch.Tensor = output.loss
        return own
    logits = logits_of(output)
    if isinstance(batch, Mapping):
        tokens = batch.get("labels", batch.get("input_ids"))
        if isinstance(tokens, torch.Tensor) and tokens.shape == logits.shape[:-1]:
            mask = batch.get("attention_mask")
            if "labels" not in batch and mask is not None:
                tokens = tokens.masked_fill(mask == 0, IGNORE)
            return cross_entropy(logits[:, :-1], tokens[:, 1:])
    elif isinstance(batch, tuple | list) and len(batch) == 2 and batch[1].shape == logits.shape[:-1]:
        return cross_entropy(logits, batch[1])
    elif isinstance(batch, torch.Tensor) and not batch.is_floating_point() and batch.shape == logits.shape[:-1]:
        return cross_entropy(logits[:, :-1], batch[:, 1:])
    raise ElasticError(
        f"the loss of logits of shape {tuple(logits.shape)} does not follow from a batch that is "
        f"{described(batch)}; expected tokens, (inputs, class numbers), or a mapping with labels or input_ids; "
        "otherwise give loss=lambda output, batch: ..."
    )


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of logits (..., classes) and class numbers (...), in float32 or more."""
    exact = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(exact.flatten(0, -2), targets.flatten(), ignore_index=IGNORE)


def divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) = sum_c p_c (log p_c - log q_c), the mean over all positions.

    Args:
        teacher: logits (..., classes); no gradient flows there.
        student: logits of the same shape.
    """
    log_p = F.log_softmax(teacher.detach().float(), -1).flatten(0, -2)
    log_q = F.log_softmax(student.float(), -1).flatten(0, -2)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def described(batch: Any) -> str:
    """A batch in a few words, for messages."""
    if isinstance(batch, torch.Tensor):
        return f"a tensor of {batch.dtype} {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return "{" + ", ".join(f"{name}: {described(value)}" for name, value in batch.items()) + "}"
    if isinstance(batch, tuple | list):
        return "(" + ", ".join(described(item) for item in batch) + ")"
    return repr(batch)[:60]
