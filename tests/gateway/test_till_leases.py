"""Leases of tills: granted after the commit, over after their time and not before, renewed only by who keeps up."""

import asyncio

from gateway import messages as m
from gateway.errors import StoreError
from gateway.till_leases import LEASE_S, MARGIN_S, SLOW_CLOCK, TillLeases
from tests import virtual_time
from tests.prices.world import GTINS, World

FULL_S = LEASE_S * SLOW_CLOCK + MARGIN_S
A = GTINS[0]


class Rig:
    """Leases before the real Pricing on its tables."""

    def __init__(self, before=None):
        self.world = World(1)
        self.world.bind(self.world.names[0], A)
        self.world.settle()
        self.heard = []
        self.answered = asyncio.Event()
        self.answered.set()
        self.leases = TillLeases(self.ask, self, lambda: self.world.board.version, before or {})
        self.task = asyncio.create_task(self.leases.run())

    def now(self):
        return self.world.now

    async def ask(self, *commands):
        await self.answered.wait()
        self.heard += commands
        return [note for command in commands for note in self.world.tell(command)]

    async def grant(self, version=None):
        return await self.leases.grant("tills", "sco-1", self.world.board.version if version is None else version)

    async def refuse(self, *_):
        raise StoreError("the disk is full")

    def over(self):
        return [one.terminal for one in self.heard if isinstance(one, m.TillLeaseOver)]

    def fall(self, price):
        self.world.wave({A: price})
        self.world.settle()

    def shown(self):
        return {glass[1] for glass in self.world.glass.values() if glass[0] == A}


def play(test, before=None):
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

    play(test, before={"sco-1": LEASE_S})


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


def test_a_lease_from_before_runs_as_long_as_it_was_granted_for():
    async def test(rig):
        await asyncio.sleep(3600)
        assert rig.over() == []
        await asyncio.sleep(60)
        assert rig.over() == ["sco-1"]

    play(test, before={"sco-1": 3600})


def test_leases_that_run_out_together_do_not_end_one_that_is_renewed_meanwhile():
    async def test(rig):
        await asyncio.sleep(FULL_S - 1)
        rig.answered.clear()  # the disk hangs
        await asyncio.sleep(10)  # the first lease is being ended
        renewing = asyncio.create_task(rig.leases.grant("tills", "sco-2", rig.world.board.version))
        await asyncio.sleep(10)
        rig.answered.set()
        assert (await renewing).lease_s == LEASE_S
        await asyncio.sleep(60)
        assert rig.over() == ["sco-1"]
        assert rig.world.pricing.till.leases.version("sco-2") is not None

    play(test, before={"sco-1": LEASE_S, "sco-2": LEASE_S})


def test_a_till_that_hangs_up_while_it_asks_is_ended_all_the_same():
    async def test(rig):
        asking = asyncio.create_task(rig.grant())
        rig.answered.clear()
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.sleep(1)
        rig.answered.set()
        rig.world.tell(m.TillLeased(at=rig.now(), source="tills", terminal="sco-1", version=rig.world.board.version))
        await asyncio.sleep(FULL_S + 10)
        assert rig.over() == ["sco-1"]

    play(test)


def test_a_disk_that_refuses_to_end_a_lease_is_asked_again():
    async def test(rig):
        await rig.grant()
        whole = rig.leases._ask
        rig.leases._ask = rig.refuse
        await asyncio.sleep(FULL_S + 10)
        assert rig.over() == []
        rig.leases._ask = whole
        await asyncio.sleep(10)
        assert rig.over() == ["sco-1"]

    play(test)
