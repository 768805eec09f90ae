"""The words of `aisled hq`. Imports nothing but argparse, so that `--help` and other commands stay quick."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_arguments(office: argparse.ArgumentParser) -> None:
    """Add the options of the connection and the sub-commands."""
    office.add_argument("--url", required=True, help="broker: mqtt://host[:port] or mqtts://host[:port]")
    office.add_argument("--store", required=True, metavar="S", help="the shop, as [store] id in its configuration")
    office.add_argument("--username", metavar="NAME", help="user at the broker")
    office.add_argument("--password-file", type=Path, metavar="FILE", help="file that holds the password")
    office.add_argument("--ca-file", type=Path, metavar="FILE", help="certificate authority of the broker")
    office.add_argument("--cert-file", type=Path, metavar="FILE", help="client certificate")
    office.add_argument("--key-file", type=Path, metavar="FILE", help="its key")
    office.add_argument("--issuer", default="hq/console", help="who orders, for the audit (default: %(default)s)")
    office.add_argument("--json", action="store_true", help="print JSON lines for programs")
    commands = office.add_subparsers(title="commands", metavar="COMMAND", dest="word", required=True)
    _add_push(commands)
    _add_watch(commands)
    _add_cancel(commands)
    _add_verify(commands)
    _add_follow(commands)
    _add_master(commands, "products", "product data", "products.csv with columns gtin, name:en, unit, net_content ...")
    _add_master(commands, "bindings", "which product each label stands for", "CSV with columns label, gtin, facing")
    _add_master(
        commands, "planogram", "places on the shelves", "CSV with columns facing, gtin, shelf, position, quantity"
    )
    _add_command(commands)


def _add(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=text)


def _add_push(commands: Commands) -> None:
    push = _add(commands, "push", "send a price wave from a CSV file")
    push.add_argument(
        "file", type=Path, help="columns: gtin, price (12.90), currency; was, promo, unit_price ... if any"
    )
    push.add_argument("--at", default="now", metavar="T", help="when prices change: now, 08:00 or a date and time")
    push.add_argument("--expires", metavar="T", help="when the earlier prices come back")
    push.add_argument("--timezone", default="UTC", metavar="ZONE", help="the shop's, for times without offset (IANA)")
    push.add_argument("--id", help="name of the wave (default: made from the time)")
    push.add_argument("--supersedes", metavar="WAVE", help="the wave that this one replaces")
    push.add_argument("--watch", action="store_true", help="stay and show how the wave goes")
    push.add_argument("--timeout", type=float, default=1800, metavar="S", help="with --watch: seconds to wait")
    _add_file_options(push)


def _add_watch(commands: Commands) -> None:
    watch = _add(commands, "watch", "show how a wave goes; ends with 0 when every label is proven, else with 1")
    watch.add_argument("wave", help="its id, as printed by push")
    watch.add_argument(
        "--timeout", type=float, default=1800, metavar="S", help="seconds to wait after it took effect (%(default)g)"
    )


def _add_cancel(commands: Commands) -> None:
    cancel = _add(commands, "cancel", "take a wave back, before or after it took effect")
    cancel.add_argument("wave", help="its id")


def _add_verify(commands: Commands) -> None:
    verify = _add(commands, "verify", "prove that no event is missing; ends with 1 when one is")
    verify.add_argument("--seconds", type=float, default=60, metavar="N", help="how long to listen (%(default)g)")
    verify.add_argument("--state", type=Path, metavar="FILE", help="keep the count here and go on from it next time")
    verify.add_argument("--session", default="aisled-hq-verify", help="name of the session at the broker (%(default)s)")


def _add_follow(commands: Commands) -> None:
    follow = _add(commands, "follow", "print what the shop reports, as it comes")
    follow.add_argument("--telemetry", action="store_true", help="also what is only measured")
    follow.add_argument("--type", action="append", default=[], metavar="T", help="only this type, such as label.shown")
    follow.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds (default: ctrl-c)")


def _add_master(commands: Commands, name: str, what: str, columns: str) -> None:
    master = _add(commands, name, f"send {what} from a CSV file")
    master.add_argument("file", type=Path, help=columns)
    master.add_argument("--full", action="store_true", help="the file holds all: what is not in it is removed")
    _add_file_options(master)


def _add_file_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--encoding", default="utf-8-sig", help="of the file; gb18030 for Chinese Excel (%(default)s)")
    command.add_argument("--skip-bad", action="store_true", help="send the good lines although others are bad")
    command.add_argument("--dry-run", action="store_true", help="read and check the file, send nothing")


def _add_command(commands: Commands) -> None:
    command = _add(commands, "command", "send a command, such as blink, and wait for the answer")
    command.add_argument("name", help="blink, sign_off, force, refresh ...")
    command.add_argument(
        "args", nargs="*", metavar="KEY=VALUE", help="its arguments: label=0000021B2C3D4E5F seconds=20"
    )
    command.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds to wait for the answer")
