"""Objects as texts: equal texts only for objects that do the same."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from archsearch.spaces.describe import dotted
from archsearch.spaces.facts import function_key


def target_text(target: Callable[..., Any] | str) -> str:
    """The class or function of a leaf. Torch's modules have one name, wherever torch keeps them."""
    name = target if isinstance(target, str) else object_text(target)
    return f"torch.nn:{name.rpartition(':')[2]}" if name.startswith("torch.nn.modules.") else name


def object_text(value: Any) -> str:
    """An object that is neither a plain value nor a part.

    Functions go by their name, and by their code and what they close over where the name does not tell them
    apart; so do classes, by identity. Other objects go by what pickle writes, or by identity where it refuses.
    """
    if isinstance(value, FunctionType | type):
        name = dotted(value)
        if "<" not in name:
            return name
        return f"{name}#{key_text(function_key(value)) if isinstance(value, FunctionType) else id(value)}"
    try:
        written = pickle.dumps(value)
    except Exception:  # pickle raises whatever the object's own methods raise
        return f"{dotted(type(value))}@{id(value)}"
    return f"{dotted(type(value))}#{hashlib.blake2b(written, digest_size=16).hexdigest()}"


def key_text(key: Any) -> str:
    """A key of functions and values (`facts.function_key`) without the addresses that a repr of code has."""
    if isinstance(key, tuple):
        return f"({', '.join([key_text(inside) for inside in key])})"
    if isinstance(key, frozenset):
        return f"{{{', '.join(sorted([key_text(inside) for inside in key]))}}}"
    if isinstance(key, CodeType):
        constants = key_text(key.co_consts)
        # The file stands for the module whose names the code reads; its folder differs between machines.
        where = os.path.basename(key.co_filename)
        said = (where, key.co_code, key.co_names, key.co_varnames, key.co_freevars, key.co_flags, key.co_argcount)
        return f"code:{hashlib.blake2b(f'{said}{constants}'.encode(), digest_size=16).hexdigest()}"
    return dotted(key) if isinstance(key, type) else repr(key)
