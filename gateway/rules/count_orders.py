"""What commands about counts say: `count_start`, `count_stop`, `count_cancel`. Arguments in, an order or a reason out.

Not here: carrying them out (`counts.py`).
"""

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.count_notes import CountKind
from gateway.messages import Gtin, Request, SessionId
from gateway.rules.zones import Zones

COMMANDS = ("count_start", "count_stop", "count_cancel")
MOST_LINES = 20_000
KINDS: dict[
    CountKind, frozenset[str]
] = {  # where stock is, so that a count of all these zones sets it; and where it comes
    "count": frozenset({"floor", "backroom", "fitting", "till"}),
    "receiving": frozenset({"goods_in"}),
}


class Start(NamedTuple):
    """A count to begin. `lines`: what a delivery should hold, (GTIN, pieces)."""

    session: str
    kind: CountKind
    zones: tuple[str, ...]
    limit_s: float | None
    document: str | None
    lines: tuple[tuple[str, int], ...] | None


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    gtin: Gtin
    quantity: int = Field(ge=1, le=1_000_000)


class _StartArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")

    session: SessionId | None = None
    kind: CountKind = "count"
    zones: tuple[str, ...] = Field(default=(), max_length=1000)
    minutes: float | None = Field(default=None, ge=1, le=24 * 60)
    document: str | None = Field(default=None, min_length=1, max_length=120)
    lines: tuple[_Line, ...] | None = Field(default=None, min_length=1, max_length=MOST_LINES)


def parse_start(request: Request, zones: Zones) -> Start | str:
    """Return the order, or why it cannot be carried out. Without a name of its own a count has its command's id."""
    try:
        said = _StartArgs.model_validate(request.args)
    except ValidationError as error:
        what = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"args.{'.'.join(map(str, what['loc']))}: {what['msg']}"
    if strange := [zone for zone in said.zones if zones.get(zone) is None]:
        known = ", ".join(zone.id for zone in zones) or "none"
        return f"args.zones: no zone {strange[0]!r}; there are: {known}"
    chosen = said.zones or zones_of(said.kind, zones)
    if not chosen:
        return f"there is no [[zone]] to count: a {said.kind} needs one of kind {' or '.join(sorted(KINDS[said.kind]))}"
    lines = None if said.lines is None else _sums(said.lines)
    limit_s = None if said.minutes is None else said.minutes * 60
    return Start(said.session or request.id, said.kind, chosen, limit_s, said.document, lines)


def zones_of(kind: CountKind, zones: Zones) -> tuple[str, ...]:
    """Return the zones that such a count takes when none are named."""
    return tuple(zone.id for zone in zones if zone.kind in KINDS[kind])


def _sums(lines: tuple[_Line, ...]) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.gtin] = sums.get(line.gtin, 0) + line.quantity
    return tuple(sums.items())


def session_of(request: Request) -> str | None:
    """Return the count that a command names."""
    name: Any = request.args.get("session")
    return name if isinstance(name, str) else None
