"""Leases of tills: granted after the commit, over after their time and not before, renewed only by who keeps up."""

import asyncio

from gateway import messages as m
from gateway.till_leases import LEASE_S, MARGIN_S, SLOW_CLOCK, TillLeases
from tests import virtual_time
from tests.prices.world import GTINS, World

FULL_S = LEASE_S * SLOW_CLOCK + MARGIN_S
A = GTINS[0]


class Rig:
    """Leases before the real Pricing on its tables."""

    def __init__(self, before=()):
        self.world = World(1)
        self.world.bind(self.world.names[0], A)
        self.world.settle()
        self.heard = []
        self.answered = asyncio.Event()
        self.answered.set()
        self.leases = TillLeases(self.ask, self, lambda: self.world.board.version, before)
        self.task = asyncio.create_task(self.leases.run())

    def now(self):
        return self.world.now

    async def ask(self, *commands):
        await self.answered.wait()
        self.heard += commands
        return [note for command in commands for note in self.world.tell(command)]

    async def grant(self, version=None):
        return await self.leases.grant("tills", "sco-1", self.world.board.version if version is None else version)

    def over(self):
        return [one.terminal for one in self.heard if isinstance(one, m.TillLeaseOver)]

    def fall(self, price):
        self.world.wave({A: price})
        self.world.settle()

    def shown(self):
        return {glass[1] for glass in self.world.glass.values() if glass[0] == A}


def play(test, before=()):
    async def main():
        rig = Rig(before)
        await test(rig)
        assert not rig.task.done()

    virtual_time.run(main)


def test_a_till_that_knows_all_prices_gets_a_lease():
    async def test(rig):
        lease = await rig.grant()
        assert lease == m.Lease(version=rig.world.board.version, lease_s=LEASE_S)

    play(test)


def test_a_silent_till_holds_a_lower_price_from_the_labels_until_its_time_is_over():
    async def test(rig):
        rig.world.wave(dict.fromkeys(GTINS, 300))
        rig.world.settle()
        await rig.grant()
        rig.fall(200)
        assert rig.shown() == {300}
        await asyncio.sleep(FULL_S - 1)
        assert rig.over() == []
        await asyncio.sleep(10)
        assert rig.over() == ["sco-1"]
        rig.world.settle()
        assert rig.shown() == {200}

    play(test)


def test_a_till_that_acknowledges_the_fall_lets_the_labels_follow_at_once():
    async def test(rig):
        await rig.grant()
        rig.fall(200)
        await rig.grant()
        rig.world.settle()
        assert rig.shown() == {200}
        await asyncio.sleep(FULL_S - 10)
        assert rig.over() == []

    play(test)


def test_a_till_that_does_not_keep_up_is_not_renewed():
    async def test(rig):
        old = (await rig.grant()).version
        rig.fall(200)
        assert (await rig.grant(old)).lease_s == LEASE_S  # it could not know of the fall: this answer tells it
        assert (await rig.grant(old)) == m.Lease(version=rig.world.board.version, lease_s=0)
        await asyncio.sleep(FULL_S + 10)
        assert rig.over() == ["sco-1"]

    play(test)


def test_a_till_from_another_life_of_the_gateway_gets_none():
    async def test(rig):
        assert (await rig.grant(rig.world.board.version + 5)).lease_s == 0
        await asyncio.sleep(FULL_S + 10)
        assert rig.over() == []

    play(test)


def test_leases_from_before_a_restart_run_in_full_again():
    async def test(rig):
        await asyncio.sleep(FULL_S - 1)
        assert rig.over() == []
        await asyncio.sleep(10)
        assert rig.over() == ["sco-1"]

    play(test, before=["sco-1"])


def test_a_lease_that_runs_out_while_it_is_renewed_is_not_ended_after_it():
    async def test(rig):
        await rig.grant()
        await asyncio.sleep(FULL_S - 1)
        rig.answered.clear()
        renewing = asyncio.create_task(rig.grant())
        await asyncio.sleep(60)
        rig.answered.set()
        assert (await renewing).lease_s == LEASE_S
        await asyncio.sleep(60)
        assert rig.over() == []

    play(test)
