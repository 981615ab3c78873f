"""The peers: what each file `peers_*.py` has, by name."""

from __future__ import annotations

from benchmarks.regret import peers_neps, peers_optuna, peers_pyglove, peers_skopt, peers_smac, peers_syne_tune
from benchmarks.regret.tasks import Method

PEERS = (peers_optuna, peers_pyglove, peers_skopt, peers_smac, peers_neps, peers_syne_tune)
METHODS: tuple[Method, ...] = tuple([method for peer in PEERS for method in peer.METHODS])
