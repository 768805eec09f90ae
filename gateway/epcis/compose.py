"""Items -> ObjectEvents of EPCIS 2.0 (JSON-LD) -> an EPCISDocument. Pure: the time is given.

One event for each step, place, bucket of time and context. Its eventID is a name-based UUID of all that the event says:
what is composed again is the same event, what says something else is another. Not here: which step (`mapping.py`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from gateway.epcis.names import Names
from gateway.epcis.rows import Event, Item

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
PREFIX, NAMESPACE = "aisled", "urn:x-aisled:epcis:"
TRANSACTIONS = ("desadv", "inv")  # CBV 7.3: despatch advice, invoice
EPCS_AN_EVENT = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Composer:
    """Makes the events of one shop. `bucket_us`: items of one step within such a time are one event."""

    def __init__(self, names: Names, zone: tzinfo, bucket_us: int) -> None:
        self._names, self._zone = names, zone
        self.bucket_us = bucket_us

    def events(self, items: Iterable[Item], now: datetime) -> list[Event]:
        """Return the events of these items, in order of time. `now` becomes their recordTime."""
        groups: dict[tuple[object, ...], list[Item]] = {}
        for item in sorted(items, key=lambda item: (item.at_us, item.number)):
            key = (item.at_us // self.bucket_us, item.step, item.disposition, item.place, item.context)
            groups.setdefault(key, []).append(item)
        return [event for group in groups.values() for event in self._parts(group, now)]

    def _parts(self, group: Sequence[Item], now: datetime) -> Iterator[Event]:
        """Split what is too long for one event: a count may have heard a whole shop."""
        latest = _EPOCH + timedelta(microseconds=group[-1].at_us)
        uris = list(dict.fromkeys(self._names.epc(item.epc) for item in group))
        for start in range(0, len(uris), EPCS_AN_EVENT):
            part = uris[start : start + EPCS_AN_EVENT]
            yield Event(len(part), self._body(group[0], part, latest, now))

    def _body(self, of: Item, uris: Sequence[str], at: datetime, now: datetime) -> str:
        event: dict[str, Any] = {
            "type": "ObjectEvent",
            "eventTime": instant(at),
            "eventTimeZoneOffset": offset(at.astimezone(self._zone)),
            "epcList": uris,
            "action": "OBSERVE",
            "bizStep": of.step,
            "readPoint": {"id": self._names.place(of.place)},
            "bizLocation": {"id": self._names.shop()},
        }
        if of.disposition is not None:
            event["disposition"] = of.disposition
        event |= self._extras(json.loads(of.context))
        said = json.dumps(event, sort_keys=True, separators=(",", ":"))
        event_id = f"urn:uuid:{uuid5(NAMESPACE_URL, said)}"
        return json.dumps({"eventID": event_id, **event, "recordTime": instant(now)}, separators=(",", ":"))

    def _extras(self, context: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return business transactions, and what only our extension can say."""
        transactions = [
            {"type": kind, "bizTransaction": self._names.own(kind, value)}
            for kind, value in context
            if kind in TRANSACTIONS
        ]
        extras: dict[str, Any] = {"bizTransactionList": transactions} if transactions else {}
        return extras | {f"{PREFIX}:{name}": value for name, value in context if name not in TRANSACTIONS}


def document(bodies: Sequence[str], now: datetime) -> bytes:
    """Return an EPCISDocument of these events."""
    head = {
        "@context": [CONTEXT, {PREFIX: NAMESPACE}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": instant(now),
    }
    text = json.dumps(head, separators=(",", ":"))
    return f'{text[:-1]},"epcisBody":{{"eventList":[{",".join(bodies)}]}}}}'.encode()


def instant(at: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def offset(at: datetime) -> str:
    """Return the offset of a local time, `+08:00`."""
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
