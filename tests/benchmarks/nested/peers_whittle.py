"""A sampled step here and in whittle, on one model: `python -m benchmarks.nested.peers_whittle`.

Needs whittle and litgpt (RESULTS.md says how they were installed). A Llama-like model of litgpt's is made, its weights
are copied into `archsearch.elastic.transformer.Transformer`, and logits of every granularity are compared before any
is timed. Timed are forward and backward by turns, in CPU time of one thread, as the ratio of the medians (below 1:
archsearch takes less).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import torch
from torch.nn import functional as F

from archsearch.elastic.losses import default_loss
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.objective import Objective
from archsearch.elastic.sampling import Pass, Sampled
from archsearch.elastic.shared import Shared
from archsearch.elastic.transformer import EPSILON, Transformer, TransformerConfig

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT, VOCABULARY = 256, 4, 4, 1024, 128, 256
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)


def theirs() -> Any:
    from litgpt import Config
    from whittle.models.gpt import GPT

    torch.manual_seed(0)
    config = Config(
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_query_groups=HEADS,
        head_size=WIDTH // HEADS,
        intermediate_size=HIDDEN,
        block_size=CONTEXT,
        vocab_size=VOCABULARY,
        padded_vocab_size=VOCABULARY,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        lm_head_bias=False,
        norm_class_name="RMSNorm",
        norm_eps=EPSILON,
        mlp_class_name="LLaMAMLP",
    )
    return GPT(config)


def ours(gpt: Any) -> MatFormer:
    """The same model, with the weights of theirs."""
    sizes = TransformerConfig(
        vocabulary=VOCABULARY,
        context=CONTEXT,
        width=WIDTH,
        layers=LAYERS,
        heads=HEADS,
        head_dim=WIDTH // HEADS,
        hidden=HIDDEN,
        gated=True,
        tied=False,
    )
    model: Any = Transformer(sizes)
    with torch.no_grad():
        model.embedding.weight.copy_(gpt.transformer.wte.weight)
        model.head.weight.copy_(gpt.lm_head.weight)
        model.norm.weight.copy_(gpt.transformer.ln_f.weight)
        for mine, other in zip(model.layers, gpt.transformer.h, strict=True):
            mine.attention_norm.weight.copy_(other.norm_1.weight)
            mine.ffn_norm.weight.copy_(other.norm_2.weight)
            mine.ffn.gate.weight.copy_(other.mlp.fc_1.weight)
            mine.ffn.up.weight.copy_(other.mlp.fc_2.weight)
            mine.ffn.down.weight.copy_(other.mlp.proj.weight)
            mine.attention.out.weight.copy_(other.attn.proj.weight)
            for target, rows in zip((mine.attention.q, mine.attention.k, mine.attention.v), qkv(other), strict=True):
                target.weight.copy_(rows)
    return MatFormer(model, SHARES)


def qkv(block: Any) -> list[torch.Tensor]:
    """The three matrices of litgpt's fused one."""
    return list(block.attn.qkv.weight.split(WIDTH))


def choose(gpt: Any, share: float) -> None:
    gpt.set_sub_network(
        sub_network_n_embd=WIDTH,
        sub_network_intermediate_size=int(share * HIDDEN),
        sub_network_num_heads=HEADS,
        sub_network_n_layers=LAYERS,
    )


def milliseconds(steps: list[Callable[[], None]], seconds: float = 6.0) -> list[float]:
    """Median CPU time of each, by turns."""
    times: list[list[float]] = [[] for _ in steps]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 7:
        for step, found in zip(steps, times, strict=True):
            start = time.thread_time()
            step()
            found.append(1000 * (time.thread_time() - start))
    return [statistics.median(found[2:]) for found in times]


def main() -> None:
    torch.set_num_threads(1)
    gpt = theirs()
    net = ours(gpt)
    print(f"whittle {metadata.version('whittle')}, litgpt {metadata.version('litgpt')}, torch {torch.__version__}")
    ids = torch.randint(VOCABULARY, (8, CONTEXT), generator=torch.Generator().manual_seed(0))
    for share in SHARES:
        choose(gpt, share)
        with torch.no_grad():
            apart = (gpt(ids) - net(ids, share)).abs().max()
        assert apart < 1e-4, f"not the same model: logits are {apart} apart at {share}"
    shared = Shared(net)
    objective = Objective(shared, Sampled().plan(net), default_loss, 0.0, None)
    print("tokens  share  whittle ms  archsearch ms  ratio")
    for number in (8, 256, 1024):
        batch = ids.flatten()[:number].view(-1, min(number, CONTEXT))
        for share in SHARES:
            this = Pass(net.cut(share), 1.0)

            def mine(this: Pass = this, batch: torch.Tensor = batch) -> None:
                objective(this, batch).backward()
                shared.clear([this.cut])

            def other(share: float = share, batch: torch.Tensor = batch) -> None:
                choose(gpt, share)
                logits = gpt(batch)
                F.cross_entropy(logits[:, :-1].flatten(0, -2), batch[:, 1:].flatten()).backward()
                gpt.zero_grad()

            found = milliseconds([other, mine])
            print(f"{number:6}  {share:5}  {found[0]:10.2f}  {found[1]:13.2f}  {found[1] / found[0]:5.2f}", flush=True)


if __name__ == "__main__":
    main()
