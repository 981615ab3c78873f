"""Drawing a space, or an architecture in it, into a file: SVG, PNG, DOT or Mermaid."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.draw_architecture import architecture_diagram
from archsearch.spaces.draw_fold import folded
from archsearch.spaces.draw_layout import lay_out
from archsearch.spaces.draw_space import space_diagram
from archsearch.spaces.draw_svg import svg
from archsearch.spaces.draw_words import clean
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.picture import Diagram

if TYPE_CHECKING:
    from archsearch.spaces.architecture import Architecture
    from archsearch.spaces.space import Space

SUFFIXES = (".svg", ".png", ".dot", ".mermaid", ".mmd")


def draw(space: Space, path: str | os.PathLike[str], arch: Architecture | None = None) -> None:
    """Write a drawing; all of the file or nothing of it.

    Args:
        path: the suffix says what is written: .svg, .png (needs matplotlib), .dot (Graphviz), .mermaid or .mmd.
        arch: an architecture of the space; the space itself, if not given.

    Raises:
        SpaceError: another suffix, matplotlib is not installed, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise SpaceError(
            f"{target}: a drawing ends in .svg, .png, .dot or .mermaid (.mmd), but got "
            f"{target.suffix or 'no suffix'!r}{did_you_mean(suffix, SUFFIXES)}"
        )
    diagram = picture(space, arch)
    write(target, content(diagram, suffix))


def picture(space: Space, arch: Architecture | None = None) -> Diagram:
    """What is drawn, folded for a reader."""
    with deep_recursion():
        return folded(space_diagram(space) if arch is None else architecture_diagram(arch))


def content(diagram: Diagram, suffix: str) -> bytes:
    """The file's content."""
    if suffix == ".svg":
        return svg(lay_out(diagram)).encode()
    if suffix == ".png":
        from archsearch.spaces.draw_png import png

        return png(lay_out(diagram))
    from archsearch.spaces.draw_text import dot, mermaid

    return (dot if suffix == ".dot" else mermaid)(diagram).encode()


def write(path: Path, data: bytes) -> None:
    """All of a file or nothing of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SpaceError(f"cannot write {clean(str(path))}: {why}") from error
    finally:
        with suppress(OSError, ValueError):
            partial.unlink(missing_ok=True)
