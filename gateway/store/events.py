"""A fact as the CloudEvents 1.0 object that head office receives: exact member names and order, built once, as bytes.

Pure. Not here: the batch array around events (`uplink/`), numbering (`outbox.py`). `data` is taken from
`fact.data_json()` unchanged, so a sensor's own object passes through byte for byte. An unset `cause` is JSON null.
"""

import json
from datetime import UTC, datetime

from gateway.messages import GATEWAY, Fact, Stream

KNOWN_SOURCES = 4096  # device ids come from the configuration; the cache forgets rather than grow past this
KNOWN_SECONDS = 512
_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` with an argument makes an encoder for each call
_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))
_seconds: dict[tuple[object, ...], str] = {}  # formatting a date costs more than all the rest of an event
LETTERS: dict[Stream, str] = {"business": "b", "telemetry": "t"}


def event_id(gateway_id: str, stream: Stream, sequence: int) -> str:
    """Return the id that the gateway gives, `gw1-b-000000000042`."""
    return f"{gateway_id}-{LETTERS[stream]}-{sequence:012d}"


def event_time(at: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds and `Z`; finer digits are cut, not rounded."""
    second = (at.second, at.minute, at.hour, at.day, at.month, at.year, at.tzinfo, at.fold)
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) >= KNOWN_SECONDS:
            _seconds.clear()
        text = _seconds[second] = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return text + _MILLISECONDS[at.microsecond // 1000]


class EventEncoder:
    """Encodes facts of one gateway."""

    def __init__(self, store_id: str, gateway_id: str) -> None:
        self._root = f"/stores/{store_id}/gateways/{gateway_id}"
        self._heads = {
            stream: '{"specversion":"1.0","id":"' + json.dumps(gateway_id)[1:-1] + f"-{letter}-"
            for stream, letter in LETTERS.items()
        }
        self._middles: dict[tuple[str, type[Fact]], str] = {}

    def encode(self, fact: Fact, sequence: int, quality: str) -> bytes:
        """Return one event, UTF-8. `quality` is the clock's: synced, holdover or unknown."""
        middle = self._middles.get((fact.source, type(fact))) or self._middle(fact)
        cause = "null" if fact.cause is None else _json(fact.cause)
        if fact.id is None:
            head = f"{self._heads[fact.stream]}{sequence:012d}"
        else:
            head = '{"specversion":"1.0","id":' + _json(fact.id)[:-1]
        return (
            f'{head}{middle}{event_time(fact.at)}","sequence":"{sequence}","cause":{cause},'
            f'"timequality":"{quality}","data":{fact.data_json()}}}'
        ).encode()

    def _middle(self, fact: Fact) -> str:
        if len(self._middles) >= KNOWN_SOURCES:
            self._middles.clear()
        path = self._root if fact.source == GATEWAY else f"{self._root}/devices/{fact.source}"
        middle = f'","source":{json.dumps(path)},"type":"aisled.{fact.type}.v1","time":"'
        self._middles[fact.source, type(fact)] = middle
        return middle
