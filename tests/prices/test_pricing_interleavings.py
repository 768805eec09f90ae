"""At no instant does a till charge more than a label shows, whatever happens in whatever order (abstract shop)."""

import os

import pytest

from gateway.prices import switch
from gateway.prices.shelf import Shelf
from gateway.prices.shop import Shop
from tests.prices import world
from tests.prices.spread import spread

GTINS = world.GTINS


def one_step(w):  # noqa: C901 - a table of dice
    dice = w.random.random()
    if dice < 0.10:
        prices = {g: w.random.choice((100, 200, 300, 400)) for g in w.random.sample(GTINS, w.random.randint(1, 3))}
        w.wave(
            prices,
            delay_s=w.random.choice((0, 0, 0, 5, 60)),
            lasts_s=w.random.choice((None, None, 30)),
            supersedes=w.random.choice((None, None, f"w{w.sequence}")),
        )
    elif dice < 0.13:
        w.wave({}, kind="cancel", supersedes=f"w{max(1, w.sequence - w.random.randint(0, 3))}")
    elif dice < 0.18:
        w.bind(w.random.choice(w.names), w.random.choice((*GTINS, None)))
    elif dice < 0.38:
        w.sync()
    elif dice < 0.55:
        w.draw(keep=w.random.random() < 0.2)
    elif dice < 0.70:
        w.prove()
    elif dice < 0.78:
        w.fail(w.random.choice(("never_sent", "settled", "unsettled")))
    elif dice < 0.90:
        w.deliver()
    elif dice < 0.93:
        w.move(w.random.choice(w.names), w.random.choice(w.aps))
    elif dice < 0.96:
        w.kill()
    else:
        w.tick(w.random.choice((0, 1, 10, 40, 1000)))


def run(seed, steps=60):
    w = world.World(seed)
    for _ in range(steps):
        one_step(w)
    w.calm()
    for label in w.names:
        glass = w.pricing.shelf.glass(label)
        wanted = None if glass.gtin is None else w.pricing.wanted(glass.gtin)
        if wanted is not None:
            assert w.glass[label][:2] == (glass.gtin, wanted), (seed, label, w.trace[-60:])
    for gtin in GTINS:
        assert w.pricing.charge(gtin) == w.pricing.wanted(gtin), (seed, gtin, w.trace[-60:])
    return w


def play(seeds):
    for seed in seeds:
        run(seed)


def test_no_interleaving_charges_more_than_a_label_shows_and_all_converge():
    spread(play, 9_000)


@pytest.mark.soak
def test_a_million_interleavings():
    spread(play, int(os.environ.get("AISLED_INTERLEAVINGS", "1000000")))


@pytest.mark.parametrize("broken", ["charge_for", "may_push", "trust_first_ack", "forget_unbound"])
def test_a_broken_guard_is_caught(monkeypatch, broken):
    if broken == "charge_for":
        monkeypatch.setattr(switch, "charge_for", lambda wanted, _lowest: wanted)
    elif broken == "may_push":
        monkeypatch.setattr(Shop, "recharge", lambda *_: [])  # falls never reach the till: pushes would harm
        monkeypatch.setattr(switch, "may_push", lambda *_: True)
    elif broken == "trust_first_ack":
        from gateway.prices.glass import Glass

        def show(self, revision, via, _image=None):
            self.entries = tuple(e for e in self.entries if e.revision == revision and e.via == via)
            return bool(self.entries)

        monkeypatch.setattr(Glass, "show", show)
    else:
        monkeypatch.setattr(Shelf, "index", _index_bound_only)
    with pytest.raises(AssertionError):
        play(range(400))


def _index_bound_only(self, glass, before):
    now = glass.gtins() & {glass.gtin}
    for gtin in before - now:
        self._showing.get(gtin, set()).discard(glass.label)
    for gtin in now - before:
        self._showing.setdefault(gtin, set()).add(glass.label)
