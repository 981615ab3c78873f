"""`arch.parameters` of 1,000 networks of NAS-Bench-201, after warm-up: `python tests/benchmarks/settling.py`."""

from __future__ import annotations

import random
import time

from archsearch.spaces import nasbench201


def main() -> None:
    space = nasbench201.space()
    rng = random.Random(0)
    for arch in space.sample(rng, 20):
        _ = arch.parameters
    archs = space.sample(rng, 1_000)
    wall, cpu = time.perf_counter(), time.process_time()
    total = sum(arch.parameters for arch in archs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"1,000 arch.parameters: {wall:.2f} s, {cpu:.2f} s of CPU time (mean {total / 1_000:,.0f} parameters)")


if __name__ == "__main__":
    main()
