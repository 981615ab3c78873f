"""Words on a page: how wide they are, where they break, and how each style looks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from archsearch.spaces.picture import Line

FAMILY = "DejaVu Sans, Verdana, Segoe UI, Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Style:
    """How a style of lines looks: size and height in pixels."""

    size: float
    height: float
    bold: bool = False
    indent: float = 0.0


STYLES = {
    "title": Style(12, 17, bold=True),
    "text": Style(11, 15),
    "note": Style(10, 14),
    "place": Style(10, 14),
    "shape": Style(10, 15),
    "decision": Style(11, 16, bold=True),
    "path": Style(10, 14),
    "use": Style(11, 15),
}

WIDEST = 300.0
"""Pixels of a line; longer ones are broken."""

HANGING = "\N{EM SPACE}"
"""What a line that goes on begins with."""

# Shares of the size, those of DejaVu Sans and Verdana, which are wide among the fonts that a viewer may take.
NARROW, HALF, WIDE, WIDEST_LETTERS = (
    frozenset("ijlI|.,:;'!/\\ \u00b7"),
    frozenset('frt()[]-"`*'),
    frozenset("+=<>#~^\u00d7\u2192"),
    frozenset("mwMW@%\u2026&"),
)


def text_width(text: str, style: str) -> float:
    """About how wide a text is in a style, in pixels; rather too wide."""
    look = STYLES[style]
    return sum([character_width(character) for character in text]) * look.size * (1.1 if look.bold else 1.0)


def character_width(character: str) -> float:
    if character in NARROW:
        return 0.34
    if character in HALF:
        return 0.46
    if character in WIDE:
        return 0.84
    if character in WIDEST_LETTERS:
        return 0.99
    if character.isascii():
        return 0.76 if character.isupper() else 0.635
    return 1.1 if unicodedata.east_asian_width(character) in "WF" else 0.8


def broken(line: Line, widest: float = WIDEST) -> list[Line]:
    """A line as several, where it is too long; broken after spaces, commas and bars, or elsewhere if it must."""
    if text_width(line.text, line.style) <= widest:
        return [line]
    found: list[str] = [""]
    for word in re.findall(r"[^\s,|]+[\s,|]*|[\s,|]+", line.text):
        for piece in pieces(word, line.style, widest - text_width(HANGING, line.style)):
            if found[-1].strip() and text_width((found[-1] + piece).rstrip(), line.style) > widest:
                found.append(HANGING)
            found[-1] += piece
    return [Line(text.rstrip(), line.style) for text in found]


def pieces(word: str, style: str, widest: float) -> list[str]:
    """A word that is wider than a line in pieces, after dots where that does."""
    if text_width(word, style) <= widest:
        return [word]
    found = [""]
    for part in re.findall(r"[^.]+\.?|\.", word):
        if found[-1] and text_width(found[-1] + part, style) > widest:
            found.append("")
        for character in part:
            if found[-1] and text_width(found[-1] + character, style) > widest:
                found.append("")
            found[-1] += character
    return found


def clean(text: str) -> str:
    """A text without what no XML file and no font can show: control characters and halves of surrogate pairs.

    >>> clean("a\\x00b\\nc")
    'a\\ufffdb c'
    """
    text = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
    return re.sub("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
