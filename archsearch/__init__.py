"""Neural architecture search for PyTorch, with a search-space language.

    import archsearch as A
    from archsearch import nn

    model = A.Sequential(nn.Flatten(), nn.Linear(A.Choice([16, 32])), nn.ReLU(), nn.Linear(10))
    space = A.Space(model, input_shape=(1, 8, 8))

Every public name stands here and is loaded when it is first used: `import archsearch` by itself loads
neither torch, ray, scikit-optimize nor pydantic.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch import elastic, nn, searchers, spaces, testing
    from archsearch.errors import (
        ArchsearchError,
        AssignmentError,
        BuildError,
        ElasticError,
        EndlessSpace,
        Infeasible,
        ShapeError,
        SingleArchitecture,
        SizeTooHard,
        SpaceChanged,
        SpaceError,
        StoreError,
        StudyError,
        StudyLocked,
        UsageError,
    )
    from archsearch.spaces.graph import Graph, Vertex
    from archsearch.spaces.modules import module
    from archsearch.spaces.nodes import (
        Boolean,
        Choice,
        Derived,
        Integer,
        Lazy,
        Optional,
        Parallel,
        Permute,
        Real,
        Repeat,
        Require,
        Residual,
        Scope,
        Sequential,
        Shared,
        Subset,
        input,
    )
    from archsearch.spaces.pool import Pool
    from archsearch.spaces.space import Architecture, Space
    from archsearch.spaces.tensor import Tensor
    from archsearch.study import Study
    from archsearch.trial import Trial

__all__ = [
    "Architecture",
    "ArchsearchError",
    "AssignmentError",
    "Boolean",
    "BuildError",
    "Choice",
    "Derived",
    "ElasticError",
    "EndlessSpace",
    "Graph",
    "Infeasible",
    "Integer",
    "Lazy",
    "Optional",
    "Parallel",
    "Permute",
    "Pool",
    "Real",
    "Repeat",
    "Require",
    "Residual",
    "Scope",
    "Sequential",
    "ShapeError",
    "Shared",
    "SingleArchitecture",
    "SizeTooHard",
    "Space",
    "SpaceChanged",
    "SpaceError",
    "StoreError",
    "Study",
    "StudyError",
    "StudyLocked",
    "Subset",
    "Tensor",
    "Trial",
    "UsageError",
    "Vertex",
    "elastic",
    "input",
    "module",
    "nn",
    "searchers",
    "spaces",
    "testing",
]

_SUBMODULES = ("elastic", "nn", "searchers", "spaces", "testing")
_ORIGIN = {
    name: module
    for module, names in {
        "archsearch.errors": (
            "ArchsearchError AssignmentError BuildError ElasticError EndlessSpace Infeasible ShapeError "
            "SingleArchitecture SizeTooHard SpaceChanged SpaceError StoreError StudyError StudyLocked UsageError"
        ),
        "archsearch.spaces.graph": "Graph Vertex",
        "archsearch.spaces.modules": "module",
        "archsearch.spaces.nodes": (
            "Boolean Choice Derived Integer Lazy Optional Parallel Permute Real Repeat Require Residual Scope "
            "Sequential Shared Subset input"
        ),
        "archsearch.spaces.pool": "Pool",
        "archsearch.spaces.space": "Architecture Space",
        "archsearch.spaces.tensor": "Tensor",
        "archsearch.study": "Study",
        "archsearch.trial": "Trial",
    }.items()
    for name in names.split()
}


if not TYPE_CHECKING:  # a type checker that saw it would take any name for a public one

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return importlib.import_module(f"archsearch.{name}")
        if name not in _ORIGIN:
            raise AttributeError(f"module 'archsearch' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
        value = getattr(importlib.import_module(_ORIGIN[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
