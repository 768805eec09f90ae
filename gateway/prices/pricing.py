"""The one owner of prices in memory: a pure rule that sees orders and label facts, and says what follows.

Start here: which message goes where, and what others may ask. The state is `shop.py`; what follows stands by subject:
waves `judging.py`, time and its work `turning.py`, labels `glass_facts.py`, leases `caches.py`, master data
`masters.py`. It never waits or looks at a clock: time comes as `Tick`. It is rebuilt from the store at start
(`notes.Kept`). Who acts: `labels.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway import messages as m
from gateway import notes
from gateway.prices import persons
from gateway.prices.caches import Caches
from gateway.prices.face_content import Content
from gateway.prices.glass_facts import GlassFacts
from gateway.prices.judging import Judging
from gateway.prices.masters import Masters
from gateway.prices.schedule import Schedule
from gateway.prices.shelf import Shelf
from gateway.prices.shop import Policy, Shop
from gateway.prices.till import Till
from gateway.prices.turning import Turning
from gateway.prices.work import Step, Steps

__all__ = ["Policy", "Pricing"]

Handlers = dict[type[m.Message], Callable[[Any], Steps]]


class Pricing:
    """The rule. `wake` is called when `LabelSync` or the ticker should look at `stale` or `more`."""

    def __init__(self, policy: Policy, kept: notes.Kept, wake: Callable[[], None] = lambda: None) -> None:
        self._policy, self.wake = policy, wake
        self.load(kept)
        self.hears = tuple(self._handlers)

    def load(self, kept: notes.Kept) -> None:
        """Take the state of the store. May be called in a thread while nothing is fed: all changes at its end."""
        shop = Shop(self._policy, kept)
        handlers = _handlers(shop, persons.Known(kept.requests))
        self._shop, self._handlers = shop, handlers

    # What others may ask

    @property
    def schedule(self) -> Schedule:
        """Return which price is wanted when."""
        return self._shop.schedule

    @property
    def shelf(self) -> Shelf:
        """Return what labels show and should show."""
        return self._shop.shelf

    @property
    def till(self) -> Till:
        """Return what is charged."""
        return self._shop.till

    @property
    def more(self) -> bool:
        """Whether work is left: submit another `Tick`."""
        return bool(self._shop.schedule.turns or self._shop.schedule.unswept)

    @property
    def currency(self) -> str:
        """Return the shop's currency."""
        return self._policy.currency

    def charge(self, gtin: str) -> int | None:
        """Return what the tills charge now."""
        return self._shop.till.charge(gtin)

    def wanted(self, gtin: str) -> int | None:
        """Return the price in force by the book."""
        wanted = self._shop.wanted.get(gtin)
        return None if wanted is None else wanted[0]

    def in_force(self, wave: str) -> bool:
        """Tell whether the instant of a wave has come."""
        booked = self._shop.schedule.book.waves.get(wave)
        return booked is None or booked.turned

    def upcoming(self) -> list[str]:
        """Return the waves whose faces are not drawn yet."""
        schedule = self._shop.schedule
        progress = schedule.waves.by_wave
        return [wave for wave in schedule.book.waves if wave not in progress or not progress[wave].staged]

    def faces(self, wave: str) -> Iterator[list[tuple[str, Content]]]:
        """Yield what the labels of a wave will say, by product: (label, content) pairs."""
        booked = self._shop.schedule.book.waves.get(wave)
        for line in [] if booked is None else list(booked.lines.values()):
            product = self._shop.shelf.product(line.gtin)
            labels = [] if product is None else self._shop.shelf.labels_of(line.gtin)
            if product is not None and labels:
                content = self._shop.shelf.content(product, line)
                yield [(label, content) for label in labels]
            else:
                yield []

    # The rule

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        """Return the facts and notes that follow."""
        return [one for step in self.steps(message) for one in step]

    def steps(self, message: m.Message) -> Steps:
        """Yield the same step by step: what concerns 30 000 products takes a second, a till waits for one step."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            yield from handler(message)
        if self.shelf.stale or self.more or isinstance(message, m.PricePart):
            self.wake()


def _handlers(shop: Shop, known: persons.Known) -> Handlers:
    turning = Turning(shop)
    judging, masters = Judging(shop, turning), Masters(shop, turning)
    glasses, caches = GlassFacts(shop), Caches(shop)

    def request(request: m.Request) -> Step:
        return _request(shop, glasses, known, request)

    return {
        m.PricePart: judging.part,
        m.WaveRejected: _at_once(judging.rejected),
        m.ProductsUpdate: masters.products,
        m.BindingsUpdate: masters.bindings,
        m.PlanogramUpdate: _at_once(masters.planogram),
        m.Request: _at_once(request),
        m.TillLeased: caches.leased,
        m.TillLeaseOver: caches.lease_over,
        m.ShowFace: _at_once(glasses.show_face),
        m.Tick: turning.tick,
        m.LabelSeen: _at_once(glasses.seen),
        m.LabelLeft: _at_once(glasses.left),
        m.LabelDoubted: _at_once(glasses.doubted),
        m.LabelShown: _at_once(glasses.shown),
        m.LabelFailed: _at_once(glasses.failed),
        m.FaceRefused: _at_once(glasses.face_refused),
        notes.FacesStaged: _at_once(judging.staged),
    }


def _at_once(handler: Callable[[Any], Step]) -> Callable[[Any], Steps]:
    return lambda message: iter((handler(message),))


def _request(shop: Shop, glasses: GlassFacts, known: persons.Known, request: m.Request) -> Step:
    """Carry out a command of a person, once."""
    if request.name in persons.OF_TAGS or not known.is_new(request.id):
        return ()
    fault = persons.fault(request, shop.shelf.knows, lambda gtin: gtin in shop.wanted)
    if fault is not None:
        return [persons.refused(request, fault)]
    if request.name in persons.OF_LABEL:
        return glasses.ordered(request)
    if request.name == "force":
        gtin = str(request.args["gtin"])
        return [*persons.audited(request, gtin), *shop.till.force(gtin, *shop.wanted[gtin], request.at)]
    return [persons.done(request)]
