"""How scores at initialisation rank the networks of NAS-Bench-Macro (run with PYTHONPATH=tests).

    python -m benchmarks.zerocost score synflow naswot            # all 3,969 different networks, on one core
    python -m benchmarks.zerocost score grad_norm zico swap 300   # the first 300 of them in a random order
    python -m benchmarks.zerocost real 200                        # the same on images of Fashion-MNIST
    python -m benchmarks.zerocost                                 # rank correlations with the mean accuracy

Scores are kept in zerocost_nbmacro.json.gz beside this file, by the network's digits; a stopped run goes on.
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.regret.data import folder, table

from archsearch.spaces import nasbench_macro
from archsearch.spaces.architecture import Architecture
from archsearch.zerocost_units import units

CACHE = Path(__file__).parent / "zerocost_nbmacro.json.gz"
LABELS = ("identity", "mb3_k3", "mb6_k5")
SCORES = ("synflow", "naswot", "swap", "grad_norm", "zico")
SPACE = nasbench_macro.space()


def canonical(digits: str) -> str:
    """Digits of the same network with the identities after a stage's first layer moved to its end.

    >>> canonical("02001012")
    '02010012'
    """
    stages = (digits[:2], digits[2:5], digits[5:])
    return "".join([s[0] + s[1:].replace("0", "") + "0" * s[1:].count("0") for s in stages])


def architecture(digits: str) -> Architecture:
    return SPACE.architecture({f"layers[{i}]": LABELS[int(digit)] for i, digit in enumerate(digits)})


def networks() -> list[str]:
    """The digits of the different networks, in a random order that never changes."""
    found = sorted({canonical(f"{a}{b}") for a in triples(4) for b in triples(4)})
    random.Random(0).shuffle(found)
    return found


def triples(places: int) -> list[str]:
    """All numbers of so many digits 0, 1 and 2."""
    return [""] if not places else [digit + rest for digit in "012" for rest in triples(places - 1)]


def kept() -> dict[str, dict[str, float]]:
    """Scores by name of the score, then by digits; `seconds/NAME` holds what each took."""
    if not CACHE.exists():
        return {}
    with gzip.open(CACHE, "rt", encoding="utf-8") as file:
        found: dict[str, dict[str, float]] = json.load(file)
    return found


def keep(scores: Mapping[str, Mapping[str, float]]) -> None:
    text = json.dumps({name: dict(sorted(scores[name].items())) for name in sorted(scores)}, separators=(",", ":"))
    # The modification time is left out, so that equal scores are an equal file.
    CACHE.write_bytes(gzip.compress(text.encode(), mtime=0))


def scores_of(name: str) -> dict[str, float]:
    """A score of every network that has it, by its digits, whichever way they are written."""
    known = kept().get(name, {})
    every = [f"{a}{b}" for a in triples(4) for b in triples(4)]
    return {digits: known[canonical(digits)] for digits in every if canonical(digits) in known}


def compute(functions: Mapping[str, Callable[[Architecture], float]], number: int) -> None:
    scores = kept()
    for name in functions:
        scores.setdefault(name, {})
        scores.setdefault(f"seconds/{name}", {})
    saved = time.monotonic()
    for digits in networks()[:number]:
        arch = architecture(digits)
        for name, function in functions.items():
            if digits not in scores[name]:
                start = time.process_time()
                scores[name][digits] = float(f"{function(arch):.8g}")
                scores[f"seconds/{name}"][digits] = round(time.process_time() - start, 3)
        if time.monotonic() - saved > 30:
            keep(scores)
            saved = time.monotonic()
    keep(scores)


def real_functions() -> dict[str, Callable[[Architecture], float]]:
    """The scores that read data, on images of Fashion-MNIST with their labels, padded to 32 x 32, three times over."""
    import numpy as np
    import torch

    from archsearch import zerocost

    with np.load(folder() / "fashion_mnist.npz") as data:
        images, labels = data["x_train"][:64], data["y_train"][:64]
    pixels = torch.from_numpy(images).float()
    x = torch.nn.functional.pad((pixels - pixels.mean()) / pixels.std(), (2, 2, 2, 2))[:, None].expand(-1, 3, -1, -1)
    y = torch.from_numpy(labels).long()
    small = zerocost.BATCH_SIZE
    return {
        "real/naswot": lambda arch: zerocost.naswot(arch, x[:small]),
        "real/swap": lambda arch: zerocost.swap(arch, x[: zerocost.SWAP_BATCH_SIZE]),
        "real/grad_norm": lambda arch: zerocost.grad_norm(arch, x[:small], y[:small]),
        "real/zico": lambda arch: zerocost.zico(
            arch, [(x[:small], y[:small]), (x[small : 2 * small], y[small : 2 * small])]
        ),
    }


def spearman(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's correlation and its 95% interval, from 1,000 resamplings."""
    import numpy as np
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    first, second = np.array(a), np.array(b)
    drawn = [rng.integers(0, len(first), len(first)) for _ in range(1_000)]
    low, high = np.quantile([spearmanr(first[i], second[i]).statistic for i in drawn], (0.025, 0.975))
    return float(spearmanr(first, second).statistic), float(low), float(high)


def report() -> None:
    rows: Any = table("nbmacro")
    wrong = sum(canonical(digits) != name for digits, name in zip(rows["arch"], rows["canonical"], strict=True))
    print(f"{len(rows)} rows; canonical digits differ from the table's in {wrong}")
    accuracy = dict(zip(rows["canonical"], rows["mean_acc"].tolist(), strict=True))
    scores = kept()
    free: dict[str, dict[str, float]] = {"parameters": {}, "flops": {}, "units": {}}
    for digits in networks():
        arch = architecture(digits)
        for measure, number in (("parameters", arch.parameters), ("flops", arch.flops), ("units", units(arch))):
            free[measure][digits] = number
    scores = {**free, **scores}
    good = sorted(accuracy.values())[len(accuracy) // 2]
    for name in [name for name in scores if not name.startswith("seconds/")]:
        found = scores[name]
        seconds = scores.get(f"seconds/{name}", {})
        for title, chosen in (
            ("all", list(found)),
            ("first 200", networks()[:200]),
            ("better half", [digits for digits in found if accuracy[digits] >= good]),
        ):
            known = [digits for digits in chosen if digits in found]
            if not known or len(known) < len(chosen):
                continue
            middle, low, high = spearman([found[d] for d in known], [accuracy[d] for d in known])
            print(f"{name:<16} {title:<12} n={len(known):<5} {middle:6.3f}  ({low:.3f} to {high:.3f})", end="")
            print(f"   {statistics.median(seconds.values()):.2f} s" if seconds and title == "all" else "")


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments:
        return report()
    import torch

    from archsearch import zerocost

    torch.set_num_threads(1)
    number = int(arguments.pop()) if arguments[-1].isdecimal() else len(networks())
    if arguments[0] == "real":
        return compute(real_functions(), number)
    return compute({name: getattr(zerocost, name) for name in arguments[1:]}, number)


if __name__ == "__main__":
    main()
