"""The command line: `archsearch run | studies | show | best | space | extract`.

Every error raised on purpose becomes one line on stderr and a non-zero exit; anything else is a defect of
ours and keeps its traceback. Each command is imported when it runs, so that `--help` loads neither torch,
ray, scikit-optimize nor pydantic.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from archsearch.errors import ArchsearchError, UsageError, did_you_mean

STORE = "runs.db"

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the nearest known word."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '?([^' ]+)'? \(choose from (.*)\)", message)
        if choice:
            known = re.findall(r"[\w-]+", choice[2])
            raise UsageError(f"no {choice[1]!r}{did_you_mean(choice[1], known) or '; there is ' + ', '.join(known)}")
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            raise UsageError(f"unknown argument {rest[0]!r}{self.nearest(parsed, rest[0])}")
        return parsed

    def nearest(self, parsed: argparse.Namespace, word: str) -> str:
        chosen: Parser = getattr(parsed, "parser", self)
        flag = word.split("=")[0]
        return did_you_mean(flag, chosen._option_string_actions) or f" (see `{chosen.prog} --help`)"


def parser() -> Parser:
    """All commands and flags. A flag that is not given is None: a configuration or the study file may say."""
    top = Parser(prog="archsearch", description="Neural architecture search for PyTorch.", allow_abbrev=False)
    top.add_argument("--version", action="store_true", help="show the version")
    commands = top.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=Parser)

    def command(name: str, help: str, description: str = "") -> Parser:
        made: Parser = commands.add_parser(name, help=help, description=description or help, allow_abbrev=False)
        made.set_defaults(parser=made)
        return made

    run = command(
        "run",
        "run a study, or go on with one",
        "Run the study that a Python file defines (`study`, or `space` and `evaluate`). "
        "Running it again goes on where it stopped.",
    )
    run.add_argument("file", metavar="FILE", nargs="?", help="the study file (or `file:` in the configuration)")
    run.add_argument("--config", metavar="YAML", help="read these settings from a YAML file; flags win")
    run.add_argument("--trials", metavar="N", type=int, help="trials that the study is to have in all (default 20)")
    run.add_argument("--workers", metavar="W", type=int, help="trials at a time; several run on Ray (default 1)")
    run.add_argument("--gpus-per-worker", metavar="G", type=float, help="GPUs of each worker, may be 0.5 (default 0)")
    run.add_argument(
        "--lockstep",
        action="store_true",
        default=None,
        help="with several workers, propose the same trials whichever of them finishes first",
    )
    run.add_argument("--searcher", metavar="S", help="the search algorithm (default random); auto says which it takes")
    run.add_argument(
        "--constraint",
        metavar="TEXT",
        action="append",
        help='a bound on a metric, such as "latency_ms <= 20" or "parameters <= 2e6"; may be given several times',
    )
    run.add_argument("--enqueue", metavar="JSON", help="a file of architectures that are tried first, one or a list")
    run.add_argument("--store", metavar="DB", help=f"the SQLite file of the record (default {STORE})")
    run.add_argument("--name", metavar="NAME", help="the study's name in the record (default: the file's name)")
    run.add_argument("--seed", metavar="K", type=int, help="the seed of the search (default 0)")
    run.add_argument("--timeout", metavar="T", help="end a trial that takes longer, as failed: 90s, 30m, 2h")
    run.add_argument(
        "--reuse",
        action=argparse.BooleanOptionalAction,
        help="evaluate a network once, and give later trials of it the same metrics (default), or evaluate every trial",
    )
    run.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        help="a setting of the study file: a number, string or boolean that it assigns at the top level",
    )
    run.add_argument("--quiet", action="store_true", default=None, help="errors only: no progress, no summary")

    studies = command("studies", "list the studies of a record")
    show = command("show", "show a study, or one of its trials")
    best = command("best", "show the best architecture that a study found")
    show.add_argument("name", metavar="NAME", nargs="?", help="the study (default: the only one)")
    show.add_argument("--trial", metavar="N", type=int, help="this trial in full, with its traceback if it failed")
    best.add_argument("name", metavar="NAME", nargs="?", help="the study (default: the only one)")
    best.add_argument("--json", action="store_true", help="the architecture and its metrics as JSON")
    best.add_argument("--out", metavar="DIR", help="write architecture.json and architecture.txt into this folder")
    best.add_argument("--file", metavar="FILE", help="the study file: the text then has the network's layers as well")
    for reader in (studies, show, best):
        reader.add_argument("--store", metavar="DB", default=STORE, help=f"the record (default {STORE})")

    space = command(
        "space",
        "look at a search space",
        "Look at a search space: list its decisions, count it exactly, sample it, show one architecture, or draw.",
    )
    space.add_argument("space", metavar="FILE", help="a Python file that defines `space`, or a ready-made space")
    space.add_argument(
        "action",
        nargs="?",
        choices=["list", "count", "sample", "show", "draw"],
        default="list",
        metavar="ACTION",
        help="list (default), count, sample, show, or draw",
    )
    space.add_argument("--seed", metavar="K", type=int, default=0, help="the seed of `sample` (default 0)")
    space.add_argument("--json", action="store_true", help="`sample`: the answers as JSON, as `show` reads them")
    space.add_argument("--assignment", metavar="JSON", help="`show`, `draw`: the file with the architecture's answers")
    space.add_argument(
        "--out", metavar="FILE", help="`draw`: the file, .svg, .png (needs matplotlib), .dot or .mermaid"
    )

    extract = command(
        "extract",
        "cut a sub-network out of a super-network",
        "Cut a sub-network out of the folder that net.save wrote, or the best one (or a trial) of a study on "
        "sub-networks. Only the bytes that it keeps are read.",
    )
    extract.add_argument("source", metavar="DIR|STUDY", help="the super-network's folder, or the record of a study")
    extract.add_argument("--out", metavar="OUT", required=True, help="the folder to write; it must not be there yet")
    extract.add_argument("--max-parameters", metavar="N", help="the largest (of a study the best) within 5M, 800k, ...")
    extract.add_argument("--max-flops", metavar="N", help="the same by floating-point operations")
    extract.add_argument("--granularity", metavar="G", help="the same share of everything that is decided, such as 1/2")
    extract.add_argument("--trial", metavar="N", type=int, help="of a study, the sub-network of this trial")
    extract.add_argument("--name", metavar="NAME", help="the study in the record (default: the only one)")
    extract.add_argument("--supernet", metavar="DIR", help="where the super-network of the study lies, if it moved")
    extract.add_argument(
        "--format",
        choices=["safetensors", "hf"],
        default="safetensors",
        help="bare weights (default), or a checkpoint that transformers loads",
    )
    extract.add_argument("--dtype", choices=["f32", "f16", "bf16", "f64"], help="convert the numbers (default: as is)")
    extract.add_argument(
        "--verify", action="store_true", help="compare outputs with the super-network's, and fail where they differ"
    )
    return top


def dispatch(arguments: argparse.Namespace, commands: Parser) -> int:
    if arguments.command == "run":
        from archsearch.cli_run import run

        return run(arguments)
    if arguments.command == "space":
        from archsearch.cli_space import space

        return space(arguments)
    if arguments.command == "extract":
        from archsearch.cli_extract import extract

        return extract(arguments)
    if arguments.command in ("studies", "show", "best"):
        from archsearch import cli_show

        command = {"studies": cli_show.studies, "show": cli_show.show, "best": cli_show.best}[arguments.command]
        return command(arguments)
    if arguments.version:
        from importlib import metadata

        print(f"archsearch {metadata.version('archsearch')}")
    else:
        commands.print_help()
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit status: 0, 1 (failed), 2 (usage) or 130 (interrupted)."""
    try:
        commands = parser()
        status = dispatch(commands.parse_args(words), commands)
        sys.stdout.flush()
        return status
    except ArchsearchError as error:
        print(f"archsearch: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        print("archsearch: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing to report
        return 0
    except Exception as error:
        loading = sys.modules.get("archsearch.loading")
        where = loading.blame(error) if loading else None
        if where is None:
            raise
        print(f"archsearch: {where}", file=sys.stderr)  # the user's own code, such as a `where=` of the space
        return FAILED
