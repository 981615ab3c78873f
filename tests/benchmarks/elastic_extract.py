"""Cutting a folder against copying as many bytes: the throughput of `archsearch extract`, in one run.

    python tests/benchmarks/elastic_extract.py [--gigabytes 1] [--folder /dev/shm]

A synthetic checkpoint in bfloat16, of layers of the shape of Llama-3-8B (width 4096, 14336 hidden units, 8 of 32 groups
of heads), is cut to shares of its hidden units and to half of its heads, and what was written is copied with
shutil.copyfile. Both are repeated in turns; the fastest of each counts, as nothing makes a copy faster than it is.
`--folder` is where files go: in memory (/dev/shm) it is the work of the CPU that is measured, and not the disk's.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from archsearch.elastic.axes import Axes, Axis, Run
from archsearch.elastic.cut import Cut
from archsearch.elastic.streaming import cut_folder

WIDTH, HIDDEN, GROUPS, HEADS, HEAD = 4096, 14336, 8, 32, 128
REPEATS = 7


def layer(i: int) -> tuple[dict[str, tuple[int, int]], list[Axis]]:
    """The shapes of a layer, and its axes."""
    at = f"model.layers.{i}"
    shapes = {
        f"{at}.mlp.gate_proj.weight": (HIDDEN, WIDTH),
        f"{at}.mlp.up_proj.weight": (HIDDEN, WIDTH),
        f"{at}.mlp.down_proj.weight": (WIDTH, HIDDEN),
        f"{at}.self_attn.q_proj.weight": (HEADS * HEAD, WIDTH),
        f"{at}.self_attn.k_proj.weight": (GROUPS * HEAD, WIDTH),
        f"{at}.self_attn.v_proj.weight": (GROUPS * HEAD, WIDTH),
        f"{at}.self_attn.o_proj.weight": (WIDTH, HEADS * HEAD),
    }
    gate, up, down, q, k, v, o = shapes
    ffn = Axis(f"ffn.{i}", "ffn", HIDDEN, "", (Run(gate, 0), Run(up, 0), Run(down, 1)))
    group = HEADS // GROUPS * HEAD
    heads = (Run(q, 0, group), Run(k, 0, HEAD), Run(v, 0, HEAD), Run(o, 1, group))
    return shapes, [ffn, Axis(f"heads.{i}", "heads", GROUPS, "", heads)]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1, help="of the whole checkpoint")
    parser.add_argument("--folder", default="/dev/shm", help="where files are written")
    arguments = parser.parse_args()
    made = [layer(i) for i in range(max(1, round(arguments.gigabytes * 1e9 / 436e6)))]
    axes = Axes([axis for _, own in made for axis in own])
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        folder, out = Path(root, "net"), Path(root, "out")
        folder.mkdir()
        tensors = {name: torch.randn(shape).bfloat16() for shapes, _ in made for name, shape in shapes.items()}
        save_file(tensors, folder / "model.safetensors")
        del tensors
        print(
            f"{(folder / 'model.safetensors').stat().st_size / 1e9:.2f} GB, {torch.get_num_threads()} threads of torch"
        )
        print(f"{'kept':>24} {'GB':>6} {'cut GB/s':>9} {'copy GB/s':>10} {'share of a copy':>16}")
        for what, kept in [
            ("1/8 of the hidden units", {"ffn": HIDDEN // 8}),
            ("1/4 of the hidden units", {"ffn": HIDDEN // 4}),
            ("1/2 of the hidden units", {"ffn": HIDDEN // 2}),
            ("1/2 of units and heads", {"ffn": HIDDEN // 2, "heads": GROUPS // 2}),
            ("all", {}),
        ]:
            cut = Cut.of(axes, {axis.name: kept[axis.group] for axis in axes if axis.group in kept})
            times: dict[str, list[float]] = {"cut": [], "copy": []}
            for _ in range(REPEATS):
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                file = out / "model.safetensors"
                times["cut"].append(seconds(lambda cut=cut: cut_folder(folder, cut, out)))  # type: ignore[misc]
                times["copy"].append(seconds(lambda file=file: shutil.copyfile(file, out / "copy")))  # type: ignore[misc]
            size = file.stat().st_size / 1e9
            best = {name: size / min(of) for name, of in times.items()}
            share = best["cut"] / best["copy"]
            print(f"{what:>24} {size:>6.2f} {best['cut']:>9.2f} {best['copy']:>10.2f} {share:>16.2f}")


if __name__ == "__main__":
    main()
