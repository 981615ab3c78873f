"""Files of results: `results/TASK/METHOD.jsonl`, a line that says what ran, and one for each run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.regret.tasks import Method
from benchmarks.regret.trace import Trace

FOLDER = Path(__file__).with_name("results")


@dataclass
class Results:
    """The runs of one method on one task.

    Attributes:
        task: the name of the task.
        method: the name of the method.
        version: of the method when it ran.
        settings: of the method.
        traces: the runs by seed.
    """

    task: str
    method: str
    version: str
    settings: Mapping[str, Any]
    traces: dict[int, Trace] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether the method is a searcher of archsearch."""
        return self.version.startswith("archsearch ")

    def is_of(self, method: Method) -> bool:
        """Whether these runs are of this very version and these settings."""
        return (self.version, dict(self.settings)) == (method.version, dict(method.settings))


def path_of(folder: Path, task: str, method: str) -> Path:
    return folder / task / f"{method.replace(':', '-')}.jsonl"


def read(path: Path) -> Results | None:
    """The results in a file, or None where there is none; a last line cut off by a crash is left out."""
    if not path.exists():
        return None
    head, *lines = path.read_text("utf-8").splitlines(keepends=True)
    results = Results(**json.loads(head))
    for line in lines:
        if line.endswith("\n"):
            trace = Trace(**json.loads(line))
            results.traces[trace.seed] = trace
    return results


def write_head(path: Path, results: Results) -> None:
    """Begin a file anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {key: value for key, value in vars(results).items() if key != "traces"}
    path.write_text(text(head), "utf-8")


def write(path: Path, results: Results) -> None:
    """Write a file anew, with its runs."""
    write_head(path, results)
    for trace in results.traces.values():
        append(path, trace)


def append(path: Path, trace: Trace) -> None:
    """Add a run; a line that a crash has cut off is ended first."""
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
    with path.open("a", encoding="utf-8") as file:
        file.write(text(vars(trace)))


def text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":")) + "\n"


def read_all(folder: Path, task: str) -> Iterable[Results]:
    """All results of a task, by the name of the method."""
    for path in sorted((folder / task).glob("*.jsonl")):
        results = read(path)
        if results is not None:
            yield results
