"""The bodies that head office sends: waves in parts, cancels, master data, commands. Pure: values in, JSON out."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.errors import Refused
from gateway.messages import Binding, Facing, PriceLine, Product

LINES_A_PART = 500  # below 256 KiB, which careful brokers refuse; a lost connection repeats little
MAX_FULL_BYTES = 16 * 1024 * 1024  # the gateway's limit; a list that replaces all cannot be split


@dataclass(frozen=True)
class WaveHead:
    """What all parts of a wave share. A later `sequence` overrules an earlier one, so by default it is Unix ms."""

    id: str
    issuer: str
    issued_at: datetime
    sequence: int
    effective_at: datetime
    expires_at: datetime | None = None
    supersedes: str | None = None


def new_id(now: datetime) -> str:
    """Return an id that tells when the wave was made."""
    return now.astimezone(UTC).strftime("wave-%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def new_sequence(now: datetime) -> int:
    """Return Unix milliseconds: grows from order to order without a counter that somebody must keep."""
    return int(now.timestamp() * 1000)


def change(head: WaveHead, lines: Sequence[PriceLine]) -> Iterator[bytes]:
    """Yield the parts of a price wave."""
    parts = [lines[start : start + LINES_A_PART] for start in range(0, len(lines), LINES_A_PART)]
    for number, part in enumerate(parts, 1):
        yield _wave(head, "change", number, len(parts), [line.model_dump(exclude_none=True) for line in part])


def cancel(head: WaveHead) -> bytes:
    """Return the wave that takes back `head.supersedes`."""
    return _wave(head, "cancel", 1, 1, [])


def products(items: Sequence[Product], sequence: int, *, full: bool) -> list[bytes]:
    """Return master data. `full` replaces all and so is one message; else it goes in parts, `sequence` and up."""
    return _master("products", [item.model_dump(exclude_none=True) for item in items], sequence, full=full)


def bindings(items: Sequence[Binding], sequence: int, *, full: bool) -> list[bytes]:
    """Return which product each label stands for; a null gtin is an order to unbind, so it is kept."""
    return _master("bindings", [item.model_dump() for item in items], sequence, full=full)


def planogram(items: Sequence[Facing], sequence: int, *, full: bool) -> list[bytes]:
    """Return the places on the shelves."""
    return _master("facings", [item.model_dump(exclude_none=True) for item in items], sequence, full=full)


def command(command_id: str, issuer: str, issued_at: datetime, args: dict[str, Any]) -> bytes:
    """Return a command; its name is in the topic."""
    return _json({"id": command_id, "issued_at": _rfc3339(issued_at), "issuer": issuer, "args": args})


def _wave(head: WaveHead, kind: str, part: int, parts: int, lines: list[dict[str, Any]]) -> bytes:
    return _json(
        {
            "id": head.id,
            "kind": kind,
            "issued_at": _rfc3339(head.issued_at),
            "issuer": head.issuer,
            "sequence": head.sequence,
            "effective_at": _rfc3339(head.effective_at),
            "expires_at": _rfc3339(head.expires_at) if head.expires_at else None,
            "supersedes": head.supersedes,
            "part": part,
            "parts": parts,
            "lines": lines,
        }
    )


def _master(member: str, items: list[dict[str, Any]], sequence: int, *, full: bool) -> list[bytes]:
    if full:
        body = _json({"sequence": sequence, "full": True, member: items})
        if len(body) > MAX_FULL_BYTES:
            raise Refused(
                f"{len(items)} items are {len(body)} bytes, more than one message can hold; send without --full"
            )
        return [body]
    starts = range(0, len(items), LINES_A_PART)
    return [
        _json({"sequence": sequence + number, "full": False, member: items[start : start + LINES_A_PART]})
        for number, start in enumerate(starts)
    ]


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
