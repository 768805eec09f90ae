"""After a salvage the tills may follow a fall, but no rise before every glass is proven again."""

from gateway.prices.pricing import Pricing
from gateway.prices.salvaged import doubted
from gateway.store.apply_prices import load
from tests.prices.world import GTINS, World


def lose(world: World, *tables: str) -> None:
    """The damage took these rows; the daemon starts on what is left, as `app.py` does."""
    for table in tables:
        world.db.execute(f"DELETE FROM {table}")
    kept = doubted(load(world.db, world.now), world.now)
    world.tables.apply(world.db, kept.glasses)
    world.pricing = Pricing(world.policy, load(world.db, world.now))
    world.pending.clear()
    world.tick()


def test_a_rise_waits_although_the_rows_of_the_glass_are_lost():
    world = World(3)
    world.settle()
    bound = world.pricing.shelf.glass(world.names[0]).gtin
    lose(world, "glass")
    world.wave(dict.fromkeys(GTINS, 400))
    assert world.pricing.charge(bound) == 300
    world.settle()
    assert world.pricing.charge(bound) == 400
    assert world.glass[world.names[0]][:2] == (bound, 400)


def test_a_fall_is_followed_at_once():
    world = World(3)
    world.settle()
    bound = world.pricing.shelf.glass(world.names[0]).gtin
    lose(world, "glass")
    world.wave(dict.fromkeys(GTINS, 200))
    assert world.pricing.charge(bound) == 200


def test_without_charges_the_lowest_price_of_the_book_counts():
    world = World(3)
    world.settle()
    world.wave(dict.fromkeys(GTINS, 250), delay_s=500)
    bound = world.pricing.shelf.glass(world.names[0]).gtin
    lose(world, "glass", "charge")
    assert world.pricing.charge(bound) == 250


def test_every_label_is_pushed_again_with_a_new_revision():
    world = World(3)
    world.settle()
    before = {label: world.pricing.shelf.glass(label).revision for label in world.names}
    uploads = world.uploads
    lose(world)
    world.settle()
    assert world.uploads == uploads + len(world.names)
    assert all(world.pricing.shelf.glass(label).revision > before[label] + 1000 for label in world.names)
