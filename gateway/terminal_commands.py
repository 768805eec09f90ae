"""`aisled terminal`: give a till its token, change it, take it away. A token is printed once, alone, on stdout.

The running gateway sees the change by itself; nothing needs a restart. Only argparse is imported above, so that other
commands stay quick. Not here: what a token is (`drivers/_terminal_tokens.py`).
"""

import argparse
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config import Config

DRIVER = "checkout_http"
FILE = "terminals.json"  # in data_dir, where the gateway may write too
OVERLAP = "24h"  # a night and a day: somebody is at every till once
OVERLAP_MAX = timedelta(days=90)
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
TakesConfig = Callable[[argparse.ArgumentParser], None]


def add_arguments(terminal: argparse.ArgumentParser, takes_config: TakesConfig) -> None:
    """Add the sub-commands; `takes_config` adds `--config` as every other command has it."""
    commands = terminal.add_subparsers(title="commands", metavar="COMMAND", dest="word", required=True)
    _add(commands, takes_config, "add", "print the token of a new till; it is shown this once").add_argument(
        "terminal", metavar="ID", help="the till's id at this gateway, such as till-3"
    )
    rotate = _add(commands, takes_config, "rotate", "print a new token; the earlier one stays good for a while")
    rotate.add_argument("terminal", metavar="ID", help="the till")
    rotate.add_argument(
        "--overlap",
        type=span,
        default=OVERLAP,
        metavar="SPAN",
        help="how long: 30m, 24h, 7d, 0s (default: %(default)s)",
    )
    revoke = _add(commands, takes_config, "revoke", "take a till's tokens away, at once")
    revoke.add_argument("terminal", metavar="ID", help="the till")
    _add(commands, takes_config, "list", "show which tills have tokens, since when and until when")


def _add(commands: Commands, takes_config: TakesConfig, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    takes_config(command)
    command.add_argument("--device", metavar="ID", help=f"which {DRIVER} device, where there is more than one")
    return command


def run(arguments: argparse.Namespace) -> int:
    """Carry out one of the words. Raises ConfigError."""
    from gateway.config import load  # noqa: PLC0415 - see the module docstring

    config = load(arguments.config)
    path, now = tokens_file(config, arguments.device), datetime.now(UTC)
    match arguments.word:
        case "add":
            return _added(path, arguments.terminal, now)
        case "rotate":
            return _rotated(path, arguments.terminal, now, arguments.overlap, config.store.zone)
        case "revoke":
            return _revoked(path, arguments.terminal)
    return _listed(path, now, config.store.zone)


def tokens_file(config: "Config", device: str | None = None) -> Path:
    """Return where the tills' interface keeps its tokens. Raises ConfigError when that is not one file."""
    found = {
        one.id: getattr(one, "tokens_file", None) or config.gateway.data_dir / FILE
        for one in config.devices
        if one.driver == DRIVER and device in (None, one.id)
    }
    if not found:
        which = f'with id = "{device}" and' if device else "with"
        raise ConfigError(f'there is no [[device]] {which} driver = "{DRIVER}": without it no till can ask anything')
    if len(set(found.values())) > 1:
        raise ConfigError(f"more than one {DRIVER} device: name one, --device " + " or ".join(sorted(found)))
    return next(iter(found.values()))


def span(text: str) -> timedelta:
    """Read a duration such as 30m or 24h, for argparse."""
    match = _SPAN.fullmatch(text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if length is None or length > OVERLAP_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a span such as 30m, 24h or 7d, up to {OVERLAP_MAX.days}d")
    return length


def _added(path: Path, terminal: str, now: datetime) -> int:
    from drivers._terminal_tokens import add  # noqa: PLC0415

    _show(add(path, terminal, now), f"This is the token of {terminal}.")
    return 0


def _rotated(path: Path, terminal: str, now: datetime, overlap: timedelta, zone: tzinfo) -> int:
    from drivers._terminal_tokens import rotate  # noqa: PLC0415

    token = rotate(path, terminal, now, overlap)
    _show(token, f"This is the new token of {terminal}; the one before is good until {_local(now + overlap, zone)}.")
    return 0


def _revoked(path: Path, terminal: str) -> int:
    from drivers._terminal_tokens import revoke  # noqa: PLC0415

    sys.stdout.write(f"{terminal}: {revoke(path, terminal)} revoked; it can ask nothing any more\n")
    return 0


def _listed(path: Path, now: datetime, zone: tzinfo) -> int:
    from drivers._terminal_tokens import known  # noqa: PLC0415

    for terminal, tokens in known(path).items():
        for token in tokens:
            end = token.not_after
            state = "good" if end is None else f"{'good until' if now < end else 'expired'} {_local(end, zone)}"
            sys.stdout.write(f"{terminal:40} made {_local(token.made_at, zone)}  {state}\n")
    return 0


def _show(token: str, text: str) -> None:
    """Print the token for a script to take, and beside it the words for a person."""
    sys.stdout.write(f"{token}\n")
    sys.stdout.flush()
    sys.stderr.write(f"{text} Put it into the till now: it is not kept here and cannot be shown again.\n")


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")
