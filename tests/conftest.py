"""What holds over the whole test run."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_bare_names() -> Iterator[None]:
    """The folders `spaces`, `searchers` and `elastic` are imported as archsearch's only.

    From the repository's root they can be imported bare as well, which makes second, different classes.
    """
    yield
    bare = {"spaces", "searchers", "elastic"} & set(sys.modules)
    assert not bare, f"imported without `archsearch.`: {', '.join(sorted(bare))}"
