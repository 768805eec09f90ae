"""Each mishap does what it says, and none of them loses an event or sells from a cache without a lease."""

import asyncio
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulators._till_link import Answer, Away, Mishaps, RoughLink
from drivers.simulators._till_shopper import Pay, Scan, Shopper, Wait, random_shopper
from drivers.simulators.till import Article, TillConfig, TillFleet
from tests.simulators.till_gateway import APPLES, BREAD, MILK, WINE, DirectLink, Gateway, no_loss_no_repeat
from tests.virtual_time import VirtualClock, run

ARTICLES = (Article(MILK, weight_mg=1_040_000), Article(BREAD), Article(APPLES, by_weight=True), Article(WINE))
MILK_ONLY = Shopper((Scan(MILK[1:]), Pay()), pause_s=1.0)


def play(gateway, shoppers, script=(), *, mode="fallback", link=None, act=None, limit_s=864_000.0) -> TillFleet:
    async def main() -> TillFleet:
        fleet = TillFleet(
            {"sco-1": link or DirectLink(gateway)}, TillConfig(ARTICLES, mode), {"sco-1": shoppers}, VirtualClock().now
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.run(script))
            if act:
                group.create_task(act(fleet))
        return fleet

    return run(main, limit_s)


def baskets(count: int, seed: int = 1, every_s: float = 60.0) -> list[Shopper]:
    rng = random.Random(seed)
    return [random_shopper(rng, ARTICLES, every_s) for _ in range(count)]


def log(fleet: TillFleet):
    return fleet.tills["sco-1"].log


def assists(fleet: TillFleet) -> list[str]:
    return [event.data["reason"] for event in log(fleet).events if event.type == "assist.raised"]


# the way


def test_offline_a_till_without_a_cache_sells_nothing_and_says_so() -> None:
    fleet = play(Gateway(), [MILK_ONLY], [{"at_s": 0.5, "fault": "offline", "seconds": 60}], mode="ask")
    assert fleet.ledger.lines == []
    assert assists(fleet) == ["no price"]


def test_offline_a_till_with_a_lease_sells_from_its_cache() -> None:
    fleet = play(Gateway(), [MILK_ONLY], [{"at_s": 0.9, "fault": "offline", "seconds": 60}])
    assert [(line.from_cache, line.lease, line.amount_minor) for line in fleet.ledger.lines] == [(True, "held", 1290)]


def test_past_its_lease_a_cache_sells_only_when_the_fault_says_so() -> None:
    late = Shopper(MILK_ONLY.steps, 1.0, before_s=2000.0)
    script = [{"at_s": 5.0, "fault": "offline", "seconds": 4000}]
    honest = play(Gateway(), [late], script)
    assert (honest.ledger.lines, assists(honest)) == ([], ["no price"])
    stale = play(Gateway(), [late], [*script, {"at_s": 5.0, "fault": "stale_cache"}])
    assert [(line.from_cache, line.lease) for line in stale.ledger.beyond_lease()] == [(True, "over")]
    mended = play(
        Gateway(),
        [late],
        [*script, {"at_s": 5.0, "fault": "stale_cache"}, {"at_s": 9.0, "fault": "stale_cache", "stale": False}],
    )
    assert mended.ledger.lines == []


@pytest.mark.parametrize(("to_s", "back_s"), [(0.0, 20.0), (20.0, 0.0), (10.0, 10.0)])
def test_a_lease_runs_from_before_the_question_however_slow_the_answer(to_s, back_s) -> None:
    class Far(DirectLink):
        async def request(self, method, path, body, deadline_s, headers) -> Answer:
            del deadline_s, headers
            await asyncio.sleep(to_s if method == "PUT" else 0.0)
            answer = self.gateway.handle(method, path, body)
            await asyncio.sleep(back_s if method == "PUT" else 0.0)
            return answer

    async def main() -> None:
        fleet = TillFleet({"sco-1": Far(Gateway(lease_s=60))}, TillConfig(ARTICLES, "cache"), {}, VirtualClock().now)
        till = fleet.tills["sco-1"]
        await till.feeder.renew()
        assert [till.prices.cache.lease(at_s) for at_s in (59.9, 60.1)] == ["held", "over"]

    run(main)


def test_a_caching_till_asks_nobody_while_its_lease_lasts() -> None:
    gateway = Gateway()
    fleet = play(gateway, [Shopper(MILK_ONLY.steps, 1.0, before_s=5.0)] * 3, mode="cache")
    assert {line.from_cache for line in fleet.ledger.lines} == {True}
    assert not [path for _, path in gateway.log if path == f"/v1/price/{MILK[1:]}"]


def test_a_cache_hears_of_a_new_price_at_once() -> None:
    gateway = Gateway()

    async def act(_fleet: TillFleet) -> None:
        await asyncio.sleep(100.0)
        gateway.charge(MILK, 990)

    fleet = play(gateway, [Shopper(MILK_ONLY.steps, 1.0, before_s=101.0)], mode="cache", act=act)
    assert [(line.scanned_minor, line.from_cache) for line in fleet.ledger.lines] == [(990, True)]
    assert fleet.tills["sco-1"].feeder.heard == {"price.changed": 1}


def test_slow_answers_come_too_late_for_a_shopper() -> None:
    script = [{"at_s": 0.5, "fault": "slow", "delay_s": 2.5, "seconds": 60}]
    fleet = play(Gateway(), [MILK_ONLY], script, mode="ask")
    assert assists(fleet) == ["no price"]
    fleet = play(Gateway(), [MILK_ONLY], [script[0] | {"delay_s": 1.5}], mode="ask")
    assert assists(fleet) == []


def test_lost_answers_are_asked_for_again_and_nothing_is_kept_twice() -> None:
    gateway = Gateway()
    fleet = play(gateway, baskets(5), [{"at_s": at, "fault": "lose_answers", "count": 3} for at in range(0, 600, 20)])
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)


def test_after_a_lost_answer_the_till_goes_on_where_the_gateway_is() -> None:
    gateway = Gateway()

    async def act(fleet: TillFleet) -> None:
        await asyncio.sleep(0.9)
        fleet.faults.lose_answers(1)

    play(gateway, [MILK_ONLY], act=act, mode="ask")
    assert "duplicate" not in gateway.outcomes


def test_a_feed_that_was_cut_short_does_not_count() -> None:
    gateway = Gateway()
    script = [{"at_s": 0.0, "fault": "cut_feed", "count": 2}, {"at_s": 600.0, "fault": "cut_feed"}]
    fleet = play(gateway, [Shopper((Wait(2000.0), *MILK_ONLY.steps), 1.0)], script, mode="cache")
    assert [path for method, path in gateway.log if method == "PUT"]
    assert fleet.ledger.lines[0].from_cache


def test_a_gateway_that_was_put_back_gives_its_prices_anew() -> None:
    gateway = Gateway()
    for price in (1000, 1100, 1200):
        gateway.charge(MILK, price)

    async def act(_fleet: TillFleet) -> None:
        await asyncio.sleep(50.0)
        gateway.version, gateway.changes = 0, {}
        gateway.charge(MILK, 777)

    fleet = play(gateway, [Shopper(MILK_ONLY.steps, 1.0, before_s=400.0)], mode="cache", act=act)
    assert [(line.scanned_minor, line.from_cache) for line in fleet.ledger.lines] == [(777, True)]
    assert fleet.tills["sco-1"].prices.cache.on_sale() == [MILK]


# the till itself


def test_events_that_are_sent_twice_are_duplicates() -> None:
    gateway = Gateway()
    fleet = play(gateway, baskets(3), [{"at_s": 0.0, "fault": "repeat", "count": 5}])
    assert gateway.outcomes.count("duplicate") >= 5
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)


def test_shuffled_events_arrive_out_of_order_and_all_of_them() -> None:
    gateway = Gateway()
    script = [
        {"at_s": 5.0, "fault": "offline", "seconds": 900},
        {"at_s": 6.0, "fault": "shuffle", "count": 3},
    ]
    fleet = play(gateway, baskets(10), script)
    order = [seq for _, seq in gateway.taken]
    assert order != sorted(order)
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)


def test_a_wrong_clock_shows_in_events_and_never_in_the_truth_or_the_lease() -> None:
    script = [{"at_s": 0.0, "fault": "skew", "by_s": -7200.0}, {"at_s": 100.0, "fault": "skew", "by_s": 86_400.0}]
    gateway = Gateway()
    right = play(Gateway(), baskets(5), mode="cache")
    wrong = play(gateway, baskets(5), script, mode="cache")
    assert gateway.sent_at[-1] - log(wrong).events[-1].at < timedelta(seconds=1)
    skews = {(event.at - event.true_at).total_seconds() for event in log(wrong).events}
    assert skews == {-7200.0, 86_400.0}
    assert [line.paid_at for line in wrong.ledger.lines] == [line.paid_at for line in right.ledger.lines]
    assert wrong.ledger.beyond_lease() == []


@pytest.mark.parametrize("fault", ["die", "die_at_send"])
def test_a_till_that_died_comes_back_without_its_basket_and_with_its_events(fault) -> None:
    gateway = Gateway()
    script = [{"at_s": at, "fault": fault, "down_s": 20.0} for at in range(50, 1200, 170)]
    fleet = play(gateway, baskets(12), script)
    left = [event.data["reason"] for event in log(fleet).events if event.type == "basket.abandoned"]
    assert "restarted" in left
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)


def test_what_was_kept_before_it_died_is_not_sent_again() -> None:
    gateway = Gateway()
    fleet = play(gateway, [MILK_ONLY] * 2, [{"at_s": 1.5, "fault": "die_at_send", "down_s": 30.0}], mode="ask")
    assert "duplicate" not in gateway.outcomes
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)


def test_a_restart_ends_the_lease() -> None:
    script = [
        {"at_s": 5.0, "fault": "offline", "seconds": 500},
        {"at_s": 6.0, "fault": "die", "down_s": 1.0},
    ]
    fleet = play(Gateway(), [MILK_ONLY, Shopper(MILK_ONLY.steps, 1.0, before_s=20.0)], script, mode="cache")
    assert assists(fleet) == ["no price"]


def test_one_event_that_is_refused_does_not_hold_up_the_others() -> None:
    gateway = Gateway(refuse_types={"bag.weight"})
    fleet = play(gateway, baskets(10), [{"at_s": 3.0, "fault": "offline", "seconds": 300}])
    kinds = {log(fleet).events[seq - 1].type for seq in log(fleet).refused}
    assert kinds == {"bag.weight"}
    kept = {event["type"] for event in gateway.events["sco-1"].values()}
    assert "bag.weight" not in kept
    assert len(gateway.taken) + len(log(fleet).refused) == len(log(fleet).events)


class Moody:
    """Answers with one status until a time."""

    def __init__(self, gateway: Gateway, answer: Answer, until_s: float) -> None:
        self.inner, self.answer, self.until_s = DirectLink(gateway), answer, until_s
        self.asked: list[float] = []

    async def request(self, method, path, body, deadline_s, headers) -> Answer:
        now_s = asyncio.get_running_loop().time()
        if now_s < self.until_s:
            self.asked.append(now_s)
            return self.answer
        return await self.inner.request(method, path, body, deadline_s, headers)

    async def listen(self, path, _hear) -> None:
        raise Away(path)


def test_a_till_is_as_patient_as_the_gateway_asks() -> None:
    gateway = Gateway()
    link = Moody(gateway, Answer(503, b"", retry_after_s=120.0), 100.0)
    fleet = play(gateway, [MILK_ONLY], link=link, mode="ask")
    assert len(link.asked) == 1
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_till_that_nobody_knows_stops(status) -> None:
    gateway = Gateway()
    with pytest.raises(ExceptionGroup) as caught:
        play(gateway, [MILK_ONLY], link=Moody(gateway, Answer(status, b"no"), 1e9))
    assert f"status {status}" in repr(caught.value.exceptions)


def test_no_request_outlives_its_deadline() -> None:
    class Silent:
        async def request(self, *_: object) -> Answer:
            return await asyncio.get_running_loop().create_future()

        async def listen(self, *_: object) -> None: ...

    async def main() -> float:
        with pytest.raises(Away):
            await RoughLink(Silent(), Mishaps()).request("GET", "/", None, 7.0)
        return asyncio.get_running_loop().time()

    assert run(main) == 7.0


# whatever happens

MISHAPS = st.one_of(
    st.builds(lambda at, s: {"at_s": at, "fault": "offline", "seconds": s}, st.floats(0, 3000), st.floats(1, 2500)),
    st.builds(
        lambda at, d, s: {"at_s": at, "fault": "slow", "delay_s": d, "seconds": s},
        st.floats(0, 3000),
        st.floats(0.1, 40),
        st.floats(1, 900),
    ),
    st.builds(lambda at, n: {"at_s": at, "fault": "lose_answers", "count": n}, st.floats(0, 3000), st.integers(1, 5)),
    st.builds(lambda at, n: {"at_s": at, "fault": "cut_feed", "count": n}, st.floats(0, 3000), st.integers(1, 3)),
    st.builds(lambda at, n: {"at_s": at, "fault": "shuffle", "count": n}, st.floats(0, 3000), st.integers(1, 3)),
    st.builds(lambda at, n: {"at_s": at, "fault": "repeat", "count": n}, st.floats(0, 3000), st.integers(1, 3)),
    st.builds(lambda at, by: {"at_s": at, "fault": "skew", "by_s": by}, st.floats(0, 3000), st.floats(-1e6, 1e6)),
    st.builds(lambda at, s: {"at_s": at, "fault": "die", "down_s": s}, st.floats(0, 3000), st.floats(0, 900)),
    st.builds(lambda at, s: {"at_s": at, "fault": "die_at_send", "down_s": s}, st.floats(0, 3000), st.floats(0, 900)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(MISHAPS, max_size=6), st.sampled_from(["fallback", "cache"]), st.integers(0, 99), st.integers(30, 600))
def test_a_cache_is_never_used_past_its_lease_and_no_event_is_lost(script, mode, seed, lease_s) -> None:
    gateway = Gateway(lease_s=lease_s)
    rng = random.Random(seed)

    async def act(_fleet: TillFleet) -> None:
        for _ in range(10):
            await asyncio.sleep(rng.uniform(10, 400))
            gateway.charge(rng.choice((MILK, BREAD, WINE)), rng.randint(100, 5000))

    link = DirectLink(gateway, (0.001, 0.5), loss=0.02, rng=random.Random(seed))
    fleet = play(gateway, baskets(20, seed, 150.0), script, mode=mode, link=link, act=act)
    assert fleet.ledger.beyond_lease() == []
    epoch_s = VirtualClock().epoch_s
    for line in fleet.ledger.lines:
        if line.from_cache:
            assert gateway.leased("sco-1", line.priced_at.timestamp() - epoch_s), line
    no_loss_no_repeat(gateway, "sco-1", log(fleet).events)
    assert log(fleet).passed_over == []
