"""Folders of safetensors files: what tensors they hold, and where, read from the headers alone; and writing folders
whole or not at all.

The format (https://huggingface.co/docs/safetensors): eight bytes with the length of the header, the header in JSON (for
every tensor its dtype, shape and range of bytes), then the numbers. Files are checked before anything of them is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from archsearch.errors import ElasticError

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")

# Bytes of a number, by the format's name of its type.
ITEM_SIZE = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8}
ITEM_SIZE |= {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}

MAX_HEADER = 100_000_000  # bytes, as the library of the format has it
MAX_SHARD = 5 * 10**9  # bytes of a file before the next is begun
PIECE = 1 << 20  # bytes that are read at a time: they stay in a core's cache until they are written


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        file: which it stands in.
        dtype: as the format names it, such as `BF16`.
        shape: of it.
        start: of its bytes in the file.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * ITEM_SIZE[self.dtype]


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """The tensors of a folder's safetensors files, by name.

    Raises:
        ElasticError: the folder or its files are not there, or a file is truncated or corrupt; says which.
    """
    if folder.suffix in PICKLES and folder.is_file():
        raise ElasticError(f"{folder} may be a pickle, which runs what it holds when it is read; {UNPICKLED}")
    if not folder.is_dir():
        raise ElasticError(f"{folder} is not a folder; expected one that net.save wrote")
    if (folder / INDEX).exists():
        files = sharded(folder / INDEX)
    elif (folder / WEIGHTS).exists():
        files = {folder / WEIGHTS: None}
    else:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            raise ElasticError(
                f"{folder} holds {pickles[0]}, which may be a pickle, and no {WEIGHTS}: a pickle runs what it holds "
                f"when it is read; {UNPICKLED}"
            )
        raise ElasticError(f"{folder} holds no {WEIGHTS}; expected a folder that net.save wrote")
    found: dict[str, Stored] = {}
    for file, names in files.items():
        here = header(file)
        for name in names or ():
            if name not in here:
                raise ElasticError(f"{file} is corrupt: {INDEX} says that {name} is in it, and it is not")
        found |= here
    return found


UNPICKLED = "load it with torch yourself, wrap the model, and save that with net.save (safetensors)"


def sharded(index: Path) -> dict[Path, list[str] | None]:
    """The files of an index, each with the names of its tensors."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
        raise ElasticError(f"{index} is corrupt: expected a weight_map from tensors to files")
    found: dict[Path, list[str] | None] = {}
    for name, file in names.items():
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise ElasticError(f"{index} is corrupt: expected safetensors files of its folder, but got {file!r}")
        if not (index.parent / file).is_file():
            raise ElasticError(f"{index.parent} is incomplete: {file}, which {INDEX} names, is not there")
        of = found.setdefault(index.parent / file, [])
        assert of is not None
        of.append(name)
    return found


def header(file: Path) -> dict[str, Stored]:
    """The tensors of one file.

    Raises:
        ElasticError: it is truncated, corrupt, or no safetensors file.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > MAX_HEADER or length < 2:
            raise ElasticError(f"{file} is no safetensors file, or is truncated: {size} bytes, a header of {length}")
        if 8 + length > size:
            raise ElasticError(f"{file} is truncated: its header alone has {length} bytes, and the file {size}")
        text = opened.read(length)
    try:
        data = json.loads(text)
        found = {
            str(name): (str(item["dtype"]), tuple(map(int, item["shape"])), tuple(map(int, item["data_offsets"])))
            for name, item in data.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ElasticError(f"{file} is corrupt: its header cannot be read ({type(error).__name__}: {error})") from error
    position = 0
    for name, (dtype, shape, offsets) in sorted(found.items(), key=lambda item: item[1][2]):
        if dtype not in ITEM_SIZE:
            raise ElasticError(f"{file}: {name} has dtype {dtype}, which is not known here: {', '.join(ITEM_SIZE)}")
        if (
            len(offsets) != 2
            or offsets != (position, position + prod(shape) * ITEM_SIZE[dtype])
            or min(shape, default=0) < 0
        ):
            raise ElasticError(
                f"{file} is corrupt: its header puts {name}, {dtype} of shape {shape}, at bytes {offsets}, where "
                f"{position} to {position + prod(shape) * ITEM_SIZE[dtype]} was expected"
            )
        position = offsets[1]
    if 8 + length + position != size:
        what = "truncated" if 8 + length + position > size else "corrupt"
        raise ElasticError(f"{file} is {what}: its header says {8 + length + position} bytes, and it has {size}")
    return {name: Stored(file, dtype, shape, 8 + length + at[0]) for name, (dtype, shape, at) in found.items()}


def shards(sizes: Mapping[str, int], limit: int) -> dict[str, list[str]]:
    """The names of tensors by the file that each is to stand in: one file, or several of at most `limit` bytes (a
    tensor is not divided)."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    if len(groups) == 1:
        return {WEIGHTS: groups[0]}
    return {f"model-{i:05}-of-{len(groups):05}.safetensors": names for i, names in enumerate(groups, 1)}


def write_index(folder: Path, files: Mapping[str, Iterable[str]], sizes: Mapping[str, int]) -> None:
    """The index of several files; nothing for one."""
    if WEIGHTS in files:
        return
    where = {name: file for file, names in files.items() for name in names}
    write_json(folder / INDEX, {"metadata": {"total_size": sum(sizes.values())}, "weight_map": where})


def digest_of(folder: Path) -> str:
    """A hash of all bytes of a folder's safetensors files, in the order of their names."""
    hashed = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb", buffering=0) as opened:
            while piece := opened.read(PIECE):
                hashed.update(piece)
    return hashed.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ElasticError: it cannot be read, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ElasticError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ElasticError(f"{path} is corrupt: expected a JSON object, but got {type(data).__name__}")
    return data


def write_json(path: Path, data: Mapping[str, Any], indent: int | None = 2) -> None:
    path.write_text(json.dumps(data, indent=indent) + "\n", encoding="utf-8")


@contextmanager
def whole_folder(
    out: Path, replace: Callable[[Path], bool] | None = None, stale: Collection[str] = ()
) -> Iterator[Path]:
    """A folder to write into, which becomes `out` when all is written; where that fails, nothing is left of it.

    Args:
        out: the folder. It may be there and empty.
        replace: whether what is there may go; other files than weights that are not written anew, such as a
            tokenizer's, are kept.
        stale: the names of those that are not.

    Raises:
        ElasticError: it is there and holds something, or cannot be made.
    """
    out = Path(os.path.abspath(out))
    there = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if there and not (replace and replace(out)):
        raise ElasticError(f"{out} exists already; name another folder, or remove it first")
    made = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
    except OSError as error:
        raise ElasticError(f"cannot make {out}: {error.strerror}") from error
    try:
        yield made
        if there:
            for path in out.iterdir():
                goes = path.suffix == ".safetensors" or path.name in (INDEX, *stale)
                if not goes and not (made / path.name).exists():
                    copy = shutil.copytree if path.is_dir() else shutil.copy2
                    copy(path, made / path.name)
            old = out.with_name(f".{out.name}.{os.getpid()}.old")
            out.rename(old)
            made.rename(out)
            shutil.rmtree(old)
        else:
            made.rename(out)
    except OSError as error:
        raise ElasticError(f"cannot write {error.filename or out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
