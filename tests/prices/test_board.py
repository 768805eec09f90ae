"""The price board: committed prices by version, and what was so at an instant of the last quarter of an hour."""

from datetime import timedelta

from gateway import messages as m
from gateway.notes import GlassKept, Kept, KeptCharge
from gateway.prices.board import RECENT, PriceBoard
from tests.prices.world import GTINS, START

A, B, C = GTINS


def charged(gtin, price, version, at=START):
    return m.PriceCharged(
        at=at,
        source=m.GATEWAY,
        gtin=gtin,
        price_minor=price,
        currency="CNY",
        wave=f"w{version}",
        reason="fall",
        version=version,
    )


def glass(label, entries, at=START):
    rows = tuple(
        (revision, "ap-1", gtin, price, "w", f"c{revision}", state, 0.0, "") for revision, gtin, price, state in entries
    )
    return GlassKept(at=at, source=m.GATEWAY, label=label, revision=9, doubted=False, entries=rows)


def board(*messages, **kept):
    found = PriceBoard(Kept(now=START, **kept), START)
    found.committed(messages)
    return found


def test_the_feed_gives_the_newest_price_of_each_product_in_the_order_of_versions():
    feed = board(charged(A, 100, 1), charged(B, 200, 2), charged(A, 90, 3), charged(C, None, 4))
    assert [(g, c.price_minor, c.version) for g, c in feed.changes(0)] == [(B, 200, 2), (A, 90, 3), (C, None, 4)]
    assert [g for g, _ in feed.changes(2)] == [A, C]
    assert feed.changes(4) == []
    assert feed.version == 4


def test_a_version_that_was_never_given_out_gets_everything():
    feed = board(charged(A, 100, 1), charged(B, 200, 2))
    assert [g for g, _ in feed.changes(99)] == [A, B]


def test_a_restart_keeps_versions_and_their_order():
    charges = {A: KeptCharge(100, "w", version=7), B: KeptCharge(50, "w", version=3)}
    feed = board(charges=charges, version=5)
    assert [(g, c.version) for g, c in feed.changes(0)] == [(B, 3), (A, 7)]
    assert feed.version == 7


def test_the_shelf_of_an_instant_is_what_every_label_could_show_then():
    later = START + timedelta(seconds=60)
    found = board(
        charged(A, 100, 1),
        glass("0" * 16, [(1, A, 100, "proven")]),
        glass("1" * 16, [(1, A, 120, "proven")]),
        charged(A, 80, 2, later),
        glass("0" * 16, [(1, A, 100, "proven"), (2, A, 80, "sent")], later),
    )
    before = found.shelf_at(A, START + timedelta(seconds=59), later)
    assert (before.lowest_minor, before.charged_minor, before.version, len(before.faces)) == (100, 100, 1, 2)
    after = found.shelf_at(A, later, later)
    assert (after.lowest_minor, after.charged_minor, after.wave) == (80, 80, "w2")
    assert [(f.price_minor, f.state) for f in after.faces] == [(80, "sent"), (100, "proven"), (120, "proven")]
    assert found.shelf_at(B, later, later).lowest_minor is None


def test_an_instant_before_the_start_or_too_long_ago_is_left_to_the_journal():
    found = board(charged(A, 100, 1))
    assert found.shelf_at(A, START - timedelta(seconds=1), START) is None
    assert found.shelf_at(A, START, START + RECENT + timedelta(seconds=1)) is None
    assert found.shelf_at(A, START, START + RECENT) is not None


def test_memory_forgets_what_ended_long_ago():
    found = board()
    for n in range(5_000):
        at = START + timedelta(seconds=10 * n)
        found.committed([charged(A, n, n + 1, at), glass("0" * 16, [(n, A, n, "sent")], at)])
    assert len(found._charges[A]) <= RECENT.total_seconds() / 10 + 2
    assert len(found._glass["0" * 16]) <= RECENT.total_seconds() / 10 + 2
    assert len(found._feed) == 1


def test_a_clock_that_was_set_back_forgets_rather_than_mixes():
    found = board(charged(A, 100, 1), charged(A, 90, 2, START - timedelta(hours=1)))
    shelf = found.shelf_at(A, START, START)
    assert (shelf.charged_minor, shelf.version) == (90, 2)
