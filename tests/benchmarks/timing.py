"""Contenders side by side in one run, their versions, and a picture of the figures."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parent / "pictures"


@dataclass(frozen=True)
class Contender:
    """Something that does `items` things a call."""

    name: str
    call: Callable[[], Any]
    items: int = 1


@dataclass(frozen=True)
class Rates:
    """Things a second of each contender: one figure a round, all contenders in every round."""

    rounds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def fastest(self, names: Sequence[str]) -> str:
        return max(names, key=self.median)

    def ratio(self, name: str, other: str) -> tuple[float, float, float]:
        """How many times `name` is as fast as `other`: the median, least and largest of the rounds."""
        ratios = [a / b for a, b in zip(self.rounds[name], self.rounds[other], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)


def rate(contender: Contender, seconds: float) -> float:
    """Things a second of this process's CPU time, which other work on the machine disturbs least; one call at least."""
    gc.collect()
    count, start = 0, time.process_time()
    while True:
        contender.call()
        count += contender.items
        passed = time.process_time() - start
        if passed >= seconds:
            return count / passed


def side_by_side(contenders: Sequence[Contender], rounds: int = 5, seconds: float = 0.2) -> Rates:
    """Every contender in turn, `rounds` times over, so that a busy machine slows all of them alike."""
    for contender in contenders:
        contender.call()
    gc.freeze()  # nobody pays for collecting what the imports of all have left
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            rates[contender.name].append(rate(contender, seconds))
    return Rates(rates)


def show(title: str, rates: Rates, ours: str, unit: str) -> None:
    """Medians, fastest first, each with how many times `ours` is as fast."""
    print(f"\n{title} ({unit}, median of {len(rates.rounds[ours])} rounds; ours / it with its range)")
    for name in sorted(rates.rounds, key=rates.median, reverse=True):
        middle, low, high = rates.ratio(ours, name)
        print(f"  {name:<34} {rates.median(name):>12,.1f}   {middle:8.2f} x  ({low:.2f} to {high:.2f})")


def versions(*names: str) -> str:
    """The installed versions of distributions."""
    return ", ".join([f"{name} {metadata.version(name)}" for name in names])


def picture(name: str, title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    """Bars, one panel a group, logarithmic where they differ much, into `pictures/NAME.png`; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(groups), figsize=(4.2 * len(groups), 3.4), squeeze=False)
    for panel, (group, bars) in zip(panels[0], groups.items(), strict=True):
        names = sorted(bars, key=lambda bar: bars[bar])
        colours = ["#c2410c" if bar.startswith("archsearch") else "#64748b" for bar in names]
        drawn = panel.barh(names, [bars[bar] for bar in names], color=colours)
        panel.bar_label(
            drawn, [f"{bars[bar]:,.0f}" if bars[bar] >= 10 else f"{bars[bar]:.2g}" for bar in names], padding=2
        )
        if max(bars.values()) > 20 * min(bars.values()):
            panel.set_xscale("log")
        panel.margins(x=0.3)
        panel.set_title(group, fontsize=10)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title} ({unit})", fontsize=11)
    figure.tight_layout()
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / f"{name}.png", dpi=90)
