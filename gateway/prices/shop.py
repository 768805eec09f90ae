"""Prices, labels and tills of one shop in memory, and the moves that several orders lead to. Pure.

It joins the parts: `schedule.py` (which price is wanted), `shelf.py` (what every glass may show), `till.py` (what is
charged). It decides nothing about safety: `switch.py` does. Which message leads to what: `pricing.py` and its likes.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway import messages as m
from gateway import notes
from gateway.prices import convergence
from gateway.prices.glass import Glass
from gateway.prices.schedule import Schedule
from gateway.prices.shelf import Shelf
from gateway.prices.till import Till
from gateway.prices.work import PAUSE, Steps, pages


@dataclass(frozen=True)
class Policy:
    """What the configuration says about prices."""

    currency: str
    timezone: ZoneInfo
    languages: tuple[str, ...] = ("en",)
    absurd_change_percent: float | None = None
    converge_alarm_s: float = 900.0


class Shop:
    """The state, as the store gave it; everything is looked at again in the next steps."""

    def __init__(self, policy: Policy, kept: notes.Kept) -> None:
        self.policy = policy
        self.schedule = Schedule(kept)
        self.till = Till(policy.currency, kept)
        self.wanted = dict(kept.wanted)  # product -> price and wave that were last turned to
        self.shelf = Shelf(policy.languages, self._wanted_line, kept)
        everything = {*self.till.gtins(), *self.wanted, *self.schedule.book.gtins()}
        self.schedule.begin_with(deque(sorted(everything)))

    def _wanted_line(self, gtin: str) -> tuple[m.PriceLine, str] | None:
        """Return the line that was last turned to: the glass follows what the journal calls wanted."""
        wanted = self.wanted.get(gtin)
        booked = None if wanted is None else self.schedule.book.waves.get(wanted[1])
        line = None if booked is None else booked.lines.get(gtin)
        return None if line is None or wanted is None else (line, wanted[1])

    def want(self, gtin: str, wanted: tuple[int, str] | None, at: datetime) -> m.Message:
        """Let another price of a product be wanted."""
        self.wanted.pop(gtin, None)
        if wanted is not None:
            self.wanted[gtin] = wanted
        self.shelf.forget_content(gtin)
        price, wave = wanted or (None, None)
        currency = None if price is None else self.policy.currency
        return m.PriceWanted(at=at, source=m.GATEWAY, gtin=gtin, price_minor=price, currency=currency, wave=wave)

    def look_at(self, label: str, wave: str | None, at: datetime) -> list[m.Message]:
        """Let a label follow a wave. The wave that it leaves may have waited for nothing else."""
        left = self.schedule.waves.of(label)
        proven = self.shelf.proven(label)
        self.schedule.waves.assign(label, wave, proven=proven)
        if not proven:
            self.shelf.mark(label)
        return convergence.converged(left, self.schedule, at)

    def recharge(self, gtin: str, at: datetime) -> list[m.Message]:
        """Let the tills charge what the switch allows now."""
        out = self.till.follow(
            gtin, self.wanted.get(gtin), self.shelf.lowest(gtin), at, labelled=self.shelf.shows(gtin)
        )
        if out:
            self.mark(gtin)
        return out

    def settle(self, glass: Glass, before: set[str], at: datetime) -> list[m.Message]:
        """Follow a change of what a glass may show; `before` are the products that it was about."""
        self.shelf.index(glass, before)
        out: list[m.Message] = [glass_kept(glass, at)]
        for gtin in sorted(before | glass.gtins()):
            out += self.recharge(gtin, at)
        if self.shelf.proven(glass.label):
            return [*out, *convergence.converged(self.schedule.waves.proven(glass.label), self.schedule, at)]
        self.shelf.mark(glass.label)
        return out

    def mark(self, gtin: str) -> None:
        """Let somebody look at the labels of a product."""
        for label in self.shelf.labels_of(gtin):
            self.shelf.mark(label)

    def mark_all(self, gtins: Iterable[str]) -> Steps:
        """Let somebody look at the labels of many products."""
        for page in pages(gtins):
            for gtin in page:
                self.mark(gtin)
            yield PAUSE


def glass_kept(glass: Glass, at: datetime) -> notes.GlassKept:
    """Return what one label may show, for the store."""
    return notes.GlassKept(
        at=at,
        source=m.GATEWAY,
        label=glass.label,
        revision=glass.revision,
        doubted=glass.doubted,
        entries=glass.entries,
    )
