"""Which architectures are the same network: a canonical form of the resolved structure.

Two forms are equal only where these rules prove the networks the same (LANGUAGE.md section 8). A network is taken
as the values that it computes, however it was said: a `Dag` that is a plain chain has the form of the `Chain`, one
that only merges branches that of the `Branches`, and a graph inside a graph is part of it.

- Identities and dead values are dropped, chains are flattened, and so are sums in sums, products in products and
  concatenations in concatenations, where nothing else reads the inner one. The sum of one value is that value.
- Sums and products have no order; concatenations and modules of many inputs do.
- A value that several read is one value. Two modules with weights are two, however alike. Merging, and modules of
  `graph_form.WEIGHTLESS`, say the same when they are said twice: they are one value where they read the same.
- Zeros add nothing, and make a product zero. Whatever is computed of zeros alone counts as zero where something
  else is added to it: it sees no input, so it is zero up to a constant (a bias, a normalisation's shift). So two
  networks of one form are the same up to such constants, and to the parameters that only make them.
- A module that stands in several places (`Once`) stays one, and two such modules stay two.
- Graphs are compared up to isomorphism (`isomorphism`).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from archsearch.spaces.forms import Forms
from archsearch.spaces.node import deep_recursion


def canonical_form(values: Any) -> str:
    """The form of what an architecture resolves to, as a text."""
    with deep_recursion():
        forms = Forms()
        found = forms.text(values)
        return shared_form(values, [key for key, times in forms.uses.items() if times > 1]) if forms.uses else found


def canonical_id(values: Any) -> str:
    """20 hexadecimal digits of the form's hash."""
    return hashlib.blake2b(canonical_form(values).encode(), digest_size=10).hexdigest()


def shared_form(values: Any, shared: list[str]) -> str:
    """The form of what has modules that stand in several places.

    Args:
        values: what an architecture resolves to.
        shared: the keys of those modules, in the order of the walk.
    """
    while True:
        names = numbered(values, shared)
        found = Forms(shared, names).text(values)
        times = Counter(re.findall(r"once\[(\d+)\]", found))
        left = [key for key in shared if times[str(names[key])] > 1]
        if left == shared:
            return found
        shared = left


def numbered(values: Any, shared: Sequence[str]) -> dict[str, int]:
    """Numbers for modules that stand in several places, which do not follow the order of declaration.

    They are sorted by the form in which one of them is marked and the others are not. Where several forms are
    equal, one of those gets its number and the others are marked anew. (Which one makes no difference where the
    modules can be exchanged for each other. Where they cannot, the same network may come out as two.)
    """
    names: dict[str, int] = {}
    while len(names) < len(shared):
        rest = [key for key in shared if key not in names]
        marked = {key: Forms(shared, names | {key: len(names)}).text(values) for key in rest}
        rest.sort(key=lambda key: marked[key])
        times = Counter(marked.values())
        tied = next((key for key in rest if times[marked[key]] > 1), None)
        for key in rest:
            if key == tied or times[marked[key]] == 1:
                names[key] = len(names)
    return names
