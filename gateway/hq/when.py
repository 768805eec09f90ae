"""Turns what a person writes for a time (`08:00`, `2026-11-23 08:00`, `now`) into an instant. Pure.

A wall clock time that a change to or from summer time skips or repeats is refused: write it with an offset.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from gateway.errors import ConfigError

_CLOCK = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)$")


def zone(name: str) -> ZoneInfo:
    """Return an IANA time zone."""
    if name not in available_timezones():
        raise ConfigError(f'--timezone "{name}": not an IANA time zone; for example Asia/Shanghai')
    return ZoneInfo(name)


def instant(text: str, shop: ZoneInfo, now: datetime) -> datetime:
    """Return the UTC instant that `text` means in the shop. `HH:MM` is the next time that its clock says so."""
    if text == "now":
        return now
    if clock := _CLOCK.match(text):
        local = now.astimezone(shop).replace(
            hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0, tzinfo=None
        )
        today = _once(local, shop, text)
        return today if today > now else _once(local + timedelta(days=1), shop, text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'"{text}": not a time; write now, 08:00 or 2026-11-23T08:00') from None
    return parsed.astimezone(UTC) if parsed.tzinfo else _once(parsed, shop, text)


def _once(local: datetime, shop: ZoneInfo, text: str) -> datetime:
    first, second = (local.replace(tzinfo=shop, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    skipped = first.astimezone(shop).replace(tzinfo=None) != local
    what = "does not exist" if skipped else "comes twice"
    raise ConfigError(f'"{text}": on {local:%Y-%m-%d} this time {what} in {shop.key}; write it with its UTC offset')
