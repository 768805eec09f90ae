"""When labels are late, and which ones are waited for."""

from datetime import timedelta

import pytest

from gateway import messages as m
from gateway.prices import convergence
from tests.prices.world import GTINS, World


@pytest.fixture
def world() -> World:
    world = World(1)
    world.wave(dict.fromkeys(GTINS, 400))
    return world


def late(world: World, after_s: float) -> list[m.Message]:
    pricing = world.pricing
    at = pricing.schedule.now + timedelta(seconds=after_s)
    return [said for step in convergence.late(pricing.schedule, pricing.shelf, 900, at) for said in step]


def test_labels_are_late_also_while_the_schedule_stands_still(world: World) -> None:
    assert late(world, 800) == []
    raised = [f for f in late(world, 1_000) if isinstance(f, m.AlarmRaised)]
    assert len(raised) == 1
    assert late(world, 2_000) == []


def test_a_blank_label_whose_product_was_removed_holds_up_no_wave(world: World) -> None:
    update = m.ProductsUpdate(at=world.now, source=m.GATEWAY, sequence=10**6, full=True, products=())
    list(world.pricing.feed(update))
    said = late(world, 1_000)
    assert [f.wave for f in said if isinstance(f, m.WaveConverged)]
    assert not [f for f in said if isinstance(f, m.AlarmRaised | m.WaveExceptions)]
    assert not world.pricing.schedule.waves.open_ones()
