"""The `aisled` command: its words, their help, and what a failure looks like.

Each sub-command imports what it needs when it runs, so that `aisled version` and `--help` are quick. One that needs
more than a few lines lives in a file of its own (`check.py`, `demo.py`, `hq/`). Exit codes: 0 done, 1 failed, 2 a
person must change something (configuration, arguments).
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from gateway import __version__
from gateway.errors import ConfigError, GatewayError

DEFAULT_CONFIG = Path("/etc/aisled/aisled.toml")
FAILED = 1
PERSON_MUST_ACT = 2

Run = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors become one line on stderr, without a traceback."""
    arguments = parser().parse_args(argv)
    run: Run = arguments.run
    try:
        return run(arguments)
    except ConfigError as error:
        _complain(error)
        return PERSON_MUST_ACT
    except BrokenPipeError:
        return _reader_left()
    except (GatewayError, OSError) as error:
        _complain(error)
        return FAILED
    except KeyboardInterrupt:
        return 130  # as a shell says "ended by ctrl-c"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `docs.py` prints it into the reference."""
    root = argparse.ArgumentParser(
        prog="aisled",
        description="The gateway of a shop: shelf labels, prices, and the line to head office.",
        epilog="Start here: aisled demo    Then: aisled COMMAND --help",
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_check(commands)
    _add_demo(commands)
    _add_hq(commands)
    _add_prove(commands)
    _add_terminal(commands)
    _add_count(commands)
    _add_contract(commands)
    _add_backup(commands)
    _add_restore(commands)
    _add_simulate(commands)
    _add(commands, "version", "Print the version.", "aisled version", _version)
    return root


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def _add(commands: Commands, name: str, text: str, example: str, run: Run) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=text.split(". ", 1)[0].rstrip("."),
        description=text,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _takes_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="the shop's file (default: %(default)s)"
    )


def _add_run(commands: Commands) -> None:
    text = "Run the gateway until it is told to stop. Log lines go to the screen, as JSON."
    _takes_config(_add(commands, "run", text, "aisled run --config /etc/aisled/aisled.toml", _run))


def _run(arguments: argparse.Namespace) -> int:
    from gateway.config import load  # noqa: PLC0415 - see the module docstring

    config = load(arguments.config)
    from gateway.app import run  # noqa: PLC0415

    return run(config)


def _add_check(commands: Commands) -> None:
    text = "Check the configuration and try each connection. Changes nothing on any device."
    command = _add(commands, "check", text, "aisled check --config aisled.toml", _check)
    _takes_config(command)
    command.add_argument("--offline", action="store_true", help="check the file only, try no connection")


def _check(arguments: argparse.Namespace) -> int:
    from gateway.check import check  # noqa: PLC0415

    return check(arguments.config, offline=arguments.offline)


def _add_demo(commands: Commands) -> None:
    text = (
        "Show a whole shop on this machine: two simulated access points, 200 labels, two tills, prices on a timer. "
        "No hardware."
    )
    command = _add(commands, "demo", text, "aisled demo --seconds 60 --json", _demo)
    command.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds (default: run until ctrl-c)")
    command.add_argument("--json", action="store_true", help="no screen: print the figures at the end, as JSON")
    command.add_argument(
        "--labels", type=int, default=100, metavar="N", help="labels of each access point (default: 100)"
    )
    command.add_argument(
        "--speed", type=float, default=60, metavar="X", help="how much faster labels live (default: 60)"
    )


def _demo(arguments: argparse.Namespace) -> int:
    from gateway.demo.show import demo  # noqa: PLC0415

    return demo(seconds=arguments.seconds, as_json=arguments.json, labels=arguments.labels, speed=arguments.speed)


def _add_hq(commands: Commands) -> None:
    from gateway.hq.arguments import add_arguments  # noqa: PLC0415

    text = "Be head office: push prices and products, watch them arrive, verify that nothing is missing."
    example = "aisled hq --url mqtt://127.0.0.1 --store 0421 push prices.csv --at 08:00 --timezone Asia/Shanghai"
    command = _add(commands, "hq", text, example, _hq)
    add_arguments(command)


def _hq(arguments: argparse.Namespace) -> int:
    from gateway.hq.office import run  # noqa: PLC0415

    return run(arguments)


def _add_prove(commands: Commands) -> None:
    text = "Print what label and till said about one product at a past minute, and check the chain that proves it."
    example = "aisled prove --gtin 06901234567892 --at 2026-11-23T08:00:00+08:00"
    command = _add(commands, "prove", text, example, _prove)
    _takes_config(command)
    command.add_argument("--gtin", required=True, help="the product, 14 digits")
    command.add_argument(
        "--at", required=True, metavar="T", help="the instant; without an offset it is the shop's time"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def _prove(arguments: argparse.Namespace) -> int:
    from gateway.prove import prove  # noqa: PLC0415

    return prove(arguments.config, arguments.gtin, arguments.at, as_json=arguments.json)


def _add_terminal(commands: Commands) -> None:
    from gateway.terminal_commands import add_arguments  # noqa: PLC0415

    text = "Give a till the token it signs in with, change it, or take it away."
    add_arguments(_add(commands, "terminal", text, "aisled terminal add sco-1", _terminal), _takes_config)


def _terminal(arguments: argparse.Namespace) -> int:
    from gateway.terminal_commands import run  # noqa: PLC0415

    return run(arguments)


def _add_count(commands: Commands) -> None:
    from gateway.count_commands import add_arguments  # noqa: PLC0415

    text = "Show what counts of items with RFID tags found, or print it as CSV."
    add_arguments(_add(commands, "count", text, "aisled count csv night-2026-11-22", _count), _takes_config)


def _count(arguments: argparse.Namespace) -> int:
    from gateway.count_commands import run  # noqa: PLC0415

    return run(arguments)


def _add_contract(commands: Commands) -> None:
    text = "Print the contract with head office (topics and bodies) as an AsyncAPI 3 document."
    _add(commands, "contract", text, "aisled contract > asyncapi.yaml", _contract)


def _contract(arguments: argparse.Namespace) -> int:
    from gateway.uplink.contract import as_yaml  # noqa: PLC0415

    del arguments
    sys.stdout.write(as_yaml())
    return 0


def _add_backup(commands: Commands) -> None:
    text = "Copy the database to a file while the gateway runs. Refuses to overwrite."
    command = _add(commands, "backup", text, "aisled backup /mnt/usb/aisled.db", _backup)
    _takes_config(command)
    command.add_argument("file", type=Path, help="where to write the copy")


def _backup(arguments: argparse.Namespace) -> int:
    from gateway.copies import backup  # noqa: PLC0415

    return backup(arguments.config, arguments.file)


def _add_restore(commands: Commands) -> None:
    text = "Put a backup in place of the database. Stop the gateway first; the old database is kept beside it."
    command = _add(commands, "restore", text, "aisled restore /mnt/usb/aisled.db", _restore)
    _takes_config(command)
    command.add_argument("file", type=Path, help="the backup")
    command.add_argument("--force", action="store_true", help="although the database there is newer")


def _restore(arguments: argparse.Namespace) -> int:
    from gateway.copies import restore  # noqa: PLC0415

    return restore(arguments.config, arguments.file, force=arguments.force)


def _add_simulate(commands: Commands) -> None:
    text = "Play a device that speaks its real protocol, for trying things out."
    command = _add(commands, "simulate", text, "aisled simulate access-point --port 8080 --tags 20", _simulate)
    command.add_argument("device", choices=["access-point", "reader", "till"], help="what to play")
    command.add_argument("options", nargs=argparse.REMAINDER, help="its options: aisled simulate till --help")


def _simulate(arguments: argparse.Namespace) -> int:
    from drivers.simulators import access_point, reader, till  # noqa: PLC0415

    device = {"access-point": access_point, "reader": reader, "till": till}[arguments.device]
    options = argparse.ArgumentParser(prog=f"aisled simulate {arguments.device}")
    device.add_arguments(options)
    code: int = device.main(options.parse_args(arguments.options))
    return code


def _version(arguments: argparse.Namespace) -> int:
    del arguments
    print(f"aisled {__version__}")
    return 0


def _complain(error: Exception) -> None:
    for line in str(error).splitlines() or [type(error).__name__]:
        print(f"aisled: {line}", file=sys.stderr)


def _reader_left() -> int:
    """`aisled contract | head`: the reader closed the pipe, which is no error of ours."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
