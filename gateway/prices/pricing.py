"""The one owner of prices in memory: a pure rule that sees orders and label facts, and says what follows.

It holds the book (which price is wanted), every label's glass (what it may show), what the tills charge, and the
progress of waves. It decides nothing about safety: `switch.py` does. It never waits or looks at a clock: time comes as
`Tick`. It is rebuilt from the store at start (`notes.Kept`). Who acts on its wishes: `labels.py`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from gateway import messages as m
from gateway import notes
from gateway.notes import Kept, KeptCharge
from gateway.prices import intake, switch
from gateway.prices.book import Book, BookedWave
from gateway.prices.face_content import Content
from gateway.prices.glass import Entry, Glass
from gateway.prices.progress import Progress, Waves

WORK_PER_MESSAGE = 400  # products turned per message: keeps one step of the core under about 10 ms
NAMED_EXCEPTIONS = 200
KNOWN_REQUESTS = 10_000  # ids of commands carried out: a repeated one is a no-op

ChargeReason = Literal["fall", "proven", "forced", "unbound"]


@dataclass(frozen=True)
class Policy:
    """What the configuration says about prices."""

    currency: str
    timezone: ZoneInfo
    languages: tuple[str, ...] = ("en",)
    absurd_change_percent: float | None = None
    converge_alarm_s: float = 900.0


@dataclass(frozen=True)
class Wish:
    """What a label should show."""

    label: str
    gtin: str | None
    price_minor: int | None
    currency: str | None
    wave: str | None
    content: Content


@dataclass
class _Turn:
    """Products to look at again, and what is counted meanwhile when a wave's instant is the reason."""

    gtins: deque[str]
    progress: Progress | None = None
    products: int = 0
    overtaken: int = 0


class Pricing:
    """The rule. `wake` is called when `LabelSync` or the ticker should look at `stale` or `more`."""

    def __init__(self, policy: Policy, kept: Kept, wake: Callable[[], None] = lambda: None) -> None:
        self._policy = policy
        self.wake = wake
        self._handlers: dict[type[m.Message], Callable[[Any], Sequence[m.Message]]] = {
            m.PricePart: self._part,
            m.WaveRejected: self._rejected,
            m.ProductsUpdate: self._products_update,
            m.BindingsUpdate: self._bindings_update,
            m.PlanogramUpdate: self._planogram,
            m.Request: self._request,
            m.ShowFace: self._show_face,
            m.Tick: lambda tick: self._tick(tick.at),
            m.LabelSeen: self._label_seen,
            m.LabelLeft: self._label_left,
            m.LabelShown: self._shown,
            m.LabelFailed: self._failed,
            m.FaceRefused: self._face_refused,
            notes.FacesStaged: self._staged,
        }
        self.hears = tuple(self._handlers)
        self.load(kept)

    def load(self, kept: Kept) -> None:
        """Take the state of the store; everything is looked at again in the next steps."""
        self._now = kept.now
        self._book = Book()
        self._intake = intake.Intake()
        self._waves = Waves()
        self._superseded_by: dict[str, m.Wave] = {}
        self._products = dict(kept.products)
        self._bound = dict(kept.bindings)
        self._full = dict(kept.full)
        self._glass: dict[str, Glass] = {}
        self._labels_of: dict[str, set[str]] = {}
        self._showing: dict[str, set[str]] = {}
        self._charges = dict(kept.charges)
        self._wanted = dict(kept.wanted)
        self._contents: dict[str, Content] = {}
        self._requests: dict[str, None] = dict.fromkeys(kept.requests)
        self._seen: set[str] = set()
        self._turns: deque[_Turn] = deque()
        self.stale: dict[str, None] = {}
        self._load_waves(kept)
        self._load_labels(kept)
        self._turns.append(_Turn(deque(sorted({*self._charges, *self._wanted, *self._book.gtins()}))))

    def _load_waves(self, kept: Kept) -> None:
        for head in kept.heads:
            self._intake.known[intake.wave_key(head)] = head
            if head.supersedes is not None:
                self._superseded_by[head.supersedes] = head
        for row in kept.waves:
            state = row.state
            booked = BookedWave(row.wave, {line.gtin: line for line in row.lines})
            if state is not None:
                booked.withdrawn_at, booked.announced = state.withdrawn_at, state.announced
            self._book.add(booked)
            if state is not None and state.announced:
                progress = self._waves.open(booked.wave.id, max(booked.wave.effective_at, booked.wave.issued_at))
                progress.announced, progress.converged = True, state.converged
                progress.excepted, progress.staged = state.excepted, state.staged
        for part in kept.parts:
            self._intake.take(part)

    def _load_labels(self, kept: Kept) -> None:
        for label, (_, gtin, facing) in kept.bindings.items():
            self._bind(label, gtin, facing)
        for row in kept.glasses:
            glass = self._glass_of(row.label)
            glass.revision, glass.doubted = row.revision, row.doubted
            glass.entries = tuple(Entry(*entry) for entry in row.entries)
            self._index(glass, set())
        self.stale.update(dict.fromkeys(sorted(self._glass)))

    # What others may ask

    @property
    def now(self) -> datetime:
        """Return the instant up to which the schedule was worked off."""
        return self._now

    @property
    def more(self) -> bool:
        """Whether work is left: submit another `Tick`."""
        return bool(self._turns)

    def next_instant(self) -> datetime | None:
        """Return when a `Tick` is due for the schedule."""
        return self._book.next_instant()

    def charge(self, gtin: str) -> int | None:
        """Return what the tills charge now."""
        charge = self._charges.get(gtin)
        return None if charge is None else charge.price_minor

    def wanted(self, gtin: str) -> int | None:
        """Return the price in force by the book."""
        wanted = self._wanted.get(gtin)
        return None if wanted is None else wanted[0]

    def glass(self, label: str) -> Glass | None:
        """Return what a label may show (read only)."""
        return self._glass.get(label)

    def take_stale(self, limit: int) -> list[str]:
        """Take labels whose wish should be looked at."""
        taken = [label for label, _ in zip(self.stale, range(limit), strict=False)]
        for label in taken:
            del self.stale[label]
        return taken

    def wish(self, label: str, via: str) -> Wish | None:
        """Return what to push to a label through access point `via`, None when there is nothing to do."""
        glass = self._glass.get(label)
        wish = None if glass is None else self._target(glass)
        if glass is None or wish is None:
            return None
        key = wish.content.key
        if glass.proven(key) or glass.awaits_others(key, via):
            return None
        if any(e.revision == glass.in_flight and e.content == key and e.via == via for e in glass.entries):
            return None
        return wish

    def next_revision(self, label: str) -> int:
        """Return the number that the next push to this label bears."""
        return self._glass_of(label).revision + 1

    def upcoming(self) -> list[tuple[str, list[tuple[str, Content]]]]:
        """Return waves not staged yet with (label, content) to render ahead."""
        found = []
        for booked in self._book.waves.values():
            progress = self._waves.by_wave.get(booked.wave.id)
            if progress is not None and progress.staged:
                continue
            pairs = [
                (label, self._content(self._products[gtin][1], line))
                for gtin, line in booked.lines.items()
                if gtin in self._products
                for label in sorted(self._labels_of.get(gtin, ()))
            ]
            found.append((booked.wave.id, pairs))
        return found

    # The rule

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        """Return the facts and notes that follow."""
        out = self._dispatch(message)
        if self.stale or self._turns or isinstance(message, m.PricePart):
            self.wake()
        return out

    def _dispatch(self, message: m.Message) -> Sequence[m.Message]:
        handler = self._handlers.get(type(message))
        return () if handler is None else handler(message)

    def _rejected(self, order: m.WaveRejected) -> list[m.Message]:
        return [_refused(order.wave, order.reason, order)]

    def _planogram(self, update: m.PlanogramUpdate) -> list[m.Message]:
        return [_applied(update, "planogram", len(update.facings))]

    def _label_seen(self, reading: m.LabelSeen) -> list[m.Message]:
        self._seen.add(reading.label)
        return []

    def _face_refused(self, fact: m.FaceRefused) -> list[m.Message]:
        self._glass_of(fact.label).trouble = fact.reason
        return []

    # Waves

    def _part(self, part: m.PricePart) -> list[m.Message]:
        taken = self._intake.take(part)
        if taken is None:
            return []
        if isinstance(taken, str):
            return [intake.wave_refused(part.wave, taken, part.at, part.source)]
        fault = self._wave_fault(taken.wave)
        if fault is not None:
            return [notes.HeadKept(at=part.at, source=part.source, wave=taken.wave),
                    intake.wave_refused(taken.wave, fault, part.at, part.source)]  # fmt: skip
        return self._accept(taken, part)

    def _wave_fault(self, wave: m.Wave) -> str | None:
        if wave.expires_at is not None and wave.expires_at <= self._now:
            return f"expired at {wave.expires_at.isoformat()}, before it was complete here"
        if wave.kind == "cancel" and wave.supersedes is None:
            return "a cancel must name its wave in `supersedes`"
        target = self._book.waves.get(wave.supersedes or "")
        if target is not None and target.wave.sequence >= wave.sequence:
            return f"stale: sequence {wave.sequence} is not newer than {target.wave.sequence} of {target.wave.id}"
        return None

    def _accept(self, taken: intake.Assembly, part: m.PricePart) -> list[m.Message]:
        wave = taken.wave
        products = {gtin: product for gtin, (_, product) in self._products.items()}
        bench = intake.Bench(self._book, products, self._policy.currency,
                             self._policy.absurd_change_percent, self.wanted, self._now)  # fmt: skip
        good, bad = intake.judge(taken.in_order(), bench)
        out: list[m.Message] = [*intake.line_facts(wave, bad, part.at, part.source)]
        if wave.kind == "change" and not good:
            reason = "no line could be taken" if bad else "it has no lines"
            return [notes.HeadKept(at=part.at, source=part.source, wave=wave),
                    *out, intake.wave_refused(wave, reason, part.at, part.source)]  # fmt: skip
        out.append(notes.WaveKept(at=part.at, source=part.source, wave=wave, lines=tuple(good.values())))
        out.append(self._accepted_fact(wave, good, len(bad), part))
        if wave.kind == "change":
            self._enter(wave, good)
        if wave.supersedes is not None:
            self._superseded_by[wave.supersedes] = wave
            out += self._withdraw(wave.supersedes, wave, part)
        older = self._superseded_by.get(wave.id)
        if older is not None and wave.kind == "change" and older.sequence > wave.sequence:
            out += self._withdraw(wave.id, older, part)
        self._due()
        return out + self._work(part.at)

    def _accepted_fact(self, wave: m.Wave, good: dict[str, m.PriceLine], bad: int, part: m.PricePart) -> m.Fact:
        local = wave.effective_at.astimezone(self._policy.timezone)
        labels = sum(len(self._labels_of.get(gtin, ())) for gtin in good)
        return m.WaveAccepted(
            at=part.at, source=part.source, cause=wave.id, wave=wave.id, kind=wave.kind, sequence=wave.sequence,
            issuer=wave.issuer, effective_at=wave.effective_at, effective_local=local.strftime("%Y-%m-%d %H:%M %Z"),
            lines=len(good), refused=bad, labels=labels,
        )  # fmt: skip

    def _enter(self, wave: m.Wave, lines: dict[str, m.PriceLine]) -> None:
        booked = BookedWave(wave, lines)
        self._book.add(booked)
        if booked.in_force(self._now):
            self._begin(booked)

    def _begin(self, booked: BookedWave) -> None:
        progress = None
        booked.turned = booked.in_force(self._now)
        if booked.turned and not booked.announced:
            booked.announced = True
            progress = self._waves.open(booked.wave.id, max(booked.wave.effective_at, booked.wave.issued_at))
        self._turns.append(_Turn(deque(booked.lines), progress))

    def _withdraw(self, target_id: str, by: m.Wave, why: m.Message) -> list[m.Message]:
        target = self._book.waves.get(target_id)
        if target is None:
            return []
        at = by.effective_at
        if by.kind == "change" and not target.in_force(by.issued_at):
            at = by.issued_at
        if by.effective_at <= by.issued_at:
            at = min(at, self._now)
        if target.withdrawn_at is None or at < target.withdrawn_at:
            self._book.withdraw(target_id, at)
        return [self._state_note(target, why)]

    def _state_note(self, booked: BookedWave, why: m.Message) -> notes.WaveState:
        progress = self._waves.by_wave.get(booked.wave.id) or Progress(booked.wave.id, why.at)
        return notes.WaveState(
            at=why.at, source=m.GATEWAY, wave=booked.wave.id, withdrawn_at=booked.withdrawn_at,
            announced=booked.announced, converged=progress.converged, staged=progress.staged,
            excepted=progress.excepted,
        )  # fmt: skip

    def _progress_note(self, progress: Progress, at: datetime) -> list[m.Message]:
        booked = self._book.waves.get(progress.wave)
        why = m.Tick(at=at, source=m.GATEWAY)
        return [] if booked is None else [self._state_note(booked, why)]

    def _staged(self, note: notes.FacesStaged) -> list[m.Message]:
        booked = self._book.waves.get(note.wave)
        progress = self._waves.open(note.wave, note.at)
        if booked is None or progress.staged:
            return []
        progress.staged = True
        fact = m.WaveStaged(
            at=note.at, source=m.GATEWAY, cause=note.wave, wave=note.wave, faces=note.faces, refused=note.refused
        )
        return [fact, self._state_note(booked, note)]

    # Time

    def _tick(self, at: datetime) -> list[m.Message]:
        self._now = max(self._now, at)
        self._due()
        return self._work(at) + self._exceptions(at)

    def _due(self) -> None:
        for booked in self._book.due(self._now):
            if booked.in_force(self._now) != booked.turned:
                self._begin(booked)

    def _work(self, at: datetime) -> list[m.Message]:
        out: list[m.Message] = []
        budget = WORK_PER_MESSAGE
        while self._turns and budget:
            turn = self._turns[0]
            while turn.gtins and budget:
                out += self._turn(turn.gtins.popleft(), turn, at)
                budget -= 1
            if not turn.gtins:
                self._turns.popleft()
                if turn.progress is not None:
                    out += self._announce(turn, turn.progress, at)
        return out

    def _turn(self, gtin: str, turn: _Turn, at: datetime) -> list[m.Message]:
        out: list[m.Message] = []
        found = self._book.line(gtin, self._now)
        before, wanted = self._wanted.get(gtin), None
        wave = None
        if found is not None:
            line, booked = found
            wave = booked.wave.id
            wanted = (line.price_minor, wave)
            if turn.progress is not None and wave != turn.progress.wave:
                turn.overtaken += 1
        if wanted != before:
            turn.products += 1
            out.append(self._want(gtin, wanted, at))
        for label in sorted(self._labels_of.get(gtin, ())):
            self._look_at(label, wave)
        return out + self._recharge(gtin, at)

    def _want(self, gtin: str, wanted: tuple[int, str] | None, at: datetime) -> m.Message:
        price, wave = wanted or (None, None)
        if wanted is None:
            self._wanted.pop(gtin, None)
        else:
            self._wanted[gtin] = wanted
        charge = self._charges.get(gtin)
        if charge is not None:
            charge.forced = False
        self._contents.pop(gtin, None)
        currency = None if price is None else self._policy.currency
        return m.PriceWanted(at=at, source=m.GATEWAY, gtin=gtin, price_minor=price, currency=currency, wave=wave)

    def _look_at(self, label: str, wave: str | None) -> None:
        glass = self._glass_of(label)
        target = self._target(glass)
        proven = target is not None and glass.proven(target.content.key)
        self._waves.assign(label, wave, proven=proven)
        if not proven:
            self.stale[label] = None

    def _announce(self, turn: _Turn, progress: Progress, at: datetime) -> list[m.Message]:
        progress.announced = True
        fact = m.WaveEffective(
            at=at, source=m.GATEWAY, cause=progress.wave, wave=progress.wave, products=turn.products,
            labels=len(progress.labels), overtaken=turn.overtaken,
        )  # fmt: skip
        return [fact, *self._progress_note(progress, at), *self._converged(progress, at)]

    def _converged(self, progress: Progress | None, at: datetime) -> list[m.Message]:
        if progress is None or progress.pending or not progress.announced or progress.converged:
            return []
        progress.converged = True
        took = max(0.0, (at - progress.since).total_seconds())
        out: list[m.Message] = [
            m.WaveConverged(at=at, source=m.GATEWAY, cause=progress.wave, wave=progress.wave,
                            labels=len(progress.labels), duration_s=round(took, 3))
        ]  # fmt: skip
        if progress.excepted:
            out.append(m.AlarmCleared(at=at, source=m.GATEWAY, cause=progress.wave, alarm=f"wave-{progress.wave}"))
        out += self._progress_note(progress, at)
        booked = self._book.waves.get(progress.wave)
        if booked is not None:
            gone = self._book.forget(list(booked.lines), self._now)
            out += [notes.WaveGone(at=at, source=m.GATEWAY, wave=wave) for wave in gone]
            for wave in gone:
                self._waves.forget(wave)
        return out

    def _exceptions(self, at: datetime) -> list[m.Message]:
        out: list[m.Message] = []
        for progress in self._waves.open_ones():
            late = (self._now - progress.since).total_seconds() >= self._policy.converge_alarm_s
            if progress.announced and progress.pending and late and not progress.excepted:
                progress.excepted = True
                out += self._exception_facts(progress, at)
        return out

    def _exception_facts(self, progress: Progress, at: datetime) -> list[m.Message]:
        named = [self._exception(label) for label in sorted(progress.pending)[:NAMED_EXCEPTIONS]]
        shown = len(progress.labels) - len(progress.pending)
        text = f"{len(progress.pending)} of {len(progress.labels)} labels do not show wave {progress.wave} yet"
        return [
            m.WaveExceptions(at=at, source=m.GATEWAY, cause=progress.wave, wave=progress.wave, shown=shown,
                             labels=len(progress.labels), exceptions=tuple(named)),
            m.AlarmRaised(at=at, source=m.GATEWAY, cause=progress.wave, alarm=f"wave-{progress.wave}", text=text,
                          next_step="look at the labels named; for one that is lost or dead, sign it off",
                          subjects=tuple(e.label for e in named)),
            *self._progress_note(progress, at),
        ]  # fmt: skip

    def _exception(self, label: str) -> m.LabelException:
        glass = self._glass_of(label)
        if label not in self._seen:
            reason = "no access point has heard this label since the gateway started"
        else:
            reason = glass.trouble or "waits for the label's next check-in"
        return m.LabelException(label=label, gtin=glass.gtin or "", facing=glass.facing, reason=reason)

    # Till

    def _recharge(self, gtin: str, at: datetime) -> list[m.Message]:
        charge = self._charges.get(gtin)
        now = None if charge is None else charge.price_minor
        wanted = self._wanted.get(gtin)
        lowest = switch.lowest_shown(self._glass[label].prices(gtin) for label in self._showing.get(gtin, ()))
        allowed = None if wanted is None else switch.charge_for(wanted[0], lowest)
        forced = charge is not None and charge.forced and wanted is not None
        if forced and wanted is not None:
            allowed = wanted[0]
        if allowed == now:
            return []
        reason = _why(now, allowed, labelled=bool(self._showing.get(gtin)), forced=forced)
        return self._charge(gtin, allowed, wanted[1] if wanted else None, reason, at)

    def _charge(
        self, gtin: str, price: int | None, wave: str | None, reason: ChargeReason, at: datetime
    ) -> list[m.Message]:
        forced = reason == "forced"
        self._charges[gtin] = KeptCharge(price, wave, forced)
        currency = None if price is None else self._policy.currency
        for label in sorted(self._labels_of.get(gtin, ())):
            self.stale[label] = None
        fact = m.PriceCharged(
            at=at,
            source=m.GATEWAY,
            cause=wave,
            gtin=gtin,
            price_minor=price,
            currency=currency,
            wave=wave,
            reason=reason,
        )
        note = notes.ChargeKept(
            at=at,
            source=m.GATEWAY,
            gtin=gtin,
            price_minor=price,
            currency=currency,
            wave=wave,
            forced=forced,
        )
        return [fact, note]

    # Labels

    def _show_face(self, ask: m.ShowFace) -> list[m.Message]:
        wish = self.wish(ask.label, ask.source)
        glass = self._glass_of(ask.label)
        if wish is None or wish.content.key != ask.content or ask.revision != glass.revision + 1:
            self.stale[ask.label] = None
            return []
        if ask.gtin is not None and not switch.may_push(ask.price_minor, switch.highest_charged(self.charge(ask.gtin))):
            return []
        before = glass.gtins()
        entry = Entry(ask.revision, ask.source, ask.gtin, ask.price_minor, ask.wave, ask.content, "sent")
        glass.send(entry)
        self._index(glass, before)
        sent = m.LabelSent(
            at=ask.at, source=ask.source, cause=ask.wave, label=ask.label, gtin=ask.gtin, price_minor=ask.price_minor,
            currency=ask.currency, wave=ask.wave, digest=ask.digest, revision=ask.revision,
        )  # fmt: skip
        return [sent, _glass_note(glass, ask.at)]

    def _shown(self, fact: m.LabelShown) -> list[m.Message]:
        glass = self._glass_of(fact.label)
        before = glass.gtins()
        if not glass.show(fact.revision, fact.source, fact.at):
            return []
        return self._settle(glass, before, fact.at)

    def _failed(self, fact: m.LabelFailed) -> list[m.Message]:
        glass = self._glass_of(fact.label)
        before = glass.gtins()
        glass.fail(fact.revision, fact.source, fact.outcome, fact.reason, fact.at)
        return self._settle(glass, before, fact.at)

    def _label_left(self, reading: m.LabelLeft) -> list[m.Message]:
        glass = self._glass.get(reading.label)
        if glass is None or not glass.left(reading.source, reading.at):
            return []
        return self._settle(glass, glass.gtins(), reading.at)

    def _settle(self, glass: Glass, before: set[str], at: datetime) -> list[m.Message]:
        self._index(glass, before)
        out: list[m.Message] = [_glass_note(glass, at)]
        for gtin in sorted(before | glass.gtins()):
            out += self._recharge(gtin, at)
        target = self._target(glass)
        if target is not None and glass.proven(target.content.key):
            out += self._converged(self._waves.proven(glass.label), at)
        else:
            self.stale[glass.label] = None
        return out

    def _target(self, glass: Glass) -> Wish | None:
        """Return what the glass should show: without a price in force, a spare face if it may show any price."""
        product, wanted = self._products.get(glass.gtin or ""), self._wanted.get(glass.gtin or "")
        if glass.gtin is None or product is None or wanted is None:
            if not glass.bound_once or not glass.entries:
                return None
            return Wish(glass.label, None, None, None, None, Content(None, "", None, None, label=glass.label))
        content = self._contents.get(glass.gtin)
        if content is None:
            line = self._book.waves[wanted[1]].lines[glass.gtin]
            content = self._contents[glass.gtin] = self._content(product[1], line)
        return Wish(glass.label, glass.gtin, wanted[0], self._policy.currency, wanted[1], content)

    def _content(self, product: m.Product, line: m.PriceLine) -> Content:
        name = next((product.name[tag] for tag in self._policy.languages if tag in product.name), None)
        return Content(
            gtin=product.gtin, name=name or next(iter(product.name.values())), price_minor=line.price_minor,
            currency=line.currency, unit_price_minor=line.unit_price_minor, unit=line.unit, was_minor=line.was_minor,
            promo=line.promo, template=line.template, net_content=product.net_content, sku=product.sku,
        )  # fmt: skip

    def _glass_of(self, label: str) -> Glass:
        return self._glass.setdefault(label, Glass(label))

    def _index(self, glass: Glass, before: set[str]) -> None:
        now = glass.gtins()
        for gtin in before - now:
            self._showing[gtin].discard(glass.label)
        for gtin in now - before:
            self._showing.setdefault(gtin, set()).add(glass.label)

    # Master data

    def _products_update(self, update: m.ProductsUpdate) -> list[m.Message]:
        floor = self._full.get("products", -1)
        fresh = [p for p in update.products if update.sequence >= max(floor, self._products.get(p.gtin, (-1,))[0])]
        changed = [p.gtin for p in fresh if self._products.get(p.gtin, (-1, None))[1] != p]
        if update.full and update.sequence >= floor:
            self._full["products"] = update.sequence
            named = {p.gtin for p in update.products}
            old = [g for g, (sequence, _) in self._products.items() if g not in named and sequence < update.sequence]
            for gtin in old:
                del self._products[gtin]
        for product in fresh:
            self._products[product.gtin] = (update.sequence, product)
        for gtin in changed:
            self._contents.pop(gtin, None)
        self._turns.append(_Turn(deque(changed)))
        return [_applied(update, "products", len(fresh)), *self._work(update.at)]

    def _bindings_update(self, update: m.BindingsUpdate) -> list[m.Message]:
        out: list[m.Message] = []
        floor = self._full.get("bindings", -1)
        wanted = {b.label: b for b in update.bindings}
        if update.full and update.sequence >= floor:
            self._full["bindings"] = update.sequence
            for label, (sequence, gtin, _) in self._bound.items():
                if label not in wanted and sequence < update.sequence and gtin is not None:
                    wanted[label] = m.Binding(label=label, gtin=None)
        count = 0
        for binding in wanted.values():
            if update.sequence >= max(floor, self._bound.get(binding.label, (-1,))[0]):
                count += 1
                out += self._rebind(binding, update)
        out.append(_applied(update, "bindings", count))
        return out

    def _rebind(self, binding: m.Binding, update: m.BindingsUpdate) -> list[m.Message]:
        before = self._bound.get(binding.label)
        self._bound[binding.label] = (update.sequence, binding.gtin, binding.facing)
        note = notes.BindingKept(at=update.at, source=update.source, label=binding.label, gtin=binding.gtin,
                                 facing=binding.facing, sequence=update.sequence)  # fmt: skip
        if before is not None and before[1:] == (binding.gtin, binding.facing):
            return [note]
        self._bind(binding.label, binding.gtin, binding.facing)
        wanted = self._wanted.get(binding.gtin or "")
        out: list[m.Message] = [note]
        old = self._waves.of(binding.label)
        self._look_at(binding.label, wanted[1] if wanted else None)
        if old is not None:
            out += self._converged(old, update.at)
        out.append(m.LabelBound(at=update.at, source=update.source, label=binding.label, gtin=binding.gtin,
                                facing=binding.facing))  # fmt: skip
        return out

    def _bind(self, label: str, gtin: str | None, facing: str | None) -> None:
        glass = self._glass_of(label)
        if glass.gtin is not None:
            self._labels_of[glass.gtin].discard(label)
        glass.gtin, glass.facing, glass.bound_once = gtin, facing, True
        if gtin is not None:
            self._labels_of.setdefault(gtin, set()).add(label)

    # Persons

    def _request(self, request: m.Request) -> list[m.Message]:  # noqa: PLR0911 - one line per command reads best
        if request.id in self._requests:
            return []
        self._requests[request.id] = None
        if len(self._requests) > KNOWN_REQUESTS:
            del self._requests[next(iter(self._requests))]
        label, gtin = request.args.get("label"), request.args.get("gtin")
        match request.name:
            case "sign_off" | "refresh" if label in self._glass:
                return (self._sign_off if request.name == "sign_off" else self._refresh)(str(label), request)
            case "sign_off" | "refresh":
                return [_request_refused(request, "args.label must name a label that this gateway knows")]
            case "force" if gtin in self._wanted:
                return self._force(str(gtin), request)
            case "force":
                return [_request_refused(request, "args.gtin must name a product that has a price")]
            case "ping":
                return [_done(request)]
        return [_request_refused(request, "unknown command; known: blink, force, ping, refresh, sign_off")]

    def _sign_off(self, label: str, request: m.Request) -> list[m.Message]:
        glass = self._glass_of(label)
        before = glass.gtins()
        glass.sign_off()
        return [*_audited(request, label), *self._settle(glass, before, request.at)]

    def _refresh(self, label: str, request: m.Request) -> list[m.Message]:
        glass = self._glass_of(label)
        glass.doubted, glass.failures = True, 0
        self.stale[label] = None
        return [*_audited(request, label), _glass_note(glass, request.at)]

    def _force(self, gtin: str, request: m.Request) -> list[m.Message]:
        price, wave = self._wanted[gtin]
        out: list[m.Message] = _audited(request, gtin)
        if self.charge(gtin) != price:
            out += self._charge(gtin, price, wave, "forced", request.at)
        return out


def _why(before: int | None, after: int | None, *, labelled: bool, forced: bool) -> ChargeReason:
    if forced:
        return "forced"
    if before is not None and (after is None or after < before):
        return "fall"
    return "proven" if labelled else "unbound"


def _glass_note(glass: Glass, at: datetime) -> notes.GlassKept:
    return notes.GlassKept(
        at=at,
        source=m.GATEWAY,
        label=glass.label,
        revision=glass.revision,
        doubted=glass.doubted,
        entries=glass.entries,
    )


def _refused(wave: str | None, reason: str, why: m.Message) -> m.Fact:
    return m.WaveRefused(at=why.at, source=why.source, cause=wave, wave=wave, reason=reason)


def _applied(
    update: m.ProductsUpdate | m.BindingsUpdate | m.PlanogramUpdate,
    kind: Literal["products", "bindings", "planogram"],
    count: int,
) -> m.Fact:
    return m.MasterApplied(at=update.at, source=update.source, kind=kind, sequence=update.sequence, count=count)


def _audited(request: m.Request, subject: str) -> list[m.Message]:
    return [
        m.AuditEntry(
            at=request.at,
            source=request.source,
            cause=request.id,
            actor=request.issuer,
            action=request.name,
            subject=subject,
        ),
        _done(request),
    ]


def _done(request: m.Request) -> m.Fact:
    return m.CommandDone(at=request.at, source=request.source, cause=request.id, command=request.id, name=request.name)


def _request_refused(request: m.Request, reason: str) -> m.Fact:
    return m.CommandRefused(
        at=request.at, source=request.source, cause=request.id, command=request.id, name=request.name, reason=reason
    )
