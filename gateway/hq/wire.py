"""Topics and events of the contract, seen from head office. Pure: bytes in, values out.

A gateway sends batches, JSON arrays of CloudEvents, to `{root}/{gateway}/up/business` and `.../up/telemetry`. Each
stream has gap-free sequence numbers of its own. Not here: the connection (`client.py`).
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.errors import BadFrame

ROOT = "aisled/v1"
MAX_BATCH_BYTES = 8 * 1024 * 1024  # a gateway sends 64 KiB; more than this is not one of ours
_SOURCE = re.compile(r"^/stores/([^/]+)/gateways/([^/]+)(?:/devices/([^/]+))?$")
_TYPE = re.compile(r"^aisled\.(.+)\.v(\d+)$")


def down(store: str, what: str) -> str:
    """Return the topic of an order to a shop: `prices`, `products`, `bindings`, `planogram`, `commands/<name>`."""
    return f"{ROOT}/{store}/down/{what}"


def up(store: str, what: str) -> str:
    """Return the filter of what all gateways of a shop report: `business`, `telemetry`, `status`, `health`."""
    return f"{ROOT}/{store}/+/up/{what}"


def stream_of(topic: str) -> tuple[str, str]:
    """Return gateway and stream of an upward topic."""
    match topic.split("/"):
        case [_, _, _, gateway, "up", stream]:
            return gateway, stream
        case _:
            raise BadFrame(f"not an upward topic: {topic}")


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent. `type` is without `aisled.` and version; `sequence` counts in `stream` of `gateway`."""

    id: str
    store: str
    gateway: str
    device: str
    stream: str
    type: str
    at: datetime
    sequence: int
    cause: str | None
    data: dict[str, Any]
    raw: dict[str, Any]


def parse_batch(payload: bytes, stream: str) -> list[Event]:
    """Decode one message of `up/business` or `up/telemetry`. Raises BadFrame and names the event at fault."""
    if len(payload) > MAX_BATCH_BYTES:
        raise BadFrame(f"batch of {len(payload)} bytes, more than {MAX_BATCH_BYTES}")
    try:
        batch = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"batch is not JSON: {error}") from error
    if not isinstance(batch, list):
        raise BadFrame(f"batch is no array: {payload[:80]!r}")
    return [_event(position, item, stream) for position, item in enumerate(batch)]


def _event(position: int, raw: Any, stream: str) -> Event:  # noqa: ANN401 - whatever JSON holds
    try:
        where, kind = _SOURCE.match(raw["source"]), _TYPE.match(raw["type"])
        if not where or not kind:
            raise BadFrame(f"event {position}: source {raw['source']!r}, type {raw['type']!r}")
        return Event(
            id=str(raw["id"]),
            store=where[1],
            gateway=where[2],
            device=where[3] or "gateway",
            stream=stream,
            type=kind[1],
            at=datetime.fromisoformat(raw["time"]),
            sequence=int(raw["sequence"]),
            cause=raw.get("cause"),
            data=dict(raw["data"]),
            raw=raw,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadFrame(f"event {position}: {type(error).__name__} {error}: {str(raw)[:120]}") from error
