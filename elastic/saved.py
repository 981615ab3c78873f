"""A super-network's folder without its weights: what can be asked and decided before any of them is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archsearch.elastic.cut import Cut
from archsearch.elastic.manifest import Manifest, read_manifest
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.elastic.saving import CONFIG, check_stored, has_transformers, own_model, transformers_class, where
from archsearch.elastic.space import Blueprint, Decision, SubNetworks
from archsearch.elastic.tensor_files import Stored, stored_tensors
from archsearch.errors import BuildError, ElasticError


@dataclass(frozen=True)
class Saved:
    """A folder that `net.save` wrote, checked, and nothing of its weights read.

    Attributes:
        folder: it.
        manifest: its axes and decisions.
        stored: its tensors by name.
    """

    folder: Path
    manifest: Manifest
    stored: Mapping[str, Stored]

    @cached_property
    def model(self) -> nn.Module:
        """The model on torch's meta device; without its parts where its class is the user's own.

        Raises:
            ElasticError: its class or its configuration is not there.
        """
        with torch.device("meta"):
            if self.manifest.library == "archsearch":
                return own_model(self.folder)
            if self.manifest.library == "transformers":
                kind = transformers_class(self.manifest)
                if not (self.folder / CONFIG).is_file():  # transformers would take the class's defaults
                    raise ElasticError(f"{self.folder} is incomplete: it holds no {CONFIG}")
                try:
                    config = kind.config_class.from_pretrained(self.folder, local_files_only=True)
                except (OSError, ValueError) as error:
                    raise ElasticError(f"{self.folder / CONFIG} cannot be used: {error}") from error
                made: nn.Module = kind(config).eval()
                return made
        return nn.Module()

    @property
    def net(self) -> Elastic:
        """The super-network without weights, to name its sub-networks."""
        return Elastic(nn.Module(), self.manifest.axes, self.manifest.decisions, self.manifest.inputs)

    def cut(self, sub: SubNetwork) -> Cut:
        """What a sub-network keeps.

        Raises:
            ElasticError: there is no such sub-network.
        """
        return self.net.cut(sub)

    def space(self, decisions: Sequence[Decision] | None = None, steps: Mapping[str, int] | None = None) -> SubNetworks:
        """The space of the sub-networks."""
        # Without transformers, and of a user's class, parameters are known, and FLOPs are not.
        own = self.manifest.library == "archsearch" or (self.manifest.library == "transformers" and has_transformers())
        blueprint = Blueprint(
            self.model if own else nn.Module(),
            self.manifest.axes,
            self.manifest.shapes,
            self.manifest.inputs if own else {},
            where(self.folder, self.manifest),
        )
        return SubNetworks(blueprint, decisions or self.manifest.decisions, steps or {})

    def costs(self, cut: Cut) -> dict[str, Any]:
        """The parameters of a sub-network, and its FLOPs, or None where they are not known."""
        blueprint = self.space().blueprint
        try:
            flops: int | None = blueprint.flops(cut)
        except BuildError:
            flops = None
        return {"parameters": blueprint.parameters(cut), "flops": flops}


def opened(folder: str | Path) -> Saved:
    """The super-network in a folder.

    Raises:
        ElasticError: there is none, or only a part of one; says what is there and what to do.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    stored = stored_tensors(folder)
    check_stored(folder, manifest, stored)
    return Saved(folder, manifest, stored)
