"""The state of the tills' interface, by what was heard."""

from datetime import timedelta
from pathlib import Path

import pytest

from drivers._checkout_health import MAX_TERMINALS, Evidence, judge
from tests.drivers.checkout_shop import NOW, OTHER, TILL, event, open_shop, until


def heard(**ago_s: float) -> Evidence:
    known = Evidence(where="listening on 10.0.0.2 port 8443")
    for name, age_s in ago_s.items():
        known.heard(name, 10_000 - age_s)
    return known


def test_an_open_port_proves_nothing() -> None:
    verdict = judge(heard(), 10_000)
    assert (verdict.state, verdict.reason) == ("unknown", "no_till_heard")
    assert "listening on 10.0.0.2 port 8443" in verdict.evidence


@pytest.mark.parametrize(
    ("known", "state", "reason", "evidence"),
    [
        (heard(a=1, b=899), "online", "tills_heard", "a 1 s ago, b 15 min ago"),
        (heard(a=1, b=901), "degraded", "till_silent", "b for 15 min"),
        (heard(a=8000, b=901), "unknown", "silent", "a for 2 h, b for 15 min"),
        (heard(**{f"t{n}": 1 for n in range(9)}), "online", "tills_heard", "and 3 more"),
    ],
)
def test_by_who_was_heard_and_when(known, state, reason, evidence) -> None:
    verdict = judge(known, 10_000)
    assert (verdict.state, verdict.reason) == (state, reason)
    assert evidence in verdict.evidence


@pytest.mark.parametrize(("ahead_s", "said"), [(7.0, "a 7 s ahead"), (-7.0, "a 7 s behind"), (4.9, None), (-4.9, None)])
def test_a_wrong_clock_is_told(ahead_s: float, said: str | None) -> None:
    known = heard()
    known.took("a", NOW + timedelta(seconds=ahead_s), 1, None, NOW, 10_000)
    verdict = judge(known, 10_000)
    assert (said in verdict.evidence) if said else verdict.state == "online"


def test_events_that_waited_at_a_till_are_no_wrong_clock() -> None:
    known = heard()
    known.took("a", NOW - timedelta(hours=9), 500, None, NOW, 10_000)
    known.took("a", NOW - timedelta(seconds=1), 500, None, NOW, 10_010)
    assert judge(known, 10_010).state == "online"
    known.took("a", NOW - timedelta(hours=9), 500, NOW, NOW, 10_080)
    assert judge(known, 10_080).state == "online"
    known.took("a", NOW - timedelta(hours=9), 500, NOW + timedelta(seconds=60), NOW, 10_090)
    assert judge(known, 10_090).reason == "clock_skew"
    known.took("a", NOW - timedelta(hours=9), 500, None, NOW, 10_100)
    assert judge(known, 10_100).reason == "clock_skew"  # it told its time once, so guesses do not count


def test_terminals_are_bounded() -> None:
    known = heard(**{f"t{n}": n for n in range(MAX_TERMINALS)})
    known.heard("new", 10_000)
    assert len(known.terminals) == MAX_TERMINALS
    assert f"t{MAX_TERMINALS - 1}" not in known.terminals


async def test_it_is_reported_while_it_runs(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        await until(lambda: shop.said)
        assert shop.said[0][:2] == ("unknown", "no_till_heard")
        await shop.ask("POST", f"/v1/sco/{TILL}/events", event(1))
        await until(lambda: shop.said[-1][0] == "online")
        late = (NOW - timedelta(seconds=30)).isoformat()
        await shop.ask("POST", f"/v1/sco/{OTHER}/events", event(1, at=late), terminal=OTHER)
        await until(lambda: shop.said[-1][1] == "clock_skew")
        assert "till-2 30 s behind" in shop.said[-1][2]
