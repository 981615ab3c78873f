"""Ctrl-C, let through only where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While entered, an interrupt waits until `allowed` is reached; outside the main thread nothing changes."""

    def __init__(self) -> None:
        self.waiting = False
        self.open = False
        self.previous: Any = None
        self.installed = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self.handle)
            self.installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.installed:
            signal.signal(signal.SIGINT, self.previous)

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.waiting = True
        if self.open:
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Here an interrupt is raised, one that waited too."""
        self.open = True
        try:
            if self.waiting:
                raise KeyboardInterrupt
            yield
        finally:
            self.open = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside `allowed`, a part that is not to be torn."""
        was_open, self.open = self.open, False
        try:
            yield
        finally:
            self.open = was_open
        if was_open and self.waiting:
            raise KeyboardInterrupt
