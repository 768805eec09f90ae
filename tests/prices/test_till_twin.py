"""Shelf and till agree at every sale: simulated tills and labels before the real code, whatever goes wrong.

No till that keeps to its lease charges more than any label shows; each sale line arrives once, with its sum; and a till
that sells past its lease is found out.
"""

import asyncio
import os

import pytest

from gateway.prices import leases, switch
from gateway.store.apply_sales import SaleTables
from tests import virtual_time
from tests.prices.spread import spread
from tests.prices.test_twin import converged, one_act
from tests.prices.till_twin import TillTwin
from tests.prices.twin import GTINS, open_twin

SCENARIOS = 40
SOAK_SCENARIOS = int(os.environ.get("AISLED_TILL_SCENARIOS", "5000"))


def one_misfortune(twin):
    dice, rng = twin.rng.random(), twin.rng
    if dice < 0.25:
        twin.misfortune("offline", rng.choice((10, 300, 1200, 4000)))
    elif dice < 0.35:
        twin.misfortune("slow", rng.choice((1, 5)), 200)
    elif dice < 0.50:
        twin.misfortune("lose_answers", rng.randint(1, 3))
    elif dice < 0.60:
        twin.misfortune("cut_feed", 1)
    elif dice < 0.70:
        twin.misfortune("repeat", 2)
    elif dice < 0.80:
        twin.misfortune("shuffle", 2)
    elif dice < 0.90:
        twin.misfortune("die", rng.choice((5, 100, 1500)))
    else:
        twin.misfortune("die_at_send", 30)


async def scenario(seed):
    async with open_twin(seed, kind=TillTwin) as twin:
        await asyncio.sleep(300)
        await twin.open_tills()
        for _ in range(twin.rng.randint(6, 14)):
            await one_act(twin)
            one_misfortune(twin)
            await asyncio.sleep(twin.rng.choice((0, 20, 200)))
        await asyncio.gather(*twin.shopping)
        await converged(twin, 6 * 3600)
        await asyncio.sleep(3600)  # gaps that nobody fills are given up
        assert twin.gateway.failed() is None, twin.gateway.failed()
        hold(twin)
        assert await twin.journal_is_sound()
        return twin


def hold(twin):
    """Everything that must be so at the end."""
    assert not twin.harm, twin.harm[0]
    overcharged = []
    for line in twin.ledger:
        lowest = twin.lowest_at(line.gtin, line.priced_at)
        assert line.unit_price_minor <= line.scanned_minor
        if lowest is not None and line.scanned_minor > lowest:
            assert line.from_cache, (twin.seed, line, lowest, twin.trace[-60:])
            assert line.lease == "over", (twin.seed, line, lowest, twin.trace[-60:])
            overcharged.append(line)
    sold = [(line.terminal, line.basket, line.line) for line in twin.sold if line.kind == "sale"]
    assert len(sold) == len(set(sold)), (twin.seed, "sold twice")
    truth = {(line.terminal, line.basket, line.line): line for line in twin.ledger}
    told = {(line.terminal, line.basket, line.line): line for line in twin.sold}
    assert told.keys() == truth.keys(), (twin.seed, set(told) ^ set(truth), twin.trace[-60:])
    for key, line in truth.items():
        found = told[key]
        assert (found.amount_minor, found.unit_price_minor) == (line.amount_minor, line.unit_price_minor), (
            twin.seed,
            key,
        )
    paid = [basket for basket in twin.baskets if basket.outcome == "paid"]
    assert sum(basket.amount_minor for basket in paid) == sum(line.amount_minor for line in twin.ledger)
    found_out = {(wrong.terminal, wrong.basket, wrong.line) for wrong in twin.mismatches if wrong.direction == "over"}
    for line in overcharged:
        assert (line.terminal, line.basket, line.line) in found_out, (twin.seed, line, twin.trace[-60:])


def play(seeds):
    for seed in seeds:
        virtual_time.run(lambda seed=seed: scenario(seed))


def test_no_interleaving_lets_a_till_charge_more_than_the_shelf_and_each_line_arrives_once():
    spread(play, SCENARIOS)


@pytest.mark.soak
def test_many_more_interleavings_with_tills():
    spread(play, SOAK_SCENARIOS)


async def past_its_lease(seed):
    async with open_twin(seed, kind=TillTwin) as twin:
        await twin.wave(dict.fromkeys(GTINS, 300))
        await converged(twin, 3600)
        await twin.open_tills(baskets=60)
        await asyncio.sleep(120)
        twin.fleets["sco-2"].faults.stale_cache()
        twin.fleets["sco-2"].faults.offline(5000)
        await twin.wave(dict.fromkeys(GTINS, 100))
        await asyncio.gather(*twin.shopping)
        await asyncio.sleep(3600)
        hold(twin)
        return twin


def test_a_till_that_sells_past_its_lease_is_found_out():
    twin = virtual_time.run(lambda: past_its_lease(1))
    over = [line for line in twin.ledger if line.lease == "over" and line.scanned_minor == 300]
    told = [wrong for wrong in twin.mismatches if wrong.direction == "over"]
    assert over
    assert {wrong.terminal for wrong in told} == {"sco-2"}
    assert all((wrong.charged_minor, wrong.shown_minor, wrong.from_cache) == (300, 100, True) for wrong in told)


@pytest.mark.parametrize("broken", ["forget_leases", "keep_no_events"])
def test_a_broken_promise_to_tills_is_seen(monkeypatch, broken):
    if broken == "forget_leases":
        monkeypatch.setattr(leases.Leases, "till", lambda *_: switch.CachingTill(None, None, frozenset()))
    else:
        monkeypatch.setattr(SaleTables, "apply", lambda *_: None)
    with pytest.raises(AssertionError):
        play(range(60))
