"""Tables of what `parity` and `sorted` measured: `python -m benchmarks.nested.report`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from benchmarks.nested import parity
from benchmarks.nested.sorted import RESULTS as SORTED
from benchmarks.nested.sorted import summary

SIZES = ("S", "M", "L", "XL")


def spread(values: Iterable[float], digits: int = 3) -> str:
    """The mean, with the standard deviation of several."""
    found = list(values)
    more = f" ±{statistics.stdev(found):.{digits}f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):.{digits}f}{more}"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def granularities(rows: Sequence[dict[str, Any]], measure: str, digits: int = 3) -> list[str]:
    return [spread((r["granularities"][i][measure] for r in rows), digits) for i in range(len(SIZES))]


def parity_tables(rows: Sequence[dict[str, Any]]) -> None:
    """For each data set: losses at equal compute and at equal steps, agreement, and Mix'n'Match against the line."""
    for task in dict.fromkeys(r["task"] for r in rows):
        mine = [r for r in rows if r["task"] == task]
        few = min(r["steps"] for r in mine)
        kinds = {
            f"nested, {4 * few} steps in all": [r for r in mine if r["kind"] == "nested"],
            f"alone, {few} steps each (equal compute)": [r for r in mine if r["kind"] == "alone" and r["steps"] == few],
            f"alone, {4 * few} steps each (equal steps)": [
                r for r in mine if r["kind"] == "alone" and r["steps"] > few
            ],
        }
        print(f"\n{task}\n")
        print(row(["", "runs", *(f"loss {s}" for s in SIZES), *(f"KL {s}" for s in SIZES[:3]), "agree S/M/L %"]))
        print("|---" * 10 + "|")
        for name, found in kinds.items():
            if found:
                agree = "/".join(
                    f"{100 * statistics.mean(r['granularities'][i]['agreement'] for r in found):.1f}" for i in range(3)
                )
                cells = [name, str(len(found)), *granularities(found, "loss"), *granularities(found, "kl")[:3], agree]
                print(row(cells))
        if task == "fashion":
            for name, found in kinds.items():
                if found:
                    print(f"{name}: test accuracy {', '.join(granularities(found, 'accuracy', 4))}")
        for r in kinds[f"nested, {4 * few} steps in all"]:
            print(f"seed {r['seed']}: {against_line(r)}")


def against_line(run: dict[str, Any]) -> str:
    """The points of least slope between the trained granularities, against the straight line between those."""
    sizes, losses = np.array(run["least_slope_parameters"]), np.array(run["least_slope"])
    trained = slice(None, None, parity.LAYERS)
    gaps = losses - np.interp(sizes, sizes[trained], losses[trained])
    between = np.array([i for i in range(len(sizes)) if i % parity.LAYERS])
    below = int((gaps[between] <= 0).sum())
    said = f"{below} of {len(between)} Mix'n'Match points on or below the line"
    return f"{said}; mean gap {gaps[between].mean():+.4f}, worst {gaps[between].max():+.4f}"


def main() -> None:
    parity_tables(list(parity.kept()))
    if SORTED.exists():
        print("\n160 sub-models\n")
        for line in SORTED.read_text().splitlines():
            r = json.loads(line)
            said = f"accuracy {r['accuracy']:.4f}" if "accuracy" in r else summary(r["table"])
            print(f"{r['kind']}, {r['steps']} passes, seed {r['seed']}: {said}")


if __name__ == "__main__":
    main()
