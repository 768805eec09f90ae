"""Bytes of `down/prices` become one part of a price wave: good lines, refused lines with the reason, or no wave at all.

Pure. Lines are validated some hundred at a time (`long_json.py`); only when that fails is each judged alone, so that a
bad line costs nobody but itself. What is checked here hangs on the message alone; what hangs on the shop (unknown
product, stale sequence, absurd change) is `intake.py`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from gateway.messages import LineRefusal, Order, PriceLine, PricePart, Wave, WaveRejected
from gateway.prices.long_json import cut
from gateway.prices.reasons import explain, shown
from gateway.prices.work import PAGE, PAUSE, Work, finished

MAX_BYTES = 16 * 1024 * 1024
MAX_ISSUED_AHEAD = timedelta(days=1)  # more is a wrong clock at head office
MAX_EFFECTIVE_AHEAD = timedelta(days=400)  # a year's calendar and some; more is a slip of the pen
MAX_SEQUENCE = 2**53 - 1  # what every JSON reader and the store can hold
YEARS = range(2000, 2100)
_HEAD = tuple(Wave.model_fields)


class PartBody(Wave):
    """A part of a price wave as it travels; `lines` may be sent in several parts, in any order."""

    part: int = 1
    lines: tuple[PriceLine, ...] = ()


class _Part(Wave):
    """The same, lines not looked at."""

    part: int = 1
    lines: tuple[Any, ...] = ()


class _Named(Order):
    """Just enough to say which wave is refused."""

    model_config = ConfigDict(extra="ignore")
    id: str


_PART = TypeAdapter(_Part)
_LINE = TypeAdapter(PriceLine)
_LINES = TypeAdapter(tuple[PriceLine, ...])
_ITEMS = TypeAdapter(tuple[Any, ...])
_NAMED = TypeAdapter(_Named)


def check_digit(gtin: str) -> int:
    """Return the digit that the first 13 demand (GS1 General Specifications, 7.9: weights 3 and 1)."""
    digits = gtin.encode()
    return -(3 * (sum(digits[0:13:2]) - 7 * 48) + sum(digits[1:13:2]) - 6 * 48) % 10


def gtin_fault(gtin: str) -> str | None:
    """Return what is wrong with 14 digits, or None."""
    right = check_digit(gtin)
    return None if int(gtin[13]) == right else f"check digit is {gtin[13]}, should be {right}"


def parse_part(payload: bytes, *, at: datetime, source: str, trusted_now: datetime | None) -> PricePart | WaveRejected:
    """Parse one message. `trusted_now` None = our clock is in doubt: nothing is called too far ahead."""
    return finished(parsing_part(payload, at=at, source=source, trusted_now=trusted_now))


def parsing_part(
    payload: bytes, *, at: datetime, source: str, trusted_now: datetime | None
) -> Work[PricePart | WaveRejected]:
    """Do the same step by step."""
    if len(payload) > MAX_BYTES:
        return _rejected(None, f"{len(payload)} bytes; send parts of at most {MAX_BYTES}", at, source)
    found = yield from cut(payload, "lines")
    head = payload if found is None else found.head
    try:
        body = _PART.validate_json(head)
        given = body.lines if found is None else (yield from _all_lines(found.slices))
    except ValidationError as error:
        return _rejected(wave_id(head), explain(error), at, source)
    wave = Wave.model_construct(**{name: getattr(body, name) for name in _HEAD})
    fault = head_fault(wave, body.part, len(given), trusted_now)
    if fault is not None:
        return _rejected(wave.id, fault, at, source)
    if wave.kind == "cancel" and wave.supersedes is None:
        wave = wave.model_copy(update={"supersedes": wave.id})
    lines, refused = yield from judge_lines(given)
    return PricePart(at=at, source=source, wave=wave, part=body.part, lines=lines, refused=refused)


def _all_lines(slices: Iterable[bytes]) -> Work[Sequence[Any]]:
    lines: list[Any] = []
    for some in slices:
        lines += _some_lines(some)
        yield PAUSE
    return lines


def _some_lines(some: bytes) -> Sequence[Any]:
    try:
        return _LINES.validate_json(some)
    except ValidationError:
        return _ITEMS.validate_json(some)


def head_fault(wave: Wave, part: int, lines: int, trusted_now: datetime | None) -> str | None:
    """Return why a well-formed head cannot be used, or None."""
    instants = (wave.issued_at, wave.effective_at, *([wave.expires_at] if wave.expires_at else []))
    fault = None
    if not (wave.id.isprintable() and wave.issuer.isprintable()):
        fault = "id and issuer must not hold control characters"
    elif wave.sequence > MAX_SEQUENCE:
        fault = f"sequence must be at most {MAX_SEQUENCE}"
    elif any(instant.year not in YEARS for instant in instants):
        fault = f"an instant lies outside of the years {YEARS.start} to {YEARS.stop - 1}"
    elif not 1 <= part <= wave.parts:
        fault = f"part {shown(part)} of {wave.parts}: parts count from 1"
    elif wave.expires_at is not None and wave.expires_at <= wave.effective_at:
        fault = "expires_at must be later than effective_at"
    elif wave.kind == "cancel" and lines:
        fault = "a cancel has no lines"
    elif wave.kind == "change" and wave.parts == 1 and not lines:
        fault = "there are no lines"
    elif trusted_now is not None:
        fault = _too_far_ahead(wave, trusted_now)
    return fault


def _too_far_ahead(wave: Wave, now: datetime) -> str | None:
    if wave.issued_at - now > MAX_ISSUED_AHEAD:
        return f"issued_at {wave.issued_at.isoformat()} is in the future; check the clock of head office"
    if wave.effective_at - now > MAX_EFFECTIVE_AHEAD:
        return f"effective_at {wave.effective_at.isoformat()} is more than {MAX_EFFECTIVE_AHEAD.days} days ahead"
    return None


def judge_lines(given: Sequence[Any]) -> Work[tuple[tuple[PriceLine, ...], tuple[LineRefusal, ...]]]:
    """Return the good lines in order, and the others with number and reason. A GTIN counts where it comes first."""
    good: dict[str, PriceLine] = {}
    numbers: dict[str, int] = {}
    refused: list[LineRefusal] = []
    for number, item in enumerate(given):
        if number % PAGE == 0:
            yield PAUSE
        line, fault = _line(item)
        if line is not None and line.gtin in good:
            fault = f"GTIN twice in this part, first in line {numbers[line.gtin]}"
        if fault is not None or line is None:
            refused.append(LineRefusal(line=number, gtin=_gtin_of(item), reason=fault or "not a line"))
        else:
            good[line.gtin] = line
            numbers[line.gtin] = number
    return tuple(good.values()), tuple(refused)


def _line(item: object) -> tuple[PriceLine | None, str | None]:
    if not isinstance(item, PriceLine):
        try:
            item = _LINE.validate_python(item)
        except ValidationError as error:
            return None, explain(error, "the line")
    if item.promo is not None and not item.promo.isprintable():
        return None, "promo holds control characters"
    return item, gtin_fault(item.gtin)


def _gtin_of(item: object) -> str | None:
    gtin = item.gtin if isinstance(item, PriceLine) else item.get("gtin") if isinstance(item, dict) else None
    return gtin if isinstance(gtin, str) and len(gtin) <= 20 and gtin.isprintable() else None


def wave_id(payload: bytes) -> str | None:
    """Return the `id` of a body that is otherwise unusable, if there is one fit to be repeated."""
    try:
        found = _NAMED.validate_json(payload).id
    except ValidationError:
        return None
    return found if found and len(found) <= 120 and found.isprintable() else None


def _rejected(wave: str | None, reason: str, at: datetime, source: str) -> WaveRejected:
    return WaveRejected(at=at, source=source, wave=wave, reason=reason)
