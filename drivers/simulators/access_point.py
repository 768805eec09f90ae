"""An OpenEPaperLink access point with its tags, simulated: same HTTP, same WebSocket, same traps, and a ground truth.

`AccessPoint` is without I/O, on virtual time: a property test runs thousands of them. `serve` (`_ap_serve.py`) lets
one speak on loopback against the real clock: `python -m drivers.simulators.access_point --port 8080 --truth-port 8081`.
Written from the published behaviour of that firmware, nothing of it is copied. Not for production; not a substitute
for a radio. Where to look next: `_ap_delivery.py` (the traps), `_ap_tag.py` (the tags), `_ap_faults.py` (mishaps).
"""

import argparse
import asyncio
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from drivers.simulators._ap_box import Box, Listener
from drivers.simulators._ap_config import ApConfig
from drivers.simulators._ap_content import Content
from drivers.simulators._ap_delivery import Delivery, Report
from drivers.simulators._ap_faults import Faults
from drivers.simulators._ap_power import Power
from drivers.simulators._ap_radio import Radio
from drivers.simulators._ap_record import Record
from drivers.simulators._ap_request import Response, read_request
from drivers.simulators._ap_tag import CAPABILITIES, SimTag
from drivers.simulators._ap_timeline import Timeline
from drivers.simulators._ap_web import Web

__all__ = ["AccessPoint", "ApConfig", "ApDown", "Response"]

OnGlass = Callable[[str, bytes | None, float], None]


class ApDown(ConnectionError):
    """Nobody answers: the access point is booting."""


class AccessPoint:
    """One access point, its radio and the tags in its reach. Time is virtual seconds since the beginning.

    `on_glass(mac, pixels or None, t)` is called at every change of a panel. Two access points that shall hand tags to
    each other (`roam`) need the same `timeline`.
    """

    def __init__(self, config: ApConfig, on_glass: OnGlass | None = None, timeline: Timeline | None = None) -> None:
        self.config = config
        self.timeline = timeline or Timeline()
        self.rng = Random(f"ap {config.seed}")  # noqa: S311 (repeatable, not secret)
        self.radio = Radio(self.timeline, config.slots)
        self.box = Box(config, self.timeline, self.rng, self.radio)
        self.delivery = Delivery(self.box)
        self.content = Content(self.box, self.delivery)
        self.power = Power(self.box, self.content)
        self.on_glass: OnGlass = on_glass or _unwatched
        self.tags: dict[str, SimTag] = {}
        self.loss = config.loss
        self.checkin_s = config.checkin_s
        self.refresh_scale = config.refresh_scale
        self.caching = config.caching
        self.lose_answers = 0
        self.busy_until_s = 0.0
        self.http_delay_s = 0.0
        self.silent: set[str] = set()
        self.faults = Faults(self)
        self._web = Web(self.box, self.delivery, self.content, self.power)
        for at, mac in enumerate(config.tag_macs):
            self.add_tag(mac, config.types[at % len(config.types)], known=config.known)
        self.power.start()

    # time

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.timeline.now_s

    def next_event_at(self) -> float:
        """Return when something is due next."""
        return self.timeline.next_event_at()

    def run_until(self, t: float) -> None:
        """Let virtual time pass."""
        self.timeline.run_until(t)

    # the outside

    def handle(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        """Answer one HTTP request; `target` is path and query. Look at `fate`: it may be lost or refused."""
        if not self.box.up:
            return Response(0, fate="refused")
        request = read_request(method, target, headers or {}, body)
        if self.now < self.busy_until_s and request.path in ("/imgupload", "/jsonupload"):
            return Response(409, {"Content-Type": "text/plain"}, b"Come back later", delay_s=self.http_delay_s)
        found = self._web.answer(request)
        fate = found.fate
        if self.lose_answers:
            self.lose_answers -= 1
            fate = "lost"
        return Response(found.status, found.headers, found.body, fate, self.http_delay_s)

    def connect_ws(self, callback: Callable[[str], None], on_close: Callable[[], None] | None = None) -> Listener:
        """Open `/ws`: every frame goes to `callback`. Raises ApDown while nobody answers."""
        if not self.box.up:
            raise ApDown("the access point is booting")
        listener = Listener(callback, on_close or _nothing, self.box)
        self.box.listeners.append(listener)
        self.content.wake()
        if not self.box.beating:
            self.box.beating = True
            self.timeline.after(1.0, self.box.beat)
        return listener

    def truth(self) -> dict[str, Any]:
        """Return what every glass shows now: SHA-256 of its palette indices, null while blank, and since when."""
        return {"tags": {mac: self._glass_truth(tag) for mac, tag in sorted(self.tags.items())}}

    def _glass_truth(self, tag: SimTag) -> dict[str, str | None]:
        epoch = self.config.epoch_s + tag.since_s / self.config.speed
        since = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"digest": hashlib.sha256(tag.glass).hexdigest() if tag.glass is not None else None, "since": since}

    # tags

    def add_tag(self, mac: str, kind_number: int, *, known: bool) -> SimTag:
        """Bring a tag into reach; `known` = it is in the database already, else it boots."""
        rng = self.rng
        tag = SimTag(
            mac,
            kind_number,
            self.config.tag_version,
            self,
            self._glass_changed,
            battery_mv=rng.randrange(2550, 3000, 10),
            temperature=rng.randrange(18, 24),
            rssi=-rng.randrange(40, 80),
            lqi=rng.randrange(100, 255),
            since_s=self.now,
        )
        self.tags[mac] = tag
        if known:
            self.box.records[mac] = self._known(tag)
            tag.start(rng.uniform(0.5, self.checkin_s[1]))
        else:
            tag.wakeup_reason = 0xFC
            tag.start(rng.uniform(0.5, 5.0))
        return tag

    def _known(self, tag: SimTag) -> Record:
        box = self.box
        record = Record(tag.mac, lastseen=box.clock(), nextupdate=3216153600, nextcheckin=box.later(60), channel=11)
        record.hw_type, record.version, record.capabilities = tag.kind_number, tag.version, CAPABILITIES
        record.rssi, record.lqi = tag.rssi, tag.lqi
        record.battery_mv, record.temperature = tag.battery_mv, tag.temperature
        return record

    def _glass_changed(self, mac: str, pixels: bytes | None, at_s: float) -> None:
        self.on_glass(mac, pixels, at_s)

    # what a tag meets (the protocol `Air`)

    def hears(self, mac: str) -> bool:
        """Whether this tag's packets arrive here."""
        return self.box.up and mac in self.tags and mac not in self.silent

    def checked_in(self, mac: str, report: Report | None) -> None:
        """Pass a check-in on to the application."""
        self.delivery.checked_in(mac, report)
        if self.box.records.get(mac) is not None and self.box.records[mac].nextupdate <= self.box.clock():
            self.content.wake()

    def block(self, mac: str, version: bytes, number: int) -> bytes | None:
        """Pass a block request on to the application."""
        return self.delivery.block(mac, version, number)

    def completed(self, mac: str) -> None:
        """Pass "transfer complete" on to the application."""
        self.delivery.completed(mac)


def _nothing() -> None:
    """Nobody wants to know."""


def _unwatched(_mac: str, _pixels: bytes | None, _at_s: float) -> None:
    """Nobody watches the glass."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `simulate access-point`."""
    parser.add_argument("--port", type=int, required=True, help="port of the access point on loopback; 0 = a free one")
    parser.add_argument("--truth-port", type=int, help="port of GET /truth: what is really on the glass")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than the clock tags live (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same tags and same luck (default 0)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help='JSON: [{"at_s": 9, "fault": "reboot_ap"}, ...]')
    parser.add_argument("--tags", type=int, default=10, help="number of tags (default 10)")
    parser.add_argument(
        "--types", metavar="HEX,HEX", help="their hardware types in turn, such as 21,21,01 (default: mixed)"
    )


def main(args: argparse.Namespace) -> int:
    """Serve until told to stop; 0 = stopped cleanly, 2 = the arguments or the fault file are wrong, 1 = no port."""
    from drivers.simulators._ap_serve import serve  # noqa: PLC0415 (the core shall not need aiohttp)

    try:
        config = ApConfig(tags=args.tags, seed=args.seed, speed=args.speed)
        if args.types:
            config = dataclasses.replace(config, types=_types(args.types))
        _check_ports(args.port, args.truth_port or 0)
        asyncio.run(serve(config, args.port, args.truth_port, args.speed, args.faults))
    except ValueError as error:
        sys.stderr.write(f"access point: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"access point: cannot listen: {error.strerror or error}\n")
        return 1
    return 0


def _types(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(kind, 16) for kind in text.split(","))
    except ValueError:
        raise ValueError(f"types: {text!r} is not a list of hexadecimal numbers such as 21,21,01") from None


def _check_ports(*ports: int) -> None:
    for port in ports:
        if not 0 <= port <= 65_535:
            raise ValueError(f"port: {port} is not within 0..65535")


if __name__ == "__main__":
    command = argparse.ArgumentParser(prog="access_point", description="A simulated OpenEPaperLink access point.")
    add_arguments(command)
    sys.exit(main(command.parse_args()))
