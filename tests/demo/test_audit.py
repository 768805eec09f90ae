"""The demo's judge: it must see an overcharge, and only an overcharge."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.demo.audit import Audit
from gateway.hq.wire import Event

START = datetime(2026, 11, 22, tzinfo=UTC)
LABEL, GTIN = "0000021B2C3D4E5F", "06901234567892"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fact(audit: Audit, seconds: float, event_type: str, **data: Any) -> None:
    audit.feed(Event("id", "demo", "gw1", "ap-1", "business", event_type, at(seconds), 1, None, data, {}))


def face(audit: Audit, digest: str, price: int) -> None:
    fact(audit, 0, "label.sent", label=LABEL, gtin=GTIN, price_minor=price, digest=digest)


def charge(audit: Audit, seconds: float, price: int | None) -> None:
    fact(audit, seconds, "price.charged", gtin=GTIN, price_minor=price)


def shop(first: int, second: int) -> Audit:
    """Return a label that shows `first` at 10 s and `second` at 20 s; `first` is charged from 11 s."""
    audit = Audit()
    face(audit, "a", first)
    face(audit, "b", second)
    audit.see(LABEL, at(0), None)
    audit.see(LABEL, at(10), "a")
    charge(audit, 11, first)
    audit.see(LABEL, at(20), "b")
    return audit


def test_a_rise_after_the_label_and_a_fall_before_it_do_no_harm() -> None:
    rise = shop(100, 150)
    charge(rise, 20.5, 150)
    fall = shop(150, 100)
    charge(fall, 19.5, 100)
    assert (rise.harm(), fall.harm()) == ([], [])
    assert (rise.shown_minor(LABEL), rise.charged_minor(GTIN)) == (150, 150)


def test_a_rise_before_the_label_is_harm_from_that_instant() -> None:
    audit = shop(100, 150)
    charge(audit, 19.9, 150)
    (harm,) = audit.harm()
    assert (harm.at, harm.charged_minor, harm.shown_minor) == (at(19.9), 150, 100)


def test_a_fall_after_the_label_is_harm_until_the_till_follows() -> None:
    audit = shop(150, 100)
    charge(audit, 25, 100)
    (harm,) = audit.harm()
    assert (harm.at, harm.charged_minor, harm.shown_minor) == (at(20), 150, 100)


def test_the_same_truth_told_often_counts_once_and_blank_glass_promises_nothing() -> None:
    audit = shop(100, 150)
    for _ in range(5):
        audit.see(LABEL, at(20), "b")
    audit.see(LABEL, at(30), None)
    charge(audit, 31, 900)
    assert len(audit.glass[LABEL]) == 4
    assert audit.harm() == []


def test_a_picture_that_nobody_was_told_of_is_remembered() -> None:
    audit = shop(100, 150)
    audit.see(LABEL, at(40), "z")
    audit.harm()
    assert audit.unknown == {(LABEL, "z")}


def test_uploads_per_changed_label() -> None:
    audit = shop(100, 150)
    assert audit.uploads_per_change() is None
    fact(audit, 10, "label.shown", label=LABEL, digest="a")
    fact(audit, 20, "label.shown", label=LABEL, digest="b")
    face(audit, "b2", 150)
    assert audit.uploads_per_change() == 1.5
