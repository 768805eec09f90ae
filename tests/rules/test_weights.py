"""Learnt weights: what a product weighs, whatever some baskets say."""

import json
import random
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules import weights
from gateway.rules.weights import KeptWeight, LearntWeights

JUICE = "06901234567892"


def shop(samples_mg=(), declared_mg=None):
    learnt = LearntWeights({JUICE: KeptWeight(JUICE, tuple(samples_mg))} if samples_mg else {})
    learnt.seed(JUICE, declared_mg)
    return learnt


def normal(mean_mg, n, part=0.013, seed=1):
    rng = random.Random(seed)
    return [round(rng.gauss(mean_mg, part * mean_mg)) for _ in range(n)]


def test_nobody_knows_a_product_without_catalogue_and_samples():
    assert shop().expect(JUICE) is None
    assert shop([91_000, 92_000]).expect(JUICE) is None


def test_the_catalogue_seeds_with_an_allowance_for_the_package():
    expected = shop(declared_mg=500_000).expect(JUICE)
    assert (expected.mean_mg, expected.sd_mg, expected.n, expected.source) == (522_000, 22_000, 0, "catalogue")
    assert shop(declared_mg=0).expect(JUICE) is None
    learnt = shop(declared_mg=500_000)
    learnt.seed(JUICE, None)
    assert learnt.expect(JUICE) is None


@pytest.mark.parametrize("n", [3, 8, 20, 64])
def test_three_weights_are_believed_and_more_are_believed_more(n):
    expected = shop(normal(520_000, n), declared_mg=500_000).expect(JUICE)
    assert (expected.n, expected.source) == (n, "learnt")
    assert abs(expected.mean_mg - 520_000) < 10_000
    assert 0.011 < expected.sd_mg / 520_000 < 0.03


def test_sd_follows_what_is_seen():
    calm, wild = (shop(normal(300_000, 64, part)).expect(JUICE).sd_mg for part in (0.005, 0.05))
    assert calm < 3_000
    assert 12_000 < wild < 18_000


def test_equal_weights_still_leave_a_doubt():
    assert 0 < shop([15_000] * 64).expect(JUICE).sd_mg < 1000


def test_outliers_move_nothing():
    good = normal(91_000, 40)
    clean, dirty = shop(good).expect(JUICE), shop([*good, 400, 38_000, 300_000, 1_100_000]).expect(JUICE)
    assert dirty == clean


def test_a_tail_without_a_gap_does_not_widen_the_sd():
    good = normal(91_000, 40)
    tail = [max(good) + 4_900 * step for step in (1, 2, 3, 4)]
    clean, dirty = shop(good).expect(JUICE), shop([*good, *tail]).expect(JUICE)
    assert dirty.n <= 42
    assert dirty.sd_mg < 1.6 * clean.sd_mg


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_two_for_one_neither_drags_the_median_nor_becomes_a_package(share):
    bad = round(64 * share)
    samples = normal(250_000, 64 - bad) + normal(500_000, bad, seed=2)
    expected = shop(samples).expect(JUICE)
    assert abs(expected.mean_mg - 250_000) < 2_500
    assert expected.sd_mg < 6_000
    assert expected.others == ()


def test_two_for_one_is_seen_even_when_it_is_the_rule():
    mostly = normal(250_000, 10) + normal(500_000, 54, seed=2)
    assert abs(shop(mostly).expect(JUICE).mean_mg - 250_000) < 3_000
    always = shop(normal(500_000, 64), declared_mg=245_000).expect(JUICE)
    assert always.source == "catalogue"


def test_packages_clearly_apart_are_told_apart():
    samples = normal(250_000, 30) + normal(330_000, 20, seed=2) + normal(290_000, 14, seed=3)
    expected = shop(samples, declared_mg=240_000).expect(JUICE)
    means = [expected.mean_mg, *(other.mean_mg for other in expected.others)]
    assert [round(mean, -4) for mean in means] == [250_000, 330_000, 290_000]
    assert [expected.n, *(other.n for other in expected.others)] == [30, 20, 14]


def test_packages_near_each_other_stay_one():
    samples = normal(250_000, 30) + normal(256_000, 30, seed=2)
    expected = shop(samples).expect(JUICE)
    assert expected.others == ()
    assert expected.n >= 58


@pytest.mark.parametrize("part", [0.013, 0.03, 0.05])
@pytest.mark.parametrize("n", [10, 20, 64])
def test_chance_makes_no_packages(part, n):
    found = [shop(normal(300_000, n, part, seed)).expect(JUICE) for seed in range(200)]
    assert sum(bool(one.others) for one in found) <= 2
    assert max(abs(one.mean_mg / 300_000 - 1) for one in found) < 3 * part


def test_a_new_package_takes_over():
    learnt = shop(normal(250_000, 64))
    for weight_mg in normal(300_000, 40, seed=2):
        learnt.learn(JUICE, weight_mg)
    expected = learnt.expect(JUICE)
    assert abs(expected.mean_mg - 300_000) < 3_000
    assert [round(other.mean_mg, -4) for other in expected.others] == [250_000]


def test_memory_is_bounded_and_survives_json(monkeypatch):
    learnt = LearntWeights({})
    kept = None
    for weight_mg in normal(91_000, 200):
        kept = learnt.learn(JUICE, weight_mg)
    text = json.dumps(asdict(kept))
    assert len(kept.samples_mg) == weights.MEMORY
    assert len(text) < 600
    again = json.loads(text)
    loaded = LearntWeights({JUICE: KeptWeight(again["gtin"], tuple(again["samples_mg"]))})
    assert loaded.expect(JUICE) == learnt.expect(JUICE)
    monkeypatch.setattr(weights, "MAX_PRODUCTS", 1)
    assert learnt.learn("00000000000017", 91_000) is None
    assert learnt.learn(JUICE, 91_000) is not None


@pytest.mark.parametrize("weight_mg", [0, -91_000, weights.MAX_WEIGHT_MG + 1])
def test_what_is_no_weight_is_not_learnt(weight_mg):
    learnt = shop()
    assert learnt.learn(JUICE, weight_mg) is None
    assert learnt.expect(JUICE) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, weights.MAX_WEIGHT_MG), min_size=1, max_size=64), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_nothing_breaks(samples, rng):
    shuffled = samples.copy()
    rng.shuffle(shuffled)
    expected = shop(samples, declared_mg=1_000).expect(JUICE)
    assert shop(shuffled, declared_mg=1_000).expect(JUICE) == expected
    assert expected.sd_mg > 0
    assert len(expected.others) < weights.MAX_VARIANTS
