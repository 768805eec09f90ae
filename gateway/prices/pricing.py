"""The one owner of prices in memory: a pure rule that sees orders and label facts, and says what follows.

It joins the parts: `schedule.py` (which price is wanted), `shelf.py` (what every glass may show), `till.py` (what is
charged), `convergence.py` (how far a wave is). It decides nothing about safety: `switch.py` does. It never waits or
looks at a clock: time comes as `Tick`. It is rebuilt from the store at start (`notes.Kept`). Who acts: `labels.py`.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from gateway import messages as m
from gateway import notes
from gateway.prices import convergence, intake, persons, switch
from gateway.prices.face_content import Content
from gateway.prices.glass import Entry, Glass
from gateway.prices.leases import NEVER
from gateway.prices.schedule import Schedule, Turn
from gateway.prices.shelf import Shelf
from gateway.prices.till import Till

HELD = "waits for a till that may still charge more from its cache"
WORK_PER_MESSAGE = 150  # products turned per message: tills that ask for prices wait so long


@dataclass(frozen=True)
class Policy:
    """What the configuration says about prices."""

    currency: str
    timezone: ZoneInfo
    languages: tuple[str, ...] = ("en",)
    absurd_change_percent: float | None = None
    converge_alarm_s: float = 900.0


class Pricing:
    """The rule. `wake` is called when `LabelSync` or the ticker should look at `stale` or `more`."""

    def __init__(self, policy: Policy, kept: notes.Kept, wake: Callable[[], None] = lambda: None) -> None:
        self._policy, self.wake = policy, wake
        self._handlers: dict[type[m.Message], Callable[[Any], Sequence[m.Message]]] = {
            m.PricePart: self._part,
            m.WaveRejected: self._rejected,
            m.ProductsUpdate: self._products,
            m.BindingsUpdate: self._bindings,
            m.PlanogramUpdate: self._planogram,
            m.Request: self._request,
            m.TillLeased: self._leased,
            m.TillLeaseOver: self._lease_over,
            m.ShowFace: self._show_face,
            m.Tick: self._tick,
            m.LabelSeen: self._seen,
            m.LabelLeft: self._left,
            m.LabelDoubted: self._doubted,
            m.LabelShown: self._shown,
            m.LabelFailed: self._failed,
            m.FaceRefused: self._face_refused,
            notes.FacesStaged: self._staged,
        }
        self.hears = tuple(self._handlers)
        self.load(kept)

    def load(self, kept: notes.Kept) -> None:
        """Take the state of the store; everything is looked at again in the next steps."""
        self.schedule = Schedule(kept)
        self.till = Till(self._policy.currency, kept)
        self._wanted = dict(kept.wanted)
        self.shelf = Shelf(self._policy.languages, self._wanted_line, kept)
        self._requests = persons.Known(kept.requests)
        everything = {*self.till.gtins(), *self._wanted, *self.schedule.book.gtins()}
        self.schedule.turns.append(Turn(deque(sorted(everything))))

    # What others may ask

    @property
    def more(self) -> bool:
        """Whether work is left: submit another `Tick`."""
        return bool(self.schedule.turns)

    @property
    def currency(self) -> str:
        """Return the shop's currency."""
        return self._policy.currency

    def charge(self, gtin: str) -> int | None:
        """Return what the tills charge now."""
        return self.till.charge(gtin)

    def wanted(self, gtin: str) -> int | None:
        """Return the price in force by the book."""
        wanted = self._wanted.get(gtin)
        return None if wanted is None else wanted[0]

    def in_force(self, wave: str) -> bool:
        """Tell whether the instant of a wave has come."""
        booked = self.schedule.book.waves.get(wave)
        return booked is None or booked.turned

    def upcoming(self) -> Iterator[tuple[str, list[tuple[str, Content]]]]:
        """Yield waves not staged yet, each with the (label, content) pairs to draw ahead."""
        for wave, booked in list(self.schedule.book.waves.items()):
            progress = self.schedule.waves.by_wave.get(wave)
            if progress is None or not progress.staged:
                yield wave, [pair for line in list(booked.lines.values()) for pair in self._faces(line)]

    def _faces(self, line: m.PriceLine) -> list[tuple[str, Content]]:
        product = self.shelf.product(line.gtin)
        labels = self.shelf.labels_of(line.gtin)
        return [] if product is None else [(label, self.shelf.content(product, line)) for label in labels]

    # The rule

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        """Return the facts and notes that follow."""
        handler = self._handlers.get(type(message))
        out = () if handler is None else handler(message)
        if self.shelf.stale or self.more or isinstance(message, m.PricePart):
            self.wake()
        return out

    # Waves and time

    def _part(self, part: m.PricePart) -> list[m.Message]:
        taken = self.schedule.take(part)
        return taken if isinstance(taken, list) else self._judge(taken, part)

    def _judge(self, taken: intake.Assembly, part: m.PricePart) -> list[m.Message]:
        wave = taken.wave
        policy = self._policy
        bench = self.schedule.bench(self.shelf.product, policy.currency, policy.absurd_change_percent)
        good, bad = intake.judge(taken.in_order(), bench)
        out: list[m.Message] = [*intake.line_facts(wave, bad, part.at, part.source)]
        if wave.kind == "change" and not good:
            return [*out, *self.schedule.refuse(wave, "no line could be taken" if bad else "it has no lines", part)]
        accepted = m.WaveAccepted(
            at=part.at,
            source=part.source,
            cause=wave.id,
            wave=wave.id,
            kind=wave.kind,
            sequence=wave.sequence,
            issuer=wave.issuer,
            effective_at=wave.effective_at,
            effective_local=self.schedule.local(wave.effective_at, policy.timezone),
            lines=len(good),
            refused=len(bad),
            labels=sum(len(self.shelf.labels_of(gtin)) for gtin in good),
            supersedes=wave.supersedes,
        )
        out += [notes.WaveKept(at=part.at, source=part.source, wave=wave, lines=tuple(good.values())), accepted]
        return [*out, *self.schedule.enter(wave, good, part), *self._work(part.at)]

    def _rejected(self, order: m.WaveRejected) -> list[m.Message]:
        return [m.WaveRefused(at=order.at, source=order.source, cause=order.wave, wave=order.wave, reason=order.reason)]

    def _tick(self, tick: m.Tick) -> list[m.Message]:
        if tick.trusted:
            self.schedule.advance(tick.at)
        late = convergence.late(self.schedule, self.shelf, self._policy.converge_alarm_s, tick.at)
        return [*self._work(tick.at), *late]

    def _work(self, at: datetime) -> list[m.Message]:
        """Turn products that may have another price now, a bounded number of them."""
        out: list[m.Message] = []
        budget, turns = WORK_PER_MESSAGE, self.schedule.turns
        while turns and budget:
            turn = turns[0]
            while turn.gtins and budget:
                out += self._turn(turn.gtins.popleft(), turn, at)
                budget -= 1
            if not turn.gtins:
                turns.popleft()
                if not self.schedule.loaded:  # the first turn looks at everything after a start
                    self.schedule.loaded = True
                    for progress in self.schedule.waves.open_ones():
                        out += convergence.converged(progress, self.schedule, at)
                if turn.progress is not None:
                    out += convergence.announce(turn, turn.progress, self.schedule, at)
        return out

    def _turn(self, gtin: str, turn: Turn, at: datetime) -> list[m.Message]:
        out: list[m.Message] = []
        found = self.schedule.in_force(gtin)
        wanted = None if found is None else (found[0].price_minor, found[1])
        wave = None if wanted is None else wanted[1]
        if turn.progress is not None and wave != turn.progress.wave:
            turn.overtaken += 1
        if wanted != self._wanted.get(gtin):
            turn.products += 1
            out.append(self._want(gtin, wanted, at))
        for label in self.shelf.labels_of(gtin):
            out += self._look_at(label, wave, at)
        return [*out, *self._recharge(gtin, at)]

    def _want(self, gtin: str, wanted: tuple[int, str] | None, at: datetime) -> m.Message:
        self._wanted.pop(gtin, None)
        if wanted is not None:
            self._wanted[gtin] = wanted
        self.shelf.forget_content(gtin)
        price, wave = wanted or (None, None)
        currency = None if price is None else self._policy.currency
        return m.PriceWanted(at=at, source=m.GATEWAY, gtin=gtin, price_minor=price, currency=currency, wave=wave)

    def _wanted_line(self, gtin: str) -> tuple[m.PriceLine, str] | None:
        """Return the line that was last turned to: the glass follows what the journal calls wanted."""
        wanted = self._wanted.get(gtin)
        booked = None if wanted is None else self.schedule.book.waves.get(wanted[1])
        line = None if booked is None else booked.lines.get(gtin)
        return None if line is None or wanted is None else (line, wanted[1])

    def _look_at(self, label: str, wave: str | None, at: datetime) -> list[m.Message]:
        """Let a label follow a wave. The wave that it leaves may have waited for nothing else."""
        left = self.schedule.waves.of(label)
        proven = self.shelf.proven(label)
        self.schedule.waves.assign(label, wave, proven=proven)
        if not proven:
            self.shelf.mark(label)
        return convergence.converged(left, self.schedule, at)

    def _staged(self, note: notes.FacesStaged) -> list[m.Message]:
        progress = self.schedule.waves.open(note.wave, note.at)
        if progress.staged or note.wave not in self.schedule.book.waves:
            return []
        progress.staged = True
        fact = m.WaveStaged(
            at=note.at, source=m.GATEWAY, cause=note.wave, wave=note.wave, faces=note.faces, refused=note.refused
        )
        return [fact, *self.schedule.states(note.wave, note.at)]

    # Tills

    def _recharge(self, gtin: str, at: datetime) -> list[m.Message]:
        out = self.till.follow(
            gtin, self._wanted.get(gtin), self.shelf.lowest(gtin), at, labelled=self.shelf.shows(gtin)
        )
        if out:
            for label in self.shelf.labels_of(gtin):
                self.shelf.mark(label)
        return out

    def _leased(self, ask: m.TillLeased) -> list[m.Message]:
        """Grant or renew a lease, unless the cache holds a price that a label may show lower: nothing = refused."""
        leases = self.till.leases
        on = leases.version(ask.terminal)
        held = on is not None and on != NEVER
        if ask.version > self.till.version or ask.version < (on or 0):
            return []
        if not held and not self._harmless(ask.version):
            return []
        self._mark(leases.grant(ask.terminal, ask.version))
        kept = notes.LeaseKept(
            at=ask.at, source=ask.source, terminal=ask.terminal, version=ask.version, lease_s=ask.lease_s
        )
        return [kept]

    def _harmless(self, version: int) -> bool:
        """Tell whether no price of a cache of this version is above one that a label may show."""
        missed = self.till.leases.missed(version)
        return missed is not None and all(
            price is None or switch.charge_for(price, self.shelf.lowest(gtin)) == price for _, gtin, price in missed
        )

    def _lease_over(self, over: m.TillLeaseOver) -> list[m.Message]:
        self._mark(self.till.leases.end(over.terminal))
        return [notes.LeaseKept(at=over.at, source=over.source, terminal=over.terminal, version=None)]

    def _mark(self, gtins: set[str] | None) -> None:
        for gtin in sorted(self.till.gtins() if gtins is None else gtins):
            for label in self.shelf.labels_of(gtin):
                self.shelf.mark(label)

    # Labels

    def _show_face(self, ask: m.ShowFace) -> list[m.Message]:
        wish = self.shelf.wish(ask.label, ask.source)
        glass = self.shelf.glass(ask.label)
        if wish is None or wish.content.key != ask.content or ask.revision != glass.revision + 1:
            self.shelf.mark(ask.label)
            return []
        highest = None if ask.gtin is None else self.till.highest(ask.gtin)
        if not switch.may_push(ask.price_minor, highest):
            glass.trouble = HELD
            return []
        before = glass.gtins()
        glass.trouble = None if glass.trouble == HELD else glass.trouble
        glass.send(Entry(ask.revision, ask.source, ask.gtin, ask.price_minor, ask.wave, ask.content, "sent"))
        self.shelf.index(glass, before)
        return [_sent(ask), _kept(glass, ask.at)]

    def _shown(self, fact: m.LabelShown) -> list[m.Message]:
        glass = self.shelf.glass(fact.label)
        before = glass.gtins()
        shown = glass.show(fact.revision, fact.source, fact.at, fact.image)
        return self._settle(glass, before, fact.at) if shown else []

    def _failed(self, fact: m.LabelFailed) -> list[m.Message]:
        glass = self.shelf.glass(fact.label)
        before = glass.gtins()
        glass.fail(fact.revision, fact.source, fact.outcome, fact.reason, fact.at)
        return self._settle(glass, before, fact.at)

    def _left(self, reading: m.LabelLeft) -> list[m.Message]:
        if not self.shelf.knows(reading.label):
            return []
        glass = self.shelf.glass(reading.label)
        return self._settle(glass, glass.gtins(), reading.at) if glass.left(reading.source, reading.at) else []

    def _doubted(self, reading: m.LabelDoubted) -> list[m.Message]:
        if not self.shelf.knows(reading.label):
            return []
        glass = self.shelf.glass(reading.label)
        return self._settle(glass, glass.gtins(), reading.at) if glass.doubt(reading.reason) else []

    def _settle(self, glass: Glass, before: set[str], at: datetime) -> list[m.Message]:
        self.shelf.index(glass, before)
        out: list[m.Message] = [_kept(glass, at)]
        for gtin in sorted(before | glass.gtins()):
            out += self._recharge(gtin, at)
        if self.shelf.proven(glass.label):
            return [*out, *convergence.converged(self.schedule.waves.proven(glass.label), self.schedule, at)]
        self.shelf.mark(glass.label)
        return out

    def _seen(self, reading: m.LabelSeen) -> list[m.Message]:
        first = reading.label not in self.shelf.seen
        self.shelf.seen.add(reading.label)
        if not first or not self.shelf.knows(reading.label):
            return []
        glass = self.shelf.glass(reading.label)  # what somebody else wrote while we were away
        wrong = glass.overwritten(reading.source, reading.image) and glass.doubt("foreign_write")
        return self._settle(glass, glass.gtins(), reading.at) if wrong else []

    def _face_refused(self, fact: m.FaceRefused) -> list[m.Message]:
        self.shelf.glass(fact.label).trouble = fact.reason
        return []

    # Master data

    def _products(self, update: m.ProductsUpdate) -> list[m.Message]:
        count, changed = self.shelf.update_products(update)
        self.schedule.turns.append(Turn(deque(changed)))
        return [_applied(update, "products", count), *self._work(update.at)]

    def _planogram(self, update: m.PlanogramUpdate) -> list[m.Message]:
        return [_applied(update, "planogram", len(update.facings))]

    def _bindings(self, update: m.BindingsUpdate) -> list[m.Message]:
        out: list[m.Message] = []
        taken = self.shelf.update_bindings(update)
        for binding, new in taken:
            out.append(
                notes.BindingKept(
                    at=update.at,
                    source=update.source,
                    label=binding.label,
                    gtin=binding.gtin,
                    facing=binding.facing,
                    sequence=update.sequence,
                )
            )
            out += self._rebind(binding, update) if new else []
        return [*out, _applied(update, "bindings", len(taken))]

    def _rebind(self, binding: m.Binding, update: m.BindingsUpdate) -> list[m.Message]:
        self.shelf.bind(binding.label, binding.gtin, binding.facing)
        wanted = self._wanted.get(binding.gtin or "")
        left = self._look_at(binding.label, None if wanted is None else wanted[1], update.at)
        fact = m.LabelBound(
            at=update.at, source=update.source, label=binding.label, gtin=binding.gtin, facing=binding.facing
        )
        return [fact, *left]

    # Persons

    def _request(self, request: m.Request) -> list[m.Message]:
        if request.name in persons.OF_TAGS or not self._requests.is_new(request.id):
            return []
        fault = persons.fault(request, self.shelf.knows, lambda gtin: gtin in self._wanted)
        if fault is not None:
            return [persons.refused(request, fault)]
        match request.name:
            case "sign_off" | "refresh":
                return self._about_label(request)
            case "force":
                gtin = str(request.args["gtin"])
                return [*persons.audited(request, gtin), *self.till.force(gtin, *self._wanted[gtin], request.at)]
        return [persons.done(request)]

    def _about_label(self, request: m.Request) -> list[m.Message]:
        glass = self.shelf.glass(str(request.args["label"]))
        before = glass.gtins()
        left: list[m.Message] = []
        if request.name == "sign_off":
            glass.sign_off()
            wave = self.schedule.waves.of(glass.label)
            self.schedule.waves.assign(glass.label, None, proven=False)  # no wave waits for it any more
            left = convergence.converged(wave, self.schedule, request.at)
        else:
            glass.doubted, glass.failures = True, 0
        return [*persons.audited(request, glass.label), *self._settle(glass, before, request.at), *left]


def _sent(ask: m.ShowFace) -> m.LabelSent:
    return m.LabelSent(
        at=ask.at,
        source=ask.source,
        cause=ask.wave,
        label=ask.label,
        gtin=ask.gtin,
        price_minor=ask.price_minor,
        currency=ask.currency,
        wave=ask.wave,
        digest=ask.digest,
        revision=ask.revision,
    )


def _kept(glass: Glass, at: datetime) -> notes.GlassKept:
    return notes.GlassKept(
        at=at,
        source=m.GATEWAY,
        label=glass.label,
        revision=glass.revision,
        doubted=glass.doubted,
        entries=glass.entries,
    )


def _applied(
    update: m.ProductsUpdate | m.BindingsUpdate | m.PlanogramUpdate,
    kind: Literal["products", "bindings", "planogram"],
    count: int,
) -> m.Fact:
    return m.MasterApplied(at=update.at, source=update.source, kind=kind, sequence=update.sequence, count=count)
