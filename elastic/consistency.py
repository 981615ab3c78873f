"""How alike two models answer (MatFormer, section 3.4): agreement on tokens, and divergence of their distributions.

Small sub-networks that answer as the large one does are what makes speculative decoding and routing cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from archsearch.elastic.evaluate import inputs_of, targets_of
from archsearch.elastic.losses import IGNORE, logits_of
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.errors import ElasticError

# A module, or a super-network and which sub-network of it.
Model: TypeAlias = nn.Module | tuple[Elastic, SubNetwork]


def agreement(large: Model, small: Model, batches: Iterable[Any]) -> dict[str, float]:
    """How two models agree on given data ("teacher-forced": both see the same tokens before each position).

    Args:
        large: such as `(net, None)`.
        small: such as `(net, 1/4)`.
        batches: see `archsearch.elastic.Evaluate`; positions without a target do not count.

    Returns:
        "agree_tf", the share of positions with the same most probable class; "kl_fwd", KL(large || small), and
        "kl_rev", KL(small || large), in nats a position. The paper does not say in which direction its KL is.

    Raises:
        ElasticError: there are no positions.
    """
    sums = torch.zeros(3, dtype=torch.float64)
    total = 0
    with torch.no_grad(), Evaluating(large), Evaluating(small):
        for batch in batches:
            p, q = (positions(run(model, inputs_of(batch)), batch) for model in (large, small))
            same = p.argmax(-1) == q.argmax(-1)
            log_p, log_q = p.double().log_softmax(-1), q.double().log_softmax(-1)
            divergences = [
                F.kl_div(of, by, reduction="sum", log_target=True) for of, by in ((log_q, log_p), (log_p, log_q))
            ]
            sums += torch.stack([same.sum().double(), *divergences]).cpu()
            total += len(p)
    if not total:
        raise ElasticError("agreement: expected batches with something to predict, but there are none")
    return dict(zip(("agree_tf", "kl_fwd", "kl_rev"), (sums / total).tolist(), strict=True))


def agree_gen(large: Model, small: Model, prompts: torch.Tensor, num_tokens: int) -> float:
    """The share of tokens that two models generate alike from the same prompts, each going on from its own.

    Both take the most probable token each time, so from the first difference on they see different texts.

    Args:
        large: a language model.
        small: another.
        prompts: tokens (B, T); prompt and continuation must fit the models' context.
        num_tokens: of the continuation.
    """
    one, other = (continuation(model, prompts, num_tokens) for model in (large, small))
    return float((one == other).double().mean())


def continuation(model: Model, prompts: torch.Tensor, num_tokens: int) -> torch.Tensor:
    """The most probable tokens after prompts (B, T), one after the other: (B, num_tokens)."""
    tokens = prompts
    with torch.no_grad(), Evaluating(model):
        for _ in range(num_tokens):
            following = logits_of(run(model, tokens))[:, -1].argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, following], 1)
    return tokens[:, prompts.shape[1] :]


def positions(output: Any, batch: Any) -> torch.Tensor:
    """The logits (n, classes) of the positions that count."""
    found = targets_of(output, batch)
    logits = logits_of(output)
    return logits.flatten(0, -2) if found is None else found[0][found[1] != IGNORE]


def run(model: Model, inputs: Any) -> Any:
    if isinstance(model, tuple):
        net, sub = model
        return net(inputs, sub)
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


class Evaluating:
    """A model in evaluation mode for a while."""

    def __init__(self, model: Model) -> None:
        self.module = model[0] if isinstance(model, tuple) else model
        self.was_training = self.module.training

    def __enter__(self) -> None:
        self.module.eval()

    def __exit__(self, *error: object) -> None:
        self.module.train(self.was_training)
