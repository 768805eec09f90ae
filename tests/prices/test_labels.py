"""LabelSync: one bad driver harms nobody else, no access point is given more than it holds, roaming, back-off."""

import asyncio
from datetime import timedelta

import pytest

from gateway import messages as m
from gateway.core import Core
from gateway.driver import Face
from gateway.errors import Rejected
from gateway.prices.face_content import Style
from gateway.prices.labels import WINDOW, LabelSync
from gateway.prices.studio import Studio
from tests import virtual_time
from tests.prices.twin import draw, open_twin
from tests.prices.world import GTINS, START, World


class Clock(virtual_time.VirtualClock):
    def now(self):
        return START + timedelta(seconds=asyncio.get_running_loop().time())


class Shelf:
    """A driver that takes every face, and draws when told to."""

    def __init__(self, fault: object = None) -> None:
        self.faces: list[Face] = []
        self.fault = fault

    async def show(self, face: Face) -> None:
        if self.fault == "hang":
            await asyncio.Event().wait()
        if isinstance(self.fault, Exception):
            raise self.fault
        self.faces.append(face)


class Memory:
    """A store that keeps all in a list."""

    def __init__(self) -> None:
        self.kept: list[m.Message] = []

    def refusal(self, _messages):
        return None

    async def append(self, messages):
        self.kept += messages


class Rig:
    """Pricing, core and LabelSync with drivers of our own."""

    def __init__(self, drivers: dict[str, Shelf], labels: int) -> None:
        self.world = World(1, labels=labels)
        self.pricing = self.world.pricing
        self.clock = Clock()
        self.drivers = drivers
        self.store = Memory()
        studio = Studio(Style(), draw, in_thread=False)
        self.sync = LabelSync(self.pricing, self._submit, drivers, studio, self.clock, lambda: 0.5)
        self.pricing.wake = self.sync.wake
        self.core = Core(self.store, (self.pricing, self.sync))
        self.tasks = [asyncio.create_task(self.core.run()), asyncio.create_task(self.sync.run())]

    async def _submit(self, *messages):
        return await self.core.submit(*messages)

    async def hear(self, label: str, via: str, last_seen: object = None) -> None:
        seen = m.LabelSeen(
            at=self.clock.now(),
            source=via,
            label=label,
            width=152,
            height=152,
            colors=("white", "black"),
            model="x",
            last_seen=last_seen,
            battery_mv=None,
            rssi_dbm=None,
            lqi=None,
            temperature_c=None,
        )
        await self.core.emit(seen)

    async def prove(self, face: Face, via: str) -> None:
        sent = next(k for k in self.of(m.LabelSent) if (k.label, k.revision) == (face.label, face.revision))
        fields = sent.model_dump(exclude={"id", "at"})
        await self.core.emit(m.LabelShown(at=self.clock.now(), proof="pixels", **fields))
        assert fields["source"] == via

    @property
    def newest(self) -> str:
        return f"w{self.world.sequence}"

    def of(self, kind):
        return [message for message in self.store.kept if isinstance(message, kind)]

    async def stop(self) -> None:
        for task in self.tasks:
            assert not task.done() or task.cancelled(), task.exception()
            await virtual_time.stopped(task)


def play(drivers: dict[str, Shelf], test, labels: int = 4) -> None:
    async def main() -> None:
        rig = Rig(drivers, labels)
        await test(rig)
        await rig.stop()

    virtual_time.run(main)


@pytest.mark.parametrize("fault", [Rejected("no"), RuntimeError("bug"), "hang"])
def test_a_driver_that_fails_in_show_harms_nobody_else_and_is_tried_again(fault):
    bad, good = Shelf(fault), Shelf()

    async def test(rig: Rig) -> None:
        first, second = rig.world.names[:2]
        await rig.hear(first, "bad")
        await rig.hear(second, "good")
        await virtual_time.eventually(lambda: good.faces, 60)
        await virtual_time.eventually(lambda: rig.of(m.LabelFailed), 60)
        failed = rig.of(m.LabelFailed)[0]
        assert (failed.label, failed.reason) == (first, "driver_refused")
        assert failed.outcome == ("never_sent" if isinstance(fault, Rejected) else "unsettled")
        bad.fault = None
        await virtual_time.eventually(lambda: bad.faces, 120)

    play({"bad": bad, "good": good}, test)


def test_an_access_point_is_given_no_more_than_its_window_and_the_rest_follows():
    shelf = Shelf()

    async def test(rig: Rig) -> None:
        for label in rig.world.names:
            await rig.hear(label, "ap-1")
        await asyncio.sleep(60)
        assert len(shelf.faces) == WINDOW
        for face in list(shelf.faces):
            await rig.prove(face, "ap-1")
        await virtual_time.eventually(lambda: len(shelf.faces) == len(rig.world.names), 60)

    play({"ap-1": shelf}, test, labels=WINDOW + 50)


def test_an_access_point_whose_clock_is_ahead_does_not_keep_a_label_that_has_gone():
    ahead, right = Shelf(), Shelf()

    async def test(rig: Rig) -> None:
        label = rig.world.names[0]
        await rig.hear(label, "ahead", START + timedelta(days=365))
        await asyncio.sleep(200)
        await rig.hear(label, "right", START + timedelta(seconds=200))
        assert rig.sync.route(label).via == "right"

    play({"ahead": ahead, "right": right}, test)


def test_labels_of_an_access_point_that_comes_back_are_tried_at_once():
    shelf = Shelf(Rejected("down"))

    async def test(rig: Rig) -> None:
        await rig.hear(rig.world.names[0], "ap-1")
        await asyncio.sleep(2_000)
        failures = len(rig.of(m.LabelFailed))
        assert 5 <= failures <= 12  # later each time, ten minutes at most
        shelf.fault = None
        state = m.DeviceState(at=rig.clock.now(), source="ap-1", state="online", reason="ok", evidence="", next_step="")
        await rig.core.emit(state)
        await virtual_time.eventually(lambda: shelf.faces, 5)

    play({"ap-1": shelf}, test)


def test_faces_of_a_coming_wave_are_drawn_ahead_once_their_labels_are_heard():
    shelf = Shelf()

    async def test(rig: Rig) -> None:
        rig.world.wave(dict.fromkeys(GTINS, 500), delay_s=3600)
        await asyncio.sleep(30)
        assert not [f for f in rig.of(m.WaveStaged) if f.wave == rig.newest]
        for label in rig.world.names:
            await rig.hear(label, "ap-1")
        await virtual_time.eventually(lambda: [f for f in rig.of(m.WaveStaged) if f.wave == rig.newest], 60)
        assert next(f for f in rig.of(m.WaveStaged) if f.wave == rig.newest).faces == len(rig.world.names)

    play({"ap-1": shelf}, test)


@pytest.mark.soak
def test_more_labels_than_a_window_on_real_protocol_peers_all_come_to_show_their_price():
    async def main() -> None:
        async with open_twin(3, labels=2 * WINDOW + 20) as twin:
            await twin.wave(dict.fromkeys(GTINS, 300))
            await virtual_time.eventually(lambda: not twin.wrong(), 7_200)
            assert twin.gateway.failed() is None
            assert not twin.harm

    virtual_time.run(main)
