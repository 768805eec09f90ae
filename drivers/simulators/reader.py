"""RFID readers that speak LLRP 1.0.1, simulated over one shop of tags: inventory, access, events, mishaps, a truth.

`ReaderFleet` is the whole without sockets: bytes in, bytes out, time by `run_until`. Not for production.
By hand: `aisled simulate reader --port 5084 --readers 3 --tags 2000 --truth-port 8082`.
Where to look next: `_reader_desk.py` (messages), `_reader_inventory.py` (ROSpecs), `_reader_radio.py` (who is heard),
`_reader_world.py` (the shop), `_reader_faults.py` (mishaps), `_reader_serve.py` (sockets, `GET /truth` and its hooks).
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

from drivers.simulators._ap_timeline import Timeline
from drivers.simulators._reader_device import Connection, Line, Reader
from drivers.simulators._reader_epc import read_gtins
from drivers.simulators._reader_faults import Faults
from drivers.simulators._reader_kind import KINDS
from drivers.simulators._reader_layout import Layout, shop
from drivers.simulators._reader_shopper import Habits, Shoppers
from drivers.simulators._reader_world import Stock, World

__all__ = ["Connection", "FleetConfig", "Habits", "Line", "Reader", "ReaderFleet", "Stock"]
MOST_READERS = 16


@dataclass(frozen=True)
class FleetConfig:
    """Readers of one shop. `ghost_share`: of all reads; `speed` shortens what people wait, not how they walk.

    `epoch_s`: UTC of the beginning, seconds since 1970. `reads_per_s`: of each reader.
    """

    readers: int = 1
    kind: str = "impinj"
    stock: Stock = field(default_factory=Stock)
    habits: Habits = field(default_factory=Habits)
    reads_per_s: float = 400.0
    ghost_share: float = 0.0002
    speed: float = 1.0
    epoch_s: float = 1_700_000_000.0
    layout: Layout | None = field(default=None, compare=False)  # another shop than `shop(readers)`

    def __post_init__(self) -> None:
        """Refuse what cannot be, with the reason."""
        if not 1 <= self.readers <= MOST_READERS:
            raise ValueError(f"readers: {self.readers} is not within 1..{MOST_READERS}")
        if self.kind not in KINDS:
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(KINDS)}")
        if not 0 < self.reads_per_s <= 1e6 or not 0 < self.speed <= 10_000 or not 0 <= self.ghost_share <= 1:
            raise ValueError("reads per second, speed or share of ghosts: not a number that can be")


class ReaderFleet:
    """All readers over one shop, on one timeline."""

    def __init__(self, config: FleetConfig) -> None:
        self.config = config
        self.timeline = Timeline()
        self.world = World(self.timeline, config.layout or shop(config.readers), config.stock)
        self.readers: list[Reader] = []
        for number, mounts in enumerate(self.world.layout.readers, 1):
            reader = Reader(
                f"reader-{number}", KINDS[config.kind], mounts, self.world, config.epoch_s, config.reads_per_s
            )
            reader.ghost_share = config.ghost_share
            reader.begin()
            self.readers.append(reader)
        self.faults = Faults(self)
        self.shoppers = Shoppers(self.world, config.habits, config.speed)
        self.shoppers.begin()

    def run_until(self, until_s: float) -> None:
        """Let time pass."""
        self.timeline.run_until(until_s)

    def utc_s(self, at_s: float) -> float:
        """Return seconds since 1970 of a moment of the timeline."""
        return self.readers[0].clock.epoch_s + at_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `simulate reader`."""
    parser.add_argument(
        "--port",
        type=int,
        required=True,
        help="LLRP port of the first reader on loopback, the next ones follow; 0 = free",
    )
    parser.add_argument("--readers", type=int, default=1, metavar="N", help="readers of the one shop (default 1)")
    parser.add_argument("--truth-port", type=int, help="port of GET /truth, and of POST /sell, /walk, /move, /deliver")
    parser.add_argument("--speed", type=float, default=1.0, help="how much less people wait (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same tags and same luck (default 0)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help='JSON: [{"at_s": 9, "fault": "stall", ...}, ...]')
    parser.add_argument("--tags", type=int, default=1000, help="items in the shop (default 1000)")
    parser.add_argument("--gtins", type=Path, metavar="FILE", help="their products, one GTIN a line (default: made up)")
    parser.add_argument("--kind", choices=sorted(KINDS), default="impinj", help="whose reader (default impinj)")
    parser.add_argument("--reads-per-s", type=float, default=400.0, metavar="N", help="of each reader (default 400)")
    parser.add_argument("--shoppers", type=float, default=0.0, metavar="N", help="shoppers an hour (default: none)")
    parser.add_argument(
        "--thieves", type=float, default=0.02, metavar="P", help="share that does not pay (default 0.02)"
    )
    parser.add_argument("--sells", action="store_true", help="sell at the till without waiting for POST /sell")


def main(args: argparse.Namespace) -> int:
    """Serve until told to stop; 0 = stopped cleanly, 2 = the arguments or the fault file are wrong, 1 = no port."""
    from drivers.simulators._reader_serve import serve  # noqa: PLC0415 (the core needs no aiohttp)

    try:
        gtins = tuple(read_gtins(args.gtins)) if args.gtins else ()
        stock = Stock(tags=args.tags, gtins=gtins, seed=args.seed)
        habits = Habits(per_hour=args.shoppers, thieves=args.thieves, pays_itself=args.sells, seed=args.seed)
        config = FleetConfig(args.readers, args.kind, stock, habits, args.reads_per_s, speed=args.speed)
        asyncio.run(serve(config, args.port, args.truth_port, args.faults))
    except ValueError as error:
        sys.stderr.write(f"reader: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"reader: cannot listen: {error.strerror or error}\n")
        return 1
    return 0


if __name__ == "__main__":
    command = argparse.ArgumentParser(prog="reader", description="Simulated RFID readers that speak LLRP.")
    add_arguments(command)
    sys.exit(main(command.parse_args()))
