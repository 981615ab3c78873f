"""NAS-Bench-Macro on CIFAR-10 (Su et al., 2021, arXiv:2103.11922): every network of the space, trained three times.

`nbmacro` searches on the mean of the three test accuracies (percent), `nbmacro_noisy` on the first alone; both report
the mean.
"""

from __future__ import annotations

from benchmarks.regret.data import table
from benchmarks.regret.tasks import Assignment, Task

from archsearch.spaces import nasbench_macro

DIGITS = {"identity": "0", "mb3_k3": "1", "mb6_k5": "2"}


def task(name: str) -> Task:
    rows = table("nbmacro")
    scores = dict(zip(rows["arch"], rows["mean_acc" if name == "nbmacro" else "test_acc_0"].tolist(), strict=True))
    reports = dict(zip(rows["arch"], rows["mean_acc"].tolist(), strict=True))

    def evaluate(assignment: Assignment) -> dict[str, float]:
        arch = "".join([DIGITS[assignment[f"layers[{i}]"]] for i in range(8)])
        return {"score": scores[arch], "report": reports[arch]}

    return Task(name, nasbench_macro.space(), evaluate, best=max(reports.values()), worst=min(reports.values()))
