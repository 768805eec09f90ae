"""After damage tills may follow a fall; no price rises before a person has seen that all labels are pushed again."""

import pytest

from gateway.prices.pricing import Pricing
from gateway.prices.salvaged import GHOST, doubted
from gateway.store.apply_prices import load
from tests.prices.world import GTINS, World


@pytest.fixture
def world() -> World:
    w = World(3)
    w.settle()
    return w


def lose(world: World, *tables: str) -> None:
    """The damage took these rows; the daemon starts on what is left, as `app.py` does."""
    for table in tables:
        world.db.execute(f"DELETE FROM {table}")
    kept = doubted(load(world.db, world.now), world.now)
    world.tables.apply(world.db, kept.glasses)
    world.pricing = Pricing(world.policy, load(world.db, world.now))
    world.pending.clear()
    world.tick()


@pytest.mark.parametrize("lost", [(), ("glass",), ("glass", "binding"), ("glass", "wanted")])
def test_a_rise_waits_for_the_sign_off_whatever_rows_are_lost(world, lost):
    lose(world, *lost)
    world.wave(dict.fromkeys(GTINS, 400))
    world.settle()
    assert [world.pricing.charge(gtin) for gtin in GTINS] == [300, 300, 300]
    world.kill()
    assert world.pricing.charge(GTINS[0]) == 300
    if "binding" not in lost:
        world.command("sign_off", label=GHOST)
        assert [world.pricing.charge(gtin) for gtin in GTINS] == [400, 400, 400]


def test_an_unbound_label_of_which_no_row_is_left_still_counts(world):
    label = world.names[0]
    gtin = world.pricing.shelf.glass(label).gtin
    world.bind(label, None)
    lose(world, "glass", "binding")
    world.wave({gtin: 900})
    assert world.pricing.charge(gtin) == 300


def test_a_fall_is_followed_at_once(world):
    lose(world, "glass")
    world.wave(dict.fromkeys(GTINS, 200))
    assert [world.pricing.charge(gtin) for gtin in GTINS] == [200, 200, 200]


def test_without_charges_the_lowest_price_of_the_book_counts(world):
    world.wave(dict.fromkeys(GTINS, 250), delay_s=500)
    lose(world, "glass", "charge")
    assert world.pricing.charge(GTINS[0]) == 250


def test_every_label_is_pushed_again_with_a_new_revision(world):
    before = {label: world.pricing.shelf.glass(label).revision for label in world.names}
    uploads = world.uploads
    lose(world)
    world.settle()
    assert world.uploads == uploads + len(world.names)
    assert all(world.pricing.shelf.glass(label).revision > before[label] + 1000 for label in world.names)
