"""What runs in a worker process: it holds the evaluator and answers the driver, one message at a time.

The evaluation has a thread of its own, so that reports leave while it goes on.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from archsearch.evaluation import Evaluator, one_line
from archsearch.job import Job, Outcome, Report


class Worker:
    """Evaluates one job at a time.

    Args:
        blob: the evaluator, pickled by the driver.
        folders: where the driver finds what `evaluate` may import.
        host: the driver's machine; only there is the trials' storage at hand.
    """

    def __init__(self, blob: bytes, folders: Sequence[str], host: str) -> None:
        self.blob = blob
        self.folders = folders
        self.has_storage = socket.gethostname() == host
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.messages: queue.SimpleQueue[Report | Outcome] = queue.SimpleQueue()
        self.evaluator: Evaluator | None = None

    def load(self) -> str:
        """Get ready; why that was not possible, or nothing."""
        from ray import cloudpickle

        sys.path.extend([folder for folder in self.folders if folder not in sys.path and Path(folder).is_dir()])
        try:
            self.evaluator = cloudpickle.loads(self.blob)
        except Exception as error:
            return one_line(error)
        threading.Thread(target=self.evaluate, name="archsearch-evaluation", daemon=True).start()
        return ""

    def evaluate(self) -> None:
        """Evaluate jobs for ever."""
        assert self.evaluator is not None
        try:
            while True:
                job = self.jobs.get()
                outcome = self.evaluator.run(job, self.messages.put, worker=self.name, has_storage=self.has_storage)
                self.messages.put(outcome)
        finally:
            os._exit(1)  # without this thread the driver would wait for ever; it sees a lost worker instead

    def exchange(self, job: Job | None) -> list[Report | Outcome]:
        """Take a job, or None to go on with the one there is, and wait for what it says: reports, then its outcome."""
        if job is not None:
            self.jobs.put(job)
        messages = [self.messages.get()]
        while not self.messages.empty():
            messages.append(self.messages.get())
        return messages
