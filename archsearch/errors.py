"""Every error that archsearch raises on purpose.

    ArchsearchError
    ├── SpaceError             the declaration of a space is wrong
    ├── AssignmentError        these answers are not an architecture of this space
    ├── SingleArchitecture     the space holds one architecture, so there is nothing else to move to
    ├── Infeasible             constraints refuse everything that was tried
    ├── EndlessSpace           a grammar went past Space(max_decisions=...)
    ├── SizeTooHard            the exact count needs too many states
    ├── ShapeError             a module cannot take what reaches it
    ├── BuildError             a module cannot be made, or there is nothing to build
    ├── ElasticError           a super-network cannot be cut like this, or a file does not hold one
    ├── StudyError             a study cannot run, or cannot go on
    │   ├── StudyLocked        another driver holds the study
    │   ├── SpaceChanged       the record belongs to another space
    │   └── StoreError         the file is not a record that this version can use
    └── UsageError             the command line, a study file or a run configuration is wrong

The command line prints the message of an `ArchsearchError` as one line and exits non-zero; anything else
is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchsearchError(Exception):
    """Base of all errors raised on purpose."""


class SpaceError(ArchsearchError):
    """The declaration of a search space is wrong. Raised where the space is declared."""


class AssignmentError(ArchsearchError):
    """Answers that are not an architecture of the space.

    Attributes:
        path: the path of the decision at fault.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class SingleArchitecture(ArchsearchError):
    """The space holds one architecture only: there is nothing to mutate or move to."""


class Infeasible(ArchsearchError):
    """The constraints refuse everything that was tried."""


class EndlessSpace(ArchsearchError):
    """A walk passed `Space(max_decisions=...)`: a grammar that branches more than it ends."""


class SizeTooHard(ArchsearchError):
    """The exact count needs more states than the limit; the message names what causes it."""


class ShapeError(ArchsearchError):
    """A module cannot take what reaches it.

    Attributes:
        place: the place of the module in the space.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class BuildError(ArchsearchError):
    """A module cannot be made, or the space has nothing to build."""


class ElasticError(ArchsearchError):
    """A super-network cannot be declared, cut or trained like this, or a file does not hold one."""


class StudyError(ArchsearchError):
    """A study cannot run, or cannot go on."""


class StudyLocked(StudyError):
    """Another driver holds the study."""


class SpaceChanged(StudyError):
    """The record belongs to another space than the one given."""


class StoreError(StudyError):
    """The file is not a record that this version can use."""


class UsageError(ArchsearchError):
    """The command line, a study file or a run configuration is wrong."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The end of an error message about a name: ``; did you mean 'x'?``, or nothing when none is near.

    >>> did_you_mean("randm", ["random", "exhaustive"]), did_you_mean("NSGA-2", ["random", "nsga2"])
    ("; did you mean 'random'?", "; did you mean 'nsga2'?")
    """
    words = list(known)
    near = difflib.get_close_matches(given, words, n=1, cutoff=0.6)
    if not near:  # to difflib a capital is as far from its small letter as any other
        by_small = {word.casefold(): word for word in reversed(words)}
        near = [by_small[n] for n in difflib.get_close_matches(given.casefold(), list(by_small), n=1, cutoff=0.6)]
    return f"; did you mean {near[0]!r}?" if near else ""
