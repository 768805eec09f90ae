"""The gateway's side of the tills' interface, as small as it can be: what the simulated tills are tested against.

Strict where the real one is: every event must fit the models. It keeps what it took and when which lease ended.
"""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, unquote, urlsplit

from drivers.simulators._till_link import Answer, Away, Headers
from drivers.simulators._till_log import Event
from gateway.messages import EventIn
from gateway.messages.tills import EVENT_DATA, Lease, PriceChange

MILK, BREAD, APPLES, WINE = "06901234567892", "04006381333931", "02000000000008", "05901234123457"
PRICES = {MILK: 1290, BREAD: 450, APPLES: 899, WINE: 5990}
BY_WEIGHT = {APPLES}


@dataclass
class Gateway:
    """One gateway. Set a price with `charge`; `log` is every request; `lease_s` what it grants."""

    lease_s: int = 900
    now: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    version: int = 0
    changes: dict[str, PriceChange] = field(default_factory=dict)
    events: dict[str, dict[int, dict]] = field(default_factory=dict)
    taken: list[tuple[str, int]] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    leases: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    hearers: list[Callable[[str], None]] = field(default_factory=list)
    refuse_types: set[str] = field(default_factory=set)
    sent_at: list[datetime] = field(default_factory=list)
    _acks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for gtin, price in PRICES.items():
            self.charge(gtin, price)

    def charge(self, gtin: str, price: int | None) -> None:
        self.version += 1
        self.changes[gtin] = PriceChange(
            version=self.version, gtin=gtin, price_minor=price, currency=None if price is None else "CNY"
        )
        for hear in self.hearers:
            hear(json.dumps({"type": "price.changed", "version": self.version}))

    def price(self, gtin: str) -> int | None:
        change = self.changes.get(gtin)
        return None if change is None else change.price_minor

    def handle(self, method: str, target: str, body: bytes | None) -> Answer:
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.split("/")[2:]]
        self.log.append((method, target))
        said = json.loads(body or b"null")
        match method, parts:
            case "GET", ["price", code]:
                answer = self._price(code)
            case "POST", ["price", "batch"]:
                answer = Answer(200, json.dumps({"prices": [self._told(code) for code in said["codes"]]}).encode())
            case "GET", ["prices"]:
                answer = self._feed(int(parse_qs(url.query)["since"][0]))
            case "PUT", ["sco", terminal, "lease"]:
                answer = self._lease(terminal, said["version"])
            case "GET", ["sco", terminal, "ack"]:
                answer = Answer(200, json.dumps({"ack_seq": self.ack(terminal)}).encode())
            case "POST", ["sco", terminal, "events"]:
                answer = self._take(terminal, said)
            case "POST", ["sco", _, "verify"]:
                answer = Answer(200, b'{"verdict":"match"}') if said["basket_id"] else Answer(422)
            case _:
                answer = Answer(404, b"{}")
        return answer

    def _told(self, code: str) -> dict:
        gtin = code.zfill(14)
        price = self.price(gtin)
        if price is None:
            return {"error": "not for sale"}
        return {
            "gtin": gtin,
            "price_minor": price,
            "amount_minor": price,
            "currency": "CNY",
            "unit": "KG" if gtin in BY_WEIGHT else "EA",
            "weight_mg": None,
            "price_version": self.changes[gtin].version,
        }

    def _price(self, code: str) -> Answer:
        told = self._told(code)
        return Answer(404 if "error" in told else 200, json.dumps(told).encode())

    def _feed(self, since: int) -> Answer:
        if since > self.version:
            return Answer(409, b'{"type":"urn:aisled:problem:version-ahead"}')
        newer = sorted((one for one in self.changes.values() if one.version > since), key=lambda one: one.version)
        lines = [one.model_dump_json() for one in newer] + [json.dumps({"version": self.version})]
        return Answer(200, "\n".join(lines).encode() + b"\n")

    def _lease(self, terminal: str, version: int) -> Answer:
        lease = Lease(version=self.version, lease_s=self.lease_s if version == self.version else 0)
        self.leases.setdefault(terminal, []).append((self.now(), self.now() + lease.lease_s))
        return Answer(200, lease.model_dump_json().encode())

    def leased(self, terminal: str, at_s: float) -> bool:
        """By the gateway's own count, with the clock that began later."""
        return any(since <= at_s < until for since, until in self.leases.get(terminal, []))

    def ack(self, terminal: str) -> int:
        kept, ack = self.events.get(terminal, {}), self._acks.get(terminal, 0)
        while ack + 1 in kept:
            ack += 1
        self._acks[terminal] = ack
        return ack

    def forget(self, terminal: str, first: int, last: int) -> None:
        """Be put back to an older state."""
        for seq in range(first, last + 1):
            del self.events[terminal][seq]
        self.taken = [(name, seq) for name, seq in self.taken if seq in self.events[name]]
        self._acks[terminal] = first - 1

    def _take(self, terminal: str, events: list[dict]) -> Answer:
        assert 1 <= len(events) <= 500
        if any(one["type"] in self.refuse_types for one in events):
            return Answer(422, b'{"error":"bad"}')
        kept = self.events.setdefault(terminal, {})
        results = []
        for one in events:
            event = EventIn.model_validate_json(json.dumps(one))
            EVENT_DATA[event.type].model_validate_json(json.dumps(one["data"]))
            known = kept.setdefault(event.seq, one)
            result = "accepted" if known is one else "duplicate" if known == one else "conflict"
            if result == "accepted":
                self.taken.append((terminal, event.seq))
            self.outcomes.append(result)
            results.append({"event_id": event.event_id, "seq": event.seq, "result": result, "reason": None})
        return Answer(200, json.dumps({"ack_seq": self.ack(terminal), "results": results}).encode())


@dataclass
class DirectLink:
    """A way to it without sockets: each leg takes a while by chance, and may lose what it carries."""

    gateway: Gateway
    delay_s: tuple[float, float] = (0.005, 0.02)
    loss: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    async def request(self, method: str, path: str, body: bytes | None, deadline_s: float, headers: Headers) -> Answer:
        del deadline_s  # the mishaps in front count it
        if path.endswith("/events"):
            self.gateway.sent_at.append(datetime.fromisoformat(headers["Sent-At"]))
        await self._leg(path)
        answer = self.gateway.handle(method, path, body)
        await self._leg(path)
        return answer

    async def _leg(self, path: str) -> None:
        await asyncio.sleep(self.rng.uniform(*self.delay_s))
        if self.rng.random() < self.loss:
            raise Away(f"{path}: lost")

    async def listen(self, path: str, hear: Callable[[str], None]) -> None:
        assert path.endswith("/stream")
        self.gateway.hearers.append(hear)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.gateway.hearers.remove(hear)


def no_loss_no_repeat(gateway: Gateway, terminal: str, made: list[Event]) -> None:
    """Every event that the till made is kept, once, unchanged, and no other."""
    assert sorted(gateway.events[terminal]) == [event.seq for event in made]
    assert [gateway.events[terminal][event.seq] for event in made] == [event.wire() for event in made]
    assert len({seq for name, seq in gateway.taken if name == terminal}) == len(made)
    assert [name for name, _ in gateway.taken].count(terminal) == len(made)
