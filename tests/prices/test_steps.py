"""Long work in short steps: the same facts in the same order, nothing half done, and readers in between do no harm."""

import random
from collections.abc import Iterator

import pytest

from gateway import messages as m
from gateway.prices import work
from tests.prices.world import GTINS, START, World

MANY = [f"{n:014d}" for n in range(1, 1001)]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each step do next to nothing: there are as many places to stop as there can be."""
    monkeypatch.setattr(work.pages, "__defaults__", (1,))


def wave(world: World, gtins: list[str] | tuple[str, ...], price: int) -> m.PricePart:
    lines = [m.PriceLine(gtin=gtin, price_minor=price, currency="CNY") for gtin in gtins]
    strange = m.PriceLine(gtin="00000000009993", price_minor=price, currency="CNY")
    return m.PricePart(at=world.now, source="hq", wave=world.head(), part=1, lines=(*lines, strange, lines[0]))


def orders(world: World) -> Iterator[m.Message]:
    """Everything that may be long."""
    products = tuple(m.Product(gtin=gtin, name={"en": gtin}) for gtin in GTINS)
    bindings = (m.Binding(label=world.names[0], gtin=GTINS[1]),)
    yield m.ProductsUpdate(at=world.now, source="hq", sequence=10**6, full=True, products=products)
    yield m.BindingsUpdate(at=world.now, source="hq", sequence=10**6, full=True, bindings=bindings)
    yield wave(world, GTINS, 400)
    yield m.TillLeased(at=world.now, source="tills", terminal="t-1", version=world.pricing.till.version, lease_s=900)
    yield wave(world, GTINS, 200)
    yield m.Tick(at=world.now, source=m.GATEWAY)
    yield m.TillLeaseOver(at=world.now, source="tills", terminal="t-1")
    yield wave(world, GTINS, 300)


@pytest.mark.usefixtures("small_pages")
def test_a_kill_between_two_steps_leaves_nothing_and_the_order_comes_again() -> None:
    straight, torn = World(5), World(5)
    straight.settle()
    torn.settle()
    dice = random.Random(5)
    for order, again in zip(orders(straight), orders(torn), strict=True):
        count = sum(1 for _ in torn.pricing.steps(again))  # nothing of it is kept
        torn.kill()
        for _, _step in zip(range(dice.randrange(count)), torn.pricing.steps(again), strict=False):
            torn.check()
        torn.kill()
        assert torn.tell(again) == straight.tell(order)
    assert [torn.pricing.charge(gtin) for gtin in GTINS] == [straight.pricing.charge(gtin) for gtin in GTINS]


def test_no_step_of_a_long_wave_is_long() -> None:
    world = World(1)
    products = tuple(m.Product(gtin=gtin, name={"en": gtin}) for gtin in MANY)
    bindings = tuple(m.Binding(label=f"{n:016X}", gtin=gtin) for n, gtin in enumerate(MANY, 1000))
    for order in (
        m.ProductsUpdate(at=START, source="hq", sequence=10**6, full=False, products=products),
        m.BindingsUpdate(at=START, source="hq", sequence=10**6, full=False, bindings=bindings),
        wave(world, MANY, 500),
        wave(world, [*MANY, *(f"{n:014d}" for n in range(10_000, 11_000))], 400),  # the second half is refused
    ):
        steps = [len(step) for step in world.pricing.steps(order)]
        assert len(steps) >= len(MANY) / work.PAGE
        assert max(steps) <= 4 * work.PAGE
