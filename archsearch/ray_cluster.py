"""Starting or joining Ray without its noise, and whether it has what the workers ask for."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Sequence
from typing import Any

from archsearch.errors import StudyError

# Read by Ray when it is imported or started; what the user has set stays.
QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# Ray prints these on the driver's stdout whatever it was told; the record says it of every lost worker.
NOISE = re.compile("A worker died or was killed|killed due to memory pressure")
CONNECT_SECONDS = 10


def start(address: str | None, workers: int, folders: Sequence[str]) -> tuple[Any, bool]:
    """Ray, and whether `stop` is to be called: not where it ran before.

    Args:
        address: of a cluster to join; None starts Ray on this machine.
        workers: how many CPUs a Ray of our own must have.
        folders: of the user's files, for the workers on other machines.

    Raises:
        StudyError: there is no cluster at the address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return ray, False
    leave_out_noise()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"address": "local", "include_dashboard": False, "num_cpus": max(workers, os.cpu_count() or 1)}
    else:
        check_address(address)
        options["address"] = address
        if folders:
            # Python files only: data lies where the workers are.
            options["runtime_env"] = {"working_dir": folders[0], "excludes": ["*.*", "!*.py"]}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError) as error:
        if address is None:
            raise
        raise StudyError(f"no Ray cluster at {address!r}: {plain(error)}") from error
    return ray, True


def leave_out_noise() -> None:
    """What RAY_DEDUP_LOGS_SKIP_REGEX does, which comes too late where Ray was imported before."""
    from ray._private import ray_logging

    for name in ("stdout_deduplicator", "stderr_deduplicator"):
        printed = getattr(ray_logging, name, None)
        if printed is not None and printed.skip_re is None:
            printed.skip_re = NOISE


def check_address(address: str) -> None:
    """Whether anything listens at `host:port`: Ray itself would try for minutes.

    Raises:
        StudyError: nothing does.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise StudyError(f"no Ray cluster at {address!r}: {error.strerror or error}") from error


def stop() -> None:
    """End what `start` began: Ray itself where it was started here, else the connection."""
    import ray

    ray.shutdown()


def check_resources(workers: int, gpus_per_worker: float, joined: bool) -> None:
    """Whether Ray can ever have as many GPUs as the workers ask for.

    Args:
        workers: how many.
        gpus_per_worker: may be a fraction.
        joined: whether the cluster is somebody else's, which may be busy for a while but has some room.

    Raises:
        StudyError: it cannot.
    """
    if gpus_per_worker < 0 or (gpus_per_worker > 1 and gpus_per_worker != int(gpus_per_worker)):
        raise StudyError(f"gpus_per_worker: expected a fraction of one or a whole number, but got {gpus_per_worker:g}")
    if not gpus_per_worker or can_grow():
        return
    import ray

    gpus = [int(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]]
    room = sum([room_on(count, gpus_per_worker) for count in gpus])
    if room < (1 if joined else workers):
        each = f"{workers} workers with {gpus_per_worker:g} GPUs each" if workers > 1 else f"{gpus_per_worker:g} GPUs"
        fits = f"; there is room for {room} such workers" if room else ""
        raise StudyError(
            f"asked for {each}, but Ray has {sum(gpus)}{fits}: take fewer workers, or fewer gpus_per_worker "
            "(--gpus-per-worker)"
        )


def room_on(gpus: int, gpus_per_worker: float) -> int:
    """How many workers fit on the GPUs of one machine: a fraction is of one GPU.

    >>> room_on(2, 0.4), room_on(4, 3), room_on(2, 1)
    (4, 1, 2)
    """
    if gpus_per_worker < 1:
        return gpus * int(1 / gpus_per_worker + 1e-9)
    return gpus // int(gpus_per_worker)


def can_grow() -> bool:
    """Whether an autoscaler may add machines."""
    from ray._private.state import state  # there is no public way to ask

    config = getattr(state, "get_cluster_config", lambda: None)()
    return config is not None and len(config.node_group_configs) > 0


def plain(error: Exception) -> str:
    """Ray's message on one line, without terminal colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:500]
