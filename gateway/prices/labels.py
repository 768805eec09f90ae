"""LabelSync: drives labels towards Pricing's wishes. The only caller of `driver.show`; its retries are wishes again.

For a label that differs: draw its face (off the event loop), put the next revision mark on it, ask leave by `ShowFace`
(the answer `LabelSent` is on disk before the first byte leaves), hand it to the driver of the access point that heard
the label last. What comes of it are facts; a failed label is tried again, later each time. Safety is not decided here.
Drawing and its cache: `studio.py`.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gateway import messages as m
from gateway import notes
from gateway.driver import Clock, Face, Labels
from gateway.errors import Refused, Rejected
from gateway.prices.face import stamp
from gateway.prices.face_content import Content, Panel
from gateway.prices.pricing import Pricing
from gateway.prices.shelf import Wish
from gateway.prices.studio import Studio

AT_ONCE = 64  # labels looked at in one go: one commit for all their `LabelSent`
RETRY_FIRST_S, RETRY_MAX_S = 5.0, 600.0
TOLD = 10_000  # refused faces that are not told again
STAGE_AGAIN_S = 5.0  # a wave whose labels are not heard yet is looked at again
STAGE_SHARE = 0.9  # of a coming wave's labels must have been heard before its faces are drawn ahead
WINDOW = 200  # faces that one access point has in hand from us; it may hold 200 labels
SHOW_S = 10.0  # a driver takes a face over at once, or is taken for broken
ROAM_S = 60.0  # an access point takes a label over when it heard it this much later than the other

log = logging.getLogger(__name__)

Submit = Callable[..., Awaitable[list[m.Fact]]]


class Route(NamedTuple):
    """Where a label was heard last, and what its glass is."""

    via: str
    panel: Panel
    last_seen: datetime


@dataclass(frozen=True)
class _Push:
    wish: Wish
    route: Route
    face: Face


class LabelSync:
    """Both a rule (it hears where labels are and how pushes end) and a task (`run`)."""

    hears: tuple[type[m.Message], ...] = (m.LabelSeen, m.LabelShown, m.LabelFailed, m.DeviceState)

    def __init__(
        self,
        pricing: Pricing,
        submit: Submit,
        drivers: Mapping[str, Labels],
        studio: Studio,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pricing, self._submit, self._drivers = pricing, submit, drivers
        self._studio, self._clock, self._jitter = studio, clock, jitter
        self._routes: dict[str, Route] = {}
        self._retries: list[tuple[float, str]] = []
        self._resting: dict[str, float] = {}
        self._told: set[tuple[str, str]] = set()
        self._outstanding: dict[str, set[str]] = {}  # labels by access point
        self._queued: dict[str, dict[str, None]] = {}  # labels that wait for room at their access point
        self._wake, self._stage_wake = asyncio.Event(), asyncio.Event()
        self.uploads = 0

    def wake(self) -> None:
        """Look at the wishes again (Pricing calls it when one may have changed)."""
        self._wake.set()
        self._stage_wake.set()

    def route(self, label: str) -> Route | None:
        """Return where a label was heard last."""
        return self._routes.get(label)

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        """Learn where labels are; let a failed one rest before it is tried again."""
        if isinstance(message, m.LabelSeen):
            self._heard(message)
        elif isinstance(message, m.LabelShown):
            self._make_room(message.source, message.label)
            if self._resting.pop(message.label, None) is not None:
                self._pricing.shelf.mark(message.label)
                self.wake()
        elif isinstance(message, m.LabelFailed) and message.reason != "superseded":
            self._make_room(message.source, message.label)
            self._rest(message.label)
        elif isinstance(message, m.DeviceState) and message.state == "online":
            self._back(message.source)
        return ()

    def _back(self, via: str) -> None:
        for label in [one for one in self._resting if one in self._routes and self._routes[one].via == via]:
            del self._resting[label]
            self._pricing.shelf.mark(label)
        self.wake()

    def _heard(self, seen: m.LabelSeen) -> None:
        at = min(seen.last_seen or seen.at, seen.at)  # an access point's clock may be ahead
        before = self._routes.get(seen.label)
        if before is not None and before.via != seen.source and (at - before.last_seen).total_seconds() < ROAM_S:
            return
        route = Route(seen.source, Panel(seen.width, seen.height, seen.colors), at)
        self._routes[seen.label] = route
        if before is None or before[:2] != route[:2]:
            self._pricing.shelf.mark(seen.label)
            self.wake()

    def _make_room(self, via: str, label: str) -> None:
        """Note that an access point is done with a label; one that waited for that is looked at."""
        self._outstanding.get(via, set()).discard(label)
        waiting = self._queued.get(via)
        if waiting:
            label = next(iter(waiting))
            del waiting[label]
            self._pricing.shelf.mark(label)
            self.wake()

    def _rest(self, label: str) -> None:
        failures = self._pricing.shelf.glass(label).failures
        delay = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10)) * (0.75 + self._jitter() / 2)
        due = asyncio.get_running_loop().time() + delay
        self._resting[label] = due
        heapq.heappush(self._retries, (due, label))
        self.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._push(), name="labels-push")
            group.create_task(self._stage(), name="labels-stage")

    async def _push(self) -> None:
        while True:
            await self._wait()
            while labels := self._pricing.shelf.take_stale(AT_ONCE):
                await self._work([label for label in labels if label not in self._resting])

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        timeout = max(0.0, self._retries[0][0] - loop.time()) if self._retries else None
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        while self._retries and self._retries[0][0] <= loop.time():
            due, label = heapq.heappop(self._retries)
            if self._resting.get(label) == due:
                del self._resting[label]
                self._pricing.shelf.mark(label)

    async def _work(self, labels: Sequence[str]) -> None:
        wanted = [(wish, route) for label in labels for wish, route in self._wished(label)]
        faces = await self._studio.drawn([(wish.content, route.panel) for wish, route in wanted])
        pushes = [
            push
            for (wish, route), face in zip(wanted, faces, strict=True)
            for push in await self._stamped(wish, route, face)
        ]
        if not pushes:
            return
        facts = await self._submit(*(self._ask(push) for push in pushes))
        leave = {(f.label, f.revision) for f in facts if isinstance(f, m.LabelSent)}
        for push in pushes:
            if (push.face.label, push.face.revision) not in leave:
                self._make_room(push.route.via, push.face.label)
            else:
                self.uploads += 1
                await self._show(push)

    async def _show(self, push: _Push) -> None:
        """Hand a face over. Whatever a driver does here, the label is tried again and the others go on."""
        via, face = push.route.via, push.face
        self._outstanding.setdefault(via, set()).add(face.label)
        try:
            async with asyncio.timeout(SHOW_S):
                await self._drivers[via].show(face)
        except Exception as error:  # noqa: BLE001 - one bad driver harms nobody else
            log.warning("a driver did not take a face: %r", error, extra={"device": via, "once": f"show {via}"})
            await self._submit(
                m.LabelFailed.of(
                    face,
                    self._clock.now(),
                    via,
                    reason="driver_refused",
                    outcome="never_sent" if isinstance(error, Rejected) else "unsettled",
                )
            )

    def _wished(self, label: str) -> list[tuple[Wish, Route]]:
        route = self._routes.get(label)
        if route is None or route.via not in self._drivers:
            return []
        wish = self._pricing.shelf.wish(label, route.via)
        if wish is None:
            return []
        busy = self._outstanding.setdefault(route.via, set())
        if label not in busy and len(busy) >= WINDOW:
            self._queued.setdefault(route.via, {})[label] = None
            return []
        busy.add(label)
        return [(wish, route)]

    async def _stamped(self, wish: Wish, route: Route, face: bytes | Refused) -> list[_Push]:
        if isinstance(face, Refused):
            self._make_room(route.via, wish.label)
            await self._tell_refused(wish, str(face))
            return []
        revision = self._pricing.shelf.glass(wish.label).revision + 1
        pixels = stamp(face, route.panel, revision)
        await asyncio.sleep(0)  # tills ask for prices meanwhile
        panel = route.panel
        return [
            _Push(
                wish,
                route,
                Face(
                    label=wish.label,
                    gtin=wish.gtin,
                    price_minor=wish.price_minor,
                    currency=wish.currency,
                    wave=wish.wave,
                    revision=revision,
                    width=panel.width,
                    height=panel.height,
                    colors=panel.colors,
                    pixels=pixels,
                ),
            )
        ]

    def _ask(self, push: _Push) -> m.ShowFace:
        face = push.face
        return m.ShowFace(
            at=self._clock.now(),
            source=push.route.via,
            label=face.label,
            gtin=face.gtin,
            price_minor=face.price_minor,
            currency=face.currency,
            wave=face.wave,
            content=push.wish.content.key,
            digest=face.digest,
            revision=face.revision,
        )

    async def _tell_refused(self, wish: Wish, reason: str) -> None:
        if (wish.label, wish.content.key) in self._told:
            return
        if len(self._told) >= TOLD:
            self._told.clear()
        self._told.add((wish.label, wish.content.key))
        log.warning("a face cannot be drawn: %s", reason, extra={"label": wish.label, "gtin": wish.gtin})
        fact = m.FaceRefused(
            at=self._clock.now(),
            source=m.GATEWAY,
            cause=wish.wave,
            label=wish.label,
            gtin=wish.gtin,
            wave=wish.wave,
            reason=reason,
        )
        await self._submit(fact)

    async def _stage(self) -> None:
        while True:
            await self._stage_wake.wait()
            self._stage_wake.clear()
            staged = [await self._stage_wave(wave) for wave in self._pricing.upcoming()]
            if not all(staged):
                await asyncio.sleep(STAGE_AGAIN_S)

    async def _stage_wave(self, wave: str) -> bool:
        """Draw the faces of a wave ahead. False: too few of its labels were heard yet; at its instant at the latest."""
        labels, panels = 0, list[tuple[Content, Panel]]()
        for number, pairs in enumerate(self._pricing.faces(wave)):
            labels += len(pairs)
            panels += [(content, self._routes[label].panel) for label, content in pairs if label in self._routes]
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)  # tills ask for prices meanwhile
        if len(panels) < STAGE_SHARE * labels and not self._pricing.in_force(wave):
            return False
        refused = 0
        for start in range(0, len(panels), AT_ONCE):
            faces = await self._studio.drawn(panels[start : start + AT_ONCE])
            refused += sum(isinstance(face, Refused) for face in faces)
        faces_drawn = len(panels) - refused
        await self._submit(
            notes.FacesStaged(at=self._clock.now(), source=m.GATEWAY, wave=wave, faces=faces_drawn, refused=refused)
        )
        return True
