"""A biased scale is told from customers, and from one product whose weight is wrong."""

import random

import pytest

from gateway.rules import scale_fault
from gateway.rules.scale_fault import ScaleFault

FLOOR_MG = 7000


def gtin(number):
    return f"{number:014}"


def feed_all(fault, errors_mg, first=0, terminal="sco-1"):
    return [fault.feed(terminal, gtin(first + at), error, FLOOR_MG) for at, error in enumerate(errors_mg)]


@pytest.mark.parametrize(("error_mg", "word"), [(4000, "more"), (-4000, "less"), (12_000, "more")])
def test_the_same_bias_over_eight_products_is_the_scale(error_mg, word):
    said = feed_all(ScaleFault(), [error_mg] * 8)
    assert said[:7] == [None] * 7
    assert said[7].startswith(f"weighs {word} than expected for 8 different products")


@pytest.mark.parametrize("products", [1, 2, 7])
def test_few_products_are_never_the_scale(products):
    fault = ScaleFault()
    assert not any(fault.feed("sco-1", gtin(at % products), 6000, FLOOR_MG) for at in range(500))


def test_one_product_does_not_speak_for_others():
    fault = ScaleFault()
    feed_all(fault, [5000] * 4)
    assert not any(fault.feed("sco-1", gtin(99), 5000, FLOOR_MG) for _ in range(50))


def test_one_error_on_the_other_side_breaks_the_row():
    assert not any(feed_all(ScaleFault(), [5000, 5000, 5000, -500, 5000, 5000, 5000, 5000, 5000, 5000]))


def test_small_bias_is_none():
    assert not any(feed_all(ScaleFault(), [1500] * 30))


def test_another_item_is_no_bias():
    assert not any(feed_all(ScaleFault(), [300_000, 5000, 5000] * 3))


def test_a_fault_stays_until_the_bias_is_gone():
    fault = ScaleFault()
    assert feed_all(fault, [4000] * 8)[-1]
    assert all(feed_all(fault, [2000] * 8, first=20)), "less than raises it, more than clears it"
    assert fault.feed("sco-1", gtin(40), -500, FLOOR_MG), "one does not clear it"
    assert feed_all(fault, [300, -300] * 4, first=50)[-1] is None
    assert not any(feed_all(fault, [2000] * 8, first=60)), "and it does not come back for less"


def test_a_bias_too_small_to_matter_clears_a_fault():
    fault = ScaleFault()
    assert feed_all(fault, [4000] * 8)[-1]
    assert feed_all(fault, [700] * 8, first=20)[-1] is None


def test_the_newest_products_count():
    fault = ScaleFault()
    feed_all(fault, [-100, *[5000] * 7])
    fault.feed("sco-1", gtin(0), -100, FLOOR_MG)
    assert not any(feed_all(fault, [5000] * 7, first=20)), "the one without bias came later than seven others"
    assert fault.feed("sco-1", gtin(30), 5000, FLOOR_MG)


def test_it_may_turn_to_the_other_side():
    fault = ScaleFault()
    feed_all(fault, [4000] * 8)
    said = feed_all(fault, [-4000] * 8, first=20)
    assert said[4] is None
    assert said[-1].startswith("weighs less")


def test_terminals_do_not_mix_and_are_bounded(monkeypatch):
    monkeypatch.setattr(scale_fault, "MAX_TERMINALS", 3)
    fault = ScaleFault()
    for at in range(40):
        assert fault.feed(f"sco-{at % 10}", gtin(at // 10), 5000, FLOOR_MG) is None
    assert len(fault._terminals) == 3


def test_a_tolerance_of_nothing_does_not_break_it():
    assert ScaleFault().feed("sco-1", gtin(1), 5, 0) is None


def test_honest_scatter_seldom_looks_like_a_fault():
    """Heavy items only, the worst case: the tolerance is three sd of the scatter."""
    rng, fault = random.Random(3), ScaleFault()
    said = [fault.feed("sco-1", gtin(rng.randrange(79)), round(rng.gauss(0, 10_000)), 30_000) for _ in range(20_000)]
    rises = sum(now is not None and before is None for before, now in zip([None, *said], said, strict=False))
    print(f"false scale faults: {rises} in 20 000 heavy items")
    assert rises <= 10
