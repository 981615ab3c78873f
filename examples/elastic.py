"""Train one language model, then cut it to the size that you can afford (the text is Python's own: no download).

    python examples/elastic.py                                   # train, compare, search, cut out, run the result alone
    archsearch run examples/elastic.py --trials 40 --workers 2   # the search alone, on what that trained

A MatFormer (arXiv:2310.07707) of bytes with 6 layers: in each of them the first 1/8, 1/4, 1/2 or all of the hidden
units stay, which makes 4,096 models in one. They are compared on a validation part; a test part is read at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import torch
from safetensors.torch import save_file

import archsearch as A
from archsearch.elastic import transformer as own

STEPS = 1200  # of training, each with one of the four granularities in all layers
TRIALS = 60  # of the search
BUDGET = 200_000  # parameters of the model that is wanted; the smallest has 140,096, the whole 312,128
CONTEXT = 128  # bytes
BATCH = 16  # sequences

NET = Path(f"elastic-net-{STEPS}").absolute()  # the trained super-network
OUT = Path("elastic-small").absolute()  # what was cut out of it

config = own.TransformerConfig(width=64, layers=6, heads=4, head_dim=16, hidden=256, context=CONTEXT)
space = A.elastic.MatFormer(own.Transformer(config)).space()  # of any weights
objective = {"loss": "minimize"}
constraints = {"parameters": f"<= {BUDGET}"}


def text() -> dict[str, torch.Tensor]:
    """The bytes of the standard library's files, for training, validation and the final test: whole files each."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    parts: dict[str, list[bytes]] = {"train": [], "validation": [], "test": []}
    for i, file in enumerate(files):
        part = {7: "validation", 17: "test"}.get(i % 20, "train")
        parts[part].append(file.read_bytes())
    return {name: torch.frombuffer(bytearray(b"".join(some)), dtype=torch.uint8) for name, some in parts.items()}


def batch(data: torch.Tensor, number: int) -> torch.Tensor:
    """Sequences of a text, (BATCH, CONTEXT), the same ones for the same number."""
    starts = torch.randint(len(data) - CONTEXT, (BATCH,), generator=torch.Generator().manual_seed(number))
    return torch.stack([data[start : start + CONTEXT] for start in starts.tolist()]).long()


def batches(part: str, n: int = 16) -> list[torch.Tensor]:
    """`n` batches from all over a part."""
    data = text()[part]
    starts = torch.linspace(0, len(data) - CONTEXT, n * BATCH).long().tolist()
    return list(torch.stack([data[start : start + CONTEXT] for start in starts]).long().split(BATCH))


def trained() -> A.elastic.Elastic:
    """The trained super-network; trained now if it is not there yet."""
    if not NET.exists():
        torch.manual_seed(0)
        net = A.elastic.MatFormer(own.Transformer(config))
        optimizer = A.elastic.AdamW(net, lr=3e-3, betas=(0.9, 0.95))
        schedule = A.elastic.cosine(STEPS, warmup=STEPS // 20)
        data = text()["train"]
        A.elastic.train(net, lambda i: batch(data, i), steps=STEPS, optimizer=optimizer, schedule=schedule)
        net.save(NET)
    return A.elastic.load(NET)


# Runs a sub-network inside the super-network, which a worker loads once.
evaluate = A.elastic.Evaluate(trained, lambda: batches("validation"))


# What a user of the folder writes; the first line shows that archsearch is not needed: it cannot be imported.
ALONE = """
import sys; sys.modules["archsearch"] = None
import json, torch
from model import build
from safetensors.torch import load_file, load_model

model = build(json.load(open("config.json"))).eval()
load_model(model, "model.safetensors")
with torch.no_grad():
    tokens = load_file("test.safetensors")["tokens"]
    logits = model(tokens)[:, :-1]
    print(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item())
    text = torch.tensor([list(b"    def __init__(self, ")])
    for _ in range(60):
        text = torch.cat([text, model(text)[:, -1:].argmax(-1)], 1)
    print(bytes(text[0].tolist()).decode("utf-8", "replace"))
"""


def main() -> None:
    torch.set_num_threads(1)  # such a small network gains nothing from more
    net = trained()
    whole = (net, None)
    print(f"{'':>14}  parameters  loss (nats a byte)  agrees with the whole")
    for name, share in (("1/8", 1 / 8), ("1/4", 1 / 4), ("1/2", 1 / 2), ("whole", 1)):
        size = net.space().blueprint.parameters(net.cut(share))
        agrees = A.elastic.agreement(whole, (net, share), batches("validation"))["agree_tf"]
        print(f"{name:>14}  {size:10,}  {evaluate.of(share)['loss']:18.4f}  {agrees:21.1%}")

    study = A.Study(
        net.space(), evaluate, objective=objective, constraints=constraints, searcher="evolution", store="runs.db",
        name=f"elastic-{STEPS}-{BUDGET}", seed=0,
    )  # fmt: skip
    study.run(trials=TRIALS)
    found = study.best.arch
    rule = A.elastic.mix_n_match(net, BUDGET)
    for name, arch in (("the rule's", rule), ("found", found)):
        print(f"{name:>14}  {arch.parameters:10,}  {evaluate.of(arch)['loss']:18.4f}  {arch['ffn']}")

    shutil.rmtree(OUT, ignore_errors=True)
    A.elastic.extract(NET, OUT, found, verify=True)
    test = torch.cat(batches("test"))
    save_file({"tokens": test}, OUT / "test.safetensors")
    alone = subprocess.run([sys.executable, "-c", ALONE], cwd=OUT, stdout=subprocess.PIPE, text=True, check=True)
    loss, _, words = alone.stdout.partition("\n")
    print(f"test loss inside the super-network: {A.elastic.Evaluate(net, [test]).of(found)['loss']:.4f}")
    print(f"test loss of {OUT.name}, without archsearch: {float(loss):.4f}")
    print(words)


if __name__ == "__main__":
    main()
