"""Counts on a schedule: one `[[count]]` table each, in the shop's own time. Pure.

A count that was due while the gateway was off begins within LATE after that, or not at all: a shop that opens wants no
count of the night. Its name holds the day, so that it begins once. Not here: the count itself (`counts.py`).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

LATE = timedelta(hours=1)
DAYS: tuple["Day", ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CountPlan(BaseModel):
    """One count that begins by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="name; each count adds its day to it", examples=["night"]
    )
    at: str = Field(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="when it begins, the shop's own time",
        examples=["03:00"],
    )
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, description="on which days", examples=[["mon", "thu"]])
    zones: tuple[str, ...] = Field(
        default=(), description="zones to count; none = all but exits and goods in", examples=[["door"]]
    )


class Due(NamedTuple):
    """A plan whose time has come, and the name of this count."""

    plan: CountPlan
    session: str


def due(plans: Iterable[CountPlan], zone: tzinfo, now: datetime) -> Iterator[Due]:
    """Return the plans that should have begun within LATE before now."""
    for plan in plans:
        for day in (now, now - LATE):
            begins = _begins(plan, day.astimezone(zone))
            if begins <= now < begins + LATE and DAYS[begins.astimezone(zone).weekday()] in plan.days:
                yield Due(plan, f"{plan.id}-{begins.astimezone(zone):%Y-%m-%d}")
                break


def _begins(plan: CountPlan, day: datetime) -> datetime:
    hour, _, minute = plan.at.partition(":")
    return day.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
