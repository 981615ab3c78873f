"""The lease on a study: one driver writes it, and a second one is told who holds it.

A driver on this machine holds the study for as long as its process lives. Of a driver elsewhere nothing can
be seen but its heartbeat: it renews `expires` in the record, and is taken for dead once that has passed.
Every transaction of a driver checks that it still holds the study, so that one which slept through its expiry
writes nothing more.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from archsearch.errors import StoreError, StudyLocked
from archsearch.store import Store, dumps

HEARTBEAT_SECONDS = 10.0
EXPIRY_SECONDS = 60.0


class Lease:
    """Holds a study until `release`.

    Args:
        store: the record.
        study: the study's id.
        name: the study's name.

    Raises:
        StudyLocked: another driver holds it.
    """

    def __init__(self, store: Store, study: int, name: str) -> None:
        self.store = store
        self.study = study
        self.name = name
        pid = os.getpid()
        me = {"host": socket.gethostname(), "pid": pid, "process": process_start(pid), "token": uuid.uuid4().hex}
        self.holder = dumps(me)
        with store.transaction() as db:
            holder, expires = db.execute("SELECT holder, expires FROM studies WHERE id = ?", (study,)).fetchone()
            if holder is not None and is_alive(json.loads(holder), expires):
                raise StudyLocked(self.refusal(json.loads(holder)))
            db.execute(
                "UPDATE studies SET holder = ?, expires = ? WHERE id = ?",
                (self.holder, time.time() + EXPIRY_SECONDS, study),
            )
        self.stopped = threading.Event()
        self.heart = threading.Thread(target=self.beat, name="archsearch-lease", daemon=True)
        self.heart.start()

    def refusal(self, holder: dict[str, Any]) -> str:
        study = f"study {self.name!r} in {self.store.path}"
        if holder["host"] == socket.gethostname() and holder["pid"] == os.getpid():
            return f"{study} is held by another Study object of this process: close() that one"
        who = f"process {holder['pid']} on {holder['host']}"
        return f"{study} is being run by {who}: wait for it, end it, or use another name"

    def beat(self) -> None:
        """Renew the lease until it is released; in a thread, since an evaluation in this process may take long."""
        while not self.stopped.wait(HEARTBEAT_SECONDS):
            try:
                with Store(self.store.path) as store, store.transaction() as db:
                    db.execute(
                        "UPDATE studies SET expires = ? WHERE id = ? AND holder = ?",
                        (time.time() + EXPIRY_SECONDS, self.study, self.holder),
                    )
            except StoreError:
                continue  # the driver's own next transaction says what is wrong with the file

    def check(self) -> None:
        """Called inside a transaction.

        Raises:
            StudyLocked: another driver has taken the study over.
        """
        (holder,) = self.store.db.conn.execute("SELECT holder FROM studies WHERE id = ?", (self.study,)).fetchone()
        if holder != self.holder:
            other = json.loads(holder) if holder else {"pid": "?", "host": "?"}
            raise StudyLocked(f"this driver was silent for too long: {self.refusal(other)}")

    def release(self) -> None:
        """Let go of the study."""
        self.stopped.set()
        with self.store.transaction() as db:
            db.execute(
                "UPDATE studies SET holder = NULL, expires = NULL WHERE id = ? AND holder = ?",
                (self.study, self.holder),
            )


def is_alive(holder: dict[str, Any], expires: float) -> bool:
    """Whether the driver that took a lease is still there."""
    if holder["host"] != socket.gethostname():
        return expires > time.time()
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(process_start(holder["pid"]) == holder["process"])


def process_start(pid: int) -> str | None:
    """When a process began, in clock ticks since the machine started: tells it from a later one with its number.

    None where it is gone, is a zombie, or the system does not say.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces; state is the first field behind it, the start the twentieth.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else fields[19]
