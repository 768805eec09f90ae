"""`aisled count`: which counts there were, what one found, and the same as CSV. Reads the database; never writes.

Counts begin and end by command of head office or by schedule (`rules/counts.py`). Only argparse is imported above, so
that other commands stay quick.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from gateway.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3

    from gateway.store.count_query import CountHead

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
TakesConfig = Callable[[argparse.ArgumentParser], None]
PRODUCT_COLUMNS = ("session", "gtin", "name", "expected", "found", "missing", "unexpected", "confidence")
ITEM_COLUMNS = ("session", "epc", "gtin", "expected_zone", "seen_zone", "result")
MOST_SHOWN = 30


def add_arguments(count: argparse.ArgumentParser, takes_config: TakesConfig) -> None:
    """Add the sub-commands; `takes_config` adds `--config` as every other command has it."""
    commands = count.add_subparsers(title="commands", metavar="COMMAND", dest="word", required=True)
    _add(commands, takes_config, "list", "show the newest counts")
    show = _add(commands, takes_config, "show", "show what a count found, worst products first")
    show.add_argument("session", metavar="SESSION", help="its name, as `list` shows it")
    table = _add(commands, takes_config, "csv", "print what a count found, as CSV")
    table.add_argument("session", metavar="SESSION", help="its name, as `list` shows it")
    table.add_argument("--items", action="store_true", help="a line for each item instead of each product")


def _add(commands: Commands, takes_config: TakesConfig, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    takes_config(command)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Carry out one of the words. Raises ConfigError, StoreError."""
    import contextlib  # noqa: PLC0415 - see the module docstring
    import sqlite3  # noqa: PLC0415

    from gateway.config import load  # noqa: PLC0415
    from gateway.errors import StoreError  # noqa: PLC0415
    from gateway.store.schema import connect_reader, snapshot  # noqa: PLC0415

    config = load(arguments.config)
    database = config.gateway.database
    if not database.exists():
        raise ConfigError(f"{database} is not there; has the gateway ever run with this configuration?")
    try:
        with contextlib.closing(connect_reader(database)) as connection, snapshot(connection):
            return _WORDS[arguments.word](connection, arguments, config.store.languages[0])
    except sqlite3.Error as error:
        raise StoreError(f"{database}: {error}") from error


def _list(connection: "sqlite3.Connection", arguments: argparse.Namespace, language: str) -> int:
    from gateway.store.count_query import heads  # noqa: PLC0415

    del arguments, language
    found = heads(connection)
    for head in found:
        sys.stdout.write(f"{head.session:28} {_summary(head)}\n")
    if not found:
        sys.stdout.write("there was no count yet; head office begins one with the command count_start\n")
    return 0


def _summary(head: "CountHead") -> str:
    state = f"open since {head.opened_at}" if head.ended is None else f"ended {head.ended_at} ({head.ended})"
    heard = "" if head.coverage is None else f", {head.coverage:.1%} of what is there heard"
    sums = f"{head.found} of {head.expected} found, {head.missing} missing, {head.unexpected} unexpected"
    return f"{head.kind} of {', '.join(head.zones)}: {state}: {sums}{heard}"


def _show(connection: "sqlite3.Connection", arguments: argparse.Namespace, language: str) -> int:
    from gateway.store.count_query import products  # noqa: PLC0415

    sys.stdout.write(f"{_summary(_head(connection, arguments.session))}\n")
    lines = list(products(connection, arguments.session, language))
    for line in lines[:MOST_SHOWN]:
        what = f"{line.gtin or 'not decoded':14} {line.name:30.30}"
        sure = f", {line.confidence:.0%} sure that they are gone" if line.missing else ""
        sys.stdout.write(f"  {what} {line.found}/{line.expected}, {line.missing} missing{sure}, +{line.unexpected}\n")
    if len(lines) > MOST_SHOWN:
        sys.stdout.write(f"  and {len(lines) - MOST_SHOWN} products more: aisled count csv {arguments.session}\n")
    return 0


def _csv(connection: "sqlite3.Connection", arguments: argparse.Namespace, language: str) -> int:
    from gateway.store.count_query import items, products  # noqa: PLC0415

    session = _head(connection, arguments.session).session
    if arguments.items:
        _write(ITEM_COLUMNS, ((session, *line) for line in items(connection, session)))
    else:
        _write(PRODUCT_COLUMNS, ((session, *line) for line in products(connection, session, language)))
    return 0


def _head(connection: "sqlite3.Connection", session: str) -> "CountHead":
    from gateway.store.count_query import heads  # noqa: PLC0415

    found = {head.session: head for head in heads(connection, limit=500)}
    if session not in found:
        raise ConfigError(f"no count {session!r}; the newest are: {', '.join(list(found)[:5]) or 'none'}")
    return found[session]


def _write(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    import csv  # noqa: PLC0415

    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    """Return what a spreadsheet takes for text: a name that begins with = + - @ would be a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


_WORDS = {"list": _list, "show": _show, "csv": _csv}
