"""Self-checkouts that use the gateway's interface, simulated: shoppers, events, a price cache, mishaps, a ground truth.

A till is a *client*: it is told where the gateway is and its token, and speaks only what a till vendor would write.
`TillFleet` runs on the event loop's own time, so 72 hours offline take seconds in a test. Not for production.
By hand: `aisled simulate till --gateway https://gateway --token-file tokens.txt --truth-port 8081`.
Where to look next: `_till_machine.py` (baskets and events), `_till_prices.py` (look-ups, cache and lease),
`_till_sender.py` (delivery), `_till_shopper.py` (scripts), `_till_faults.py` (mishaps), `_till_truth.py` (the oracle).
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, get_args

from drivers.simulators._till_clock import TillClock, Utc, utc_now
from drivers.simulators._till_faults import Faults
from drivers.simulators._till_life import Till, TillConfig
from drivers.simulators._till_link import Link, Unwelcome
from drivers.simulators._till_prices import Mode
from drivers.simulators._till_script import play
from drivers.simulators._till_shopper import Article, Shopper, random_shopper
from drivers.simulators._till_truth import Charged, Ledger, as_json

__all__ = ["Article", "Charged", "Shopper", "TillConfig", "TillFleet", "Unwelcome"]


class TillFleet:
    """The tills of one shop and those who stand in front of them.

    `links`: terminal -> its way to the gateway. `shoppers`: terminal -> those who come, in order; without, they are
    drawn from the seed, `config.baskets` of them. Needs a running loop only in `run`. Over sockets: `tills_at`.
    """

    def __init__(
        self,
        links: Mapping[str, Link],
        config: TillConfig,
        shoppers: Mapping[str, Iterable[Shopper]] | None = None,
        utc: Utc = utc_now,
    ) -> None:
        self.config = config
        self.ledger = Ledger()
        self.tills: dict[str, Till] = {}
        for terminal, link in links.items():
            queue = self._drawn(terminal) if shoppers is None else shoppers.get(terminal, ())
            clock = TillClock(_loop_time, utc)
            self.tills[terminal] = Till(terminal, link, clock, queue, self.ledger, config)
        self.faults = Faults(self.tills, config.speed)

    async def run(self, script: Sequence[Mapping[str, Any]] = ()) -> None:
        """Serve every shopper and deliver every event; shoppers may never end. Raises Unwelcome, in a group."""
        async with asyncio.TaskGroup() as group:
            tills = [group.create_task(till.run(), name=f"till {till.terminal}") for till in self.tills.values()]
            mishaps = group.create_task(play(self.faults, script, self.config.speed), name="mishaps of the tills")
            await asyncio.wait(tills)
            mishaps.cancel()

    def truth(self) -> dict[str, Any]:
        """Return what was really charged, and every event ever made, as JSON."""
        return as_json(self.ledger, {terminal: till.log for terminal, till in self.tills.items()})

    def _drawn(self, terminal: str) -> Iterator[Shopper]:
        rng = Random(f"shoppers {terminal} {self.config.seed}")  # noqa: S311 (repeatable, not secret)
        config = self.config
        for _ in range(config.baskets) if config.baskets else count():
            yield random_shopper(rng, config.articles, config.every_s)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `simulate till`."""
    parser.add_argument("--gateway", required=True, metavar="URL", help="where the gateway serves tills")
    parser.add_argument(
        "--token-file", type=Path, required=True, metavar="FILE", help="the tills' tokens, one a line: one till each"
    )
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the shop's own certificate authority, PEM")
    parser.add_argument("--port", type=int, help="not used: a till serves nothing")
    parser.add_argument("--truth-port", type=int, help="port of GET /truth: what shoppers were really charged")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster shoppers are (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same shoppers and same luck (default 0)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help='JSON: [{"at_s": 9, "fault": "die"}, ...], or TOML')
    parser.add_argument("--mode", choices=get_args(Mode), default="fallback", help="when prices come from the cache")
    parser.add_argument("--baskets", type=int, default=0, help="stop after so many at each till (default: never)")
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="seconds between shoppers (default 60)")


def main(args: argparse.Namespace) -> int:
    """Run until told to stop; 0 = stopped cleanly, 2 = an argument, a file or a token is wrong, 1 = no port."""
    from drivers.simulators._till_serve import Where, read_tokens, serve  # noqa: PLC0415 (the core needs no aiohttp)

    code = 0
    try:
        config = TillConfig(mode=args.mode, seed=args.seed, speed=args.speed, baskets=args.baskets, every_s=args.every)
        where = Where(args.gateway, read_tokens(args.token_file), args.ca)
        asyncio.run(serve(where, config, args.truth_port, args.faults))
    except* ValueError as errors:
        code = _complain(errors, 2)
    except* OSError as errors:
        code = _complain(errors, 1)
    return code


def _complain(errors: BaseExceptionGroup[Exception], code: int) -> int:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _complain(error, code)
        else:
            sys.stderr.write(f"till: {error}\n")
    return code


if __name__ == "__main__":
    command = argparse.ArgumentParser(prog="till", description="Simulated self-checkouts.")
    add_arguments(command)
    sys.exit(main(command.parse_args()))
