"""Evaluation of sub-networks on validation data with the shared weights: what a search asks for, without training.

    evaluate = A.elastic.Evaluate("net", batches, latency=True)
    study = A.Study(net.space(), evaluate, objective={"loss": "minimize", "parameters": "minimize"},
                    constraints={"latency_ms": "<= 5"})

A batch is what training takes: a tensor of tokens (each predicts the next), a pair of inputs and class numbers, or a
mapping of named arguments.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import nn

from archsearch.elastic.batches import call, to_device
from archsearch.elastic.losses import IGNORE, cross_entropy, default_loss, logits_of
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.elastic.trie import Trie
from archsearch.errors import ElasticError
from archsearch.spaces.space import Architecture

Batches: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]
Metrics: TypeAlias = Callable[[Any, Any], Mapping[str, float]]

# Runs before the measured ones, in which memory is taken and kernels are chosen.
WARM_UP = 3
REPEATS = 20


class HasArchitecture(Protocol):
    """A trial, as far as it is needed."""

    @property
    def arch(self) -> Architecture: ...


class Evaluate:
    """The metrics of a trial's sub-network, run inside the super-network.

    Args:
        net: the super-network; the folder that `net.save` wrote, which travels to Ray workers as its path and is loaded
            once in each process; or a function that makes it there.
        batches: validation data: batches, or a function that gives them, called once in each process.
        metrics: of an output and its batch, each the mean over the batch's targets; by default "loss" (see
            `default_loss`) and "accuracy" (see `targets_of`). They are averaged over all targets.
        latency: also measure "latency_ms", of the extracted sub-network (see `latency_ms`): True for the first batch,
            or a batch for it.
        device: where net and batches are moved; by default they stay where they are.
    """

    def __init__(
        self,
        net: Elastic | str | Path | Callable[[], Elastic],
        batches: Batches,
        metrics: Metrics | None = None,
        *,
        latency: Any = False,
        device: torch.device | str | None = None,
    ) -> None:
        self.given = net if isinstance(net, Elastic) or callable(net) else Path(net).absolute()
        self.batches = batches if callable(batches) else list(batches)
        self.metrics = metrics or default_metrics
        self.latency = latency
        self.device = device
        self._net: Elastic | None = None
        self._data: list[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_net": None, "_data": None}

    @property
    def net(self) -> Elastic:
        """The super-network in this process."""
        if self._net is None:
            if isinstance(self.given, Path):
                from archsearch.elastic.saving import load

                self._net = load(self.given)
            else:
                self._net = self.given if isinstance(self.given, Elastic) else self.given()
            if self.device is not None:
                self._net.to(self.device)
        return self._net

    @property
    def data(self) -> list[Any]:
        """The validation data in this process.

        Raises:
            ElasticError: there is none.
        """
        if self._data is None:
            self._data = [self.moved(batch) for batch in (self.batches() if callable(self.batches) else self.batches)]
        if not self._data:
            raise ElasticError("Evaluate: expected batches of validation data, but there are none")
        return self._data

    def __call__(self, trial: HasArchitecture) -> dict[str, float]:
        """The metrics of a trial."""
        return self.of(trial.arch)

    def of(self, sub: SubNetwork) -> dict[str, float]:
        """The metrics of a sub-network; see `Elastic.forward` for how it is named."""
        return self.many([sub])[0]

    def many(self, subs: Sequence[SubNetwork]) -> list[dict[str, float]]:
        """The metrics of several sub-networks; layers that they begin with in common run once (see `Trie`)."""
        net = self.net
        cuts = [net.cut(sub) for sub in subs]
        trie = Trie(net, cuts) if len(cuts) > 1 else None
        means = [Means(self.metrics) for _ in cuts]
        was_training = net.training
        net.eval()
        try:
            for batch in self.data:
                x = inputs_of(batch)
                with torch.no_grad():
                    for number, output in trie.outputs(x) if trie else [(0, net(x, cuts[0]))]:
                        means[number].add(output, batch)
            found = [mean.result() for mean in means]
            if self.latency is not False:
                batch = self.data[0] if self.latency is True else self.moved(self.latency)
                for cut, metrics in zip(cuts, found, strict=True):
                    metrics["latency_ms"] = latency_ms(net.extract(cut), batch)
        finally:
            net.train(was_training)
        return found

    def moved(self, batch: Any) -> Any:
        """A batch on the device."""
        return batch if self.device is None else to_device(batch, torch.device(self.device))


class Means:
    """Metrics over several batches, each weighted by its number of targets.

    Args:
        metrics: of an output and its batch.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.sums: dict[str, float] = {}
        self.total = 0

    def add(self, output: Any, batch: Any) -> None:
        weight = num_targets(output, batch)
        self.total += weight
        for name, value in self.metrics(output, batch).items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * float(value)

    def result(self) -> dict[str, float]:
        return {name: value / max(1, self.total) for name, value in self.sums.items()}


def default_metrics(output: Any, batch: Any) -> dict[str, float]:
    """The loss, and the accuracy where it is plain what the targets are."""
    found = targets_of(output, batch)
    if found is None:
        return {"loss": float(default_loss(output, batch))}
    logits, targets = found
    counts = targets != IGNORE
    right = (logits.argmax(-1) == targets)[counts].double().mean()
    return {"loss": float(cross_entropy(logits, targets)), "accuracy": float(right)}


def targets_of(output: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Logits (..., classes) and the class numbers (...) that they are to predict, -100 where there is none.

    None where labels have a place for each token: whether they are shifted is known to the model alone.
    """
    logits = logits_of(output)
    if isinstance(batch, Mapping):
        labels = batch.get("labels")
        if labels is not None:
            return (logits, labels) if labels.ndim == 1 and logits.ndim == 2 else None
        tokens, mask = batch.get("input_ids"), batch.get("attention_mask")
        if tokens is not None and mask is not None:
            tokens = tokens.masked_fill(mask == 0, IGNORE)
        batch = tokens
    if isinstance(batch, tuple | list) and len(batch) == 2 and batch[1].shape == logits.shape[:-1]:
        return logits, batch[1]
    if isinstance(batch, torch.Tensor) and not batch.is_floating_point() and batch.shape == logits.shape[:-1]:
        return logits[:, :-1], batch[:, 1:]
    return None


def num_targets(output: Any, batch: Any) -> int:
    found = targets_of(output, batch)
    if found is not None:
        return int((found[1] != IGNORE).sum())
    labels = batch.get("labels") if isinstance(batch, Mapping) else None
    return int((labels != IGNORE).sum()) if isinstance(labels, torch.Tensor) else len(logits_of(output))


def latency_ms(model: nn.Module, batch: Any, repeats: int = REPEATS) -> float:
    """The time that a model takes for a batch, in milliseconds: the median of so many runs, after three to warm up.

    Args:
        model: such as `net.extract(arch)`, on the device that it is measured on.
        batch: of validation data; a tensor of shape (1, tokens) for the latency of one sequence.
        repeats: measured runs.
    """
    model.eval()
    cuda = any(p.is_cuda for p in model.parameters())
    times = []
    with torch.no_grad():
        for i in range(WARM_UP + repeats):
            started = time.perf_counter()
            call(model, batch)
            if cuda:
                torch.cuda.synchronize()
            if i >= WARM_UP:
                times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def inputs_of(batch: Any) -> Any:
    """What of a batch the model takes."""
    return batch[0] if isinstance(batch, tuple | list) else batch
