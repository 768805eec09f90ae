import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import pytest

from gateway.driver import Emit
from gateway.errors import BadFrame, ConfigError, GatewayError, LinkDown, StoreError
from gateway.health import HealthBoard
from gateway.messages import AlarmCleared, AlarmRaised, Fact, LabelSeen, Reading
from gateway.supervisor import FIRST_WAIT_S, LONGEST_WAIT_S, STOP_S, Bug, Supervisor, verdict
from tests.jumping_time import FakeClock, run_virtual

Play = Callable[["Actor"], Awaitable[None]]


class Actor:
    """A driver that plays what the test wrote, turn by turn; the last play goes on."""

    def __init__(self, *plays: Play) -> None:
        self.plays = plays
        self.starts: list[float] = []

    async def run(self, emit: Emit) -> None:
        self.emit = emit
        self.starts.append(asyncio.get_running_loop().time())
        await self.plays[min(len(self.starts), len(self.plays)) - 1](self)

    def waits(self) -> list[float]:
        return [later - sooner for sooner, later in zip(self.starts, self.starts[1:], strict=False)]


def fails(error: BaseException) -> Play:
    async def play(_: Actor) -> None:
        raise error

    return play


async def works(_: Actor) -> None:
    await asyncio.Event().wait()


class Shop:
    """A supervisor with its surroundings."""

    def __init__(self, **drivers: Actor) -> None:
        self.facts: list[Reading | Fact] = []
        self.board = HealthBoard(clock := FakeClock())
        self.refuse = 0
        self.supervisor = Supervisor(drivers, self.emit, self.board, clock, jitter=lambda _, high: high)
        self.task: asyncio.Task[None] | None = None

    async def emit(self, *messages: Reading | Fact) -> None:
        if self.refuse:
            self.refuse -= 1
            raise StoreError("disk full")
        self.facts.extend(messages)

    async def run_for(self, seconds: float) -> None:
        self.task = self.task or asyncio.create_task(self.supervisor.run())
        await asyncio.sleep(seconds)

    async def stop(self) -> float:
        assert self.task is not None
        begun = asyncio.get_running_loop().time()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        return asyncio.get_running_loop().time() - begun

    def state(self, device: str) -> tuple[str, str]:
        status = self.board.of(device)
        assert status is not None
        return status.state, status.reason


def test_device_error_restarts_with_growing_waits() -> None:
    async def scenario() -> None:
        ap = Actor(fails(LinkDown("connection refused")))
        shop = Shop(ap=ap)
        await shop.run_for(1000)
        assert ap.waits()[:7] == [FIRST_WAIT_S, 2, 4, 8, 16, 32, LONGEST_WAIT_S]
        assert set(ap.waits()[7:]) == {LONGEST_WAIT_S}
        assert shop.state("ap") == ("offline", "link_down")
        assert not shop.supervisor.parked
        await shop.stop()

    run_virtual(scenario())


def test_waits_are_jittered_within_their_bounds() -> None:
    async def scenario() -> None:
        asked: list[tuple[float, float]] = []

        def jitter(low: float, high: float) -> float:
            asked.append((low, high))
            return low

        ap, board = Actor(fails(LinkDown("x"))), HealthBoard(FakeClock())
        supervisor = Supervisor({"ap": ap}, Shop().emit, board, FakeClock(), jitter=jitter)
        task = asyncio.create_task(supervisor.run())
        await asyncio.sleep(600)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert asked[0] == (0.5, 1.0)
        assert asked[-1] == (30.0, 60.0)

    run_virtual(scenario())


def test_a_good_run_makes_the_next_wait_short() -> None:
    async def good_then_lost(_: Actor) -> None:
        await asyncio.sleep(301)
        raise LinkDown("lost")

    async def scenario() -> None:
        lost = fails(LinkDown("x"))
        ap = Actor(lost, lost, lost, lost, good_then_lost, works)
        shop = Shop(ap=ap)
        await shop.run_for(600)
        assert ap.waits() == [1, 2, 4, 8, 301 + FIRST_WAIT_S]
        await shop.stop()

    run_virtual(scenario())


def test_five_bugs_park_with_an_alarm_and_the_others_do_not_notice(caplog: pytest.LogCaptureFixture) -> None:
    async def ticks(actor: Actor) -> None:
        while True:
            await asyncio.sleep(1)
            await actor.emit(LabelSeen.model_construct(label="0000021B2C3D4E5F"))

    async def scenario() -> None:
        bad, good = Actor(fails(KeyError("oops"))), Actor(ticks)
        shop = Shop(bad=bad, good=good)
        await shop.run_for(1000)
        assert len(bad.starts) == 5
        assert shop.supervisor.parked == ["bad"]
        assert shop.state("bad") == ("parked", "driver_bugs")
        [alarm] = [fact for fact in shop.facts if isinstance(fact, AlarmRaised)]
        assert (alarm.alarm, alarm.source) == ("driver-parked/bad", "bad")
        assert "KeyError" in alarm.text
        assert len(good.starts) == 1
        assert sum(isinstance(message, LabelSeen) for message in shop.facts) == 999
        await shop.stop()

    run_virtual(scenario())
    records = [record for record in caplog.records if record.exc_info]
    assert len(records) == 5
    assert {getattr(record, "device", None) for record in records} == {"bad"}


def test_four_bugs_in_ten_minutes_are_borne_for_ever() -> None:
    async def fails_each_three_minutes(_: Actor) -> None:
        await asyncio.sleep(160)
        raise ZeroDivisionError

    async def scenario() -> None:
        shop = Shop(bad=(bad := Actor(fails_each_three_minutes)))
        await shop.run_for(7200)
        assert len(bad.starts) > 30
        assert not shop.supervisor.parked
        await shop.stop()

    run_virtual(scenario())


def test_config_error_parks_at_once_and_resume_starts_again() -> None:
    async def scenario() -> None:
        ap = Actor(fails(ConfigError("password_file: no such file")), works)
        shop = Shop(ap=ap)
        await shop.run_for(100)
        assert shop.state("ap") == ("parked", "config_error")
        assert len(ap.starts) == 1
        assert shop.supervisor.resume("ap")
        assert not shop.supervisor.resume("ap")
        assert not shop.supervisor.resume("nobody")
        await asyncio.sleep(1)
        assert len(ap.starts) == 2
        assert [type(fact) for fact in shop.facts] == [AlarmCleared, AlarmRaised, AlarmCleared]
        assert shop.state("ap") == ("unknown", "starting")
        await shop.stop()

    run_virtual(scenario())


def test_after_resume_five_new_bugs_are_needed() -> None:
    async def scenario() -> None:
        shop = Shop(bad=(bad := Actor(fails(KeyError()))))
        await shop.run_for(100)
        shop.supervisor.resume("bad")
        await asyncio.sleep(100)
        assert len(bad.starts) == 10
        assert shop.supervisor.parked == ["bad"]
        await shop.stop()

    run_virtual(scenario())


def test_an_alarm_outlives_a_full_disk() -> None:
    async def scenario() -> None:
        shop = Shop(ap=Actor(fails(ConfigError("x"))))
        shop.refuse = 5
        await shop.run_for(100)
        assert [type(fact) for fact in shop.facts] == [AlarmRaised]
        await shop.stop()

    run_virtual(scenario())


async def returns(_: Actor) -> None: ...


async def cancels_itself(_: Actor) -> None:
    raise asyncio.CancelledError


async def exits(_: Actor) -> None:
    raise SystemExit(1)


@pytest.mark.parametrize("play", [returns, cancels_itself, exits])
def test_what_no_driver_may_do_is_a_bug(play: Play) -> None:
    async def scenario() -> None:
        shop = Shop(bad=(bad := Actor(play)), good=(good := Actor(works)))
        await shop.run_for(1000)
        assert len(bad.starts) == 5
        assert shop.state("bad") == ("parked", "driver_bugs")
        assert len(good.starts) == 1
        await shop.stop()

    run_virtual(scenario())


def test_the_drivers_own_word_on_being_offline_is_kept() -> None:
    async def scenario() -> None:
        shop = Shop()

        async def says_why(_: Actor) -> None:
            shop.board.reporter("ap")("offline", "ap_wrong_firmware", "it runs 2.1", "update it")
            raise LinkDown("gave up")

        shop.supervisor = Supervisor({"ap": Actor(says_why)}, shop.emit, shop.board, FakeClock())
        await shop.run_for(100)
        assert shop.state("ap") == ("offline", "ap_wrong_firmware")
        status = shop.board.of("ap")
        assert status is not None
        assert (status.evidence, status.next_step) == ("gave up", "update it")
        await shop.stop()

    run_virtual(scenario())


def test_a_clean_stop_lets_drivers_finish_and_tells_stopped() -> None:
    finished: list[str] = []

    async def tidy(actor: Actor) -> None:
        try:
            await works(actor)
        finally:
            await asyncio.sleep(1)
            finished.append("tidy")

    async def scenario() -> None:
        shop = Shop(ap=Actor(tidy), parked=Actor(fails(ConfigError("x"))), waits=Actor(fails(LinkDown("x"))))
        await shop.run_for(50)
        assert await shop.stop() == 1
        assert {shop.state(device)[0] for device in ("ap", "parked", "waits")} == {"stopped"}

    run_virtual(scenario())
    assert finished == ["tidy"]


def test_a_driver_that_ignores_the_stop_is_named_and_left(caplog: pytest.LogCaptureFixture) -> None:
    released = asyncio.Event()

    async def deaf(_: Actor) -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    async def scenario() -> None:
        shop = Shop(deaf=Actor(deaf), other=Actor(works))
        await shop.run_for(10)
        assert await shop.stop() == pytest.approx(STOP_S)
        assert shop.supervisor.abandoned == ["deaf"]
        assert shop.state("deaf") == ("stopped", "gateway_stopped")
        released.set()

    run_virtual(scenario())
    [record] = [record for record in caplog.records if "abandoned" in record.message]
    assert getattr(record, "device", None) == "deaf"


def groups() -> Iterator[tuple[BaseException, type[GatewayError] | None]]:
    yield LinkDown("x"), LinkDown
    yield ExceptionGroup("tasks", [LinkDown("x"), BadFrame("y")]), LinkDown
    yield ExceptionGroup("tasks", [LinkDown("x"), ExceptionGroup("inner", [ConfigError("y")])]), ConfigError
    yield ExceptionGroup("tasks", [LinkDown("x"), KeyError("y")]), None
    yield StoreError("full"), StoreError
    yield GatewayError("internal"), None
    yield Bug("x"), None


@pytest.mark.parametrize(("error", "judged"), list(groups()))
def test_verdict(error: BaseException, judged: type[GatewayError] | None) -> None:
    found = verdict(error)
    assert found is None if judged is None else type(found) is judged


def test_alarms_of_the_run_before_are_cleared_before_new_ones_are_raised() -> None:
    async def scenario() -> None:
        shop = Shop(bad=Actor(fails(ConfigError("no such port"))), good=Actor(works))
        await shop.run_for(1)
        told = [(type(f), f.source) for f in shop.facts if isinstance(f, AlarmRaised | AlarmCleared)]
        assert told == [(AlarmCleared, "bad"), (AlarmCleared, "good"), (AlarmRaised, "bad")]
        await shop.stop()

    run_virtual(scenario())


def test_an_alarm_that_stands_again_is_not_cleared_late() -> None:
    async def scenario() -> None:
        shop = Shop(bad=Actor(fails(ConfigError("no such port"))), good=Actor(works))
        shop.refuse = 1
        await shop.run_for(60)
        told = [(type(f), f.source) for f in shop.facts if isinstance(f, AlarmRaised | AlarmCleared)]
        assert told == [(AlarmRaised, "bad"), (AlarmCleared, "good")]
        await shop.stop()

    run_virtual(scenario())
