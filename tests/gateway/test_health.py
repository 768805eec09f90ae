import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway.errors import StoreError
from gateway.health import RENEW_S, HealthBoard
from gateway.messages import DeviceState, Fact, Reading
from tests.jumping_time import FakeClock, run_virtual


class Sink:
    """Takes facts as the core does; can be slow or refuse."""

    def __init__(self) -> None:
        self.facts: list[DeviceState] = []
        self.calls = 0
        self.refuse = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def emit(self, *messages: Reading | Fact) -> None:
        self.calls += 1
        await self.gate.wait()
        if self.refuse:
            self.refuse -= 1
            raise StoreError("disk full")
        for message in messages:
            assert isinstance(message, DeviceState)
            self.facts.append(message)

    def told(self) -> list[tuple[str, str, str]]:
        return [(fact.source, fact.state, fact.reason) for fact in self.facts]


@contextlib.asynccontextmanager
async def running(board: HealthBoard, sink: Sink) -> AsyncIterator[None]:
    task = asyncio.create_task(board.run(sink.emit))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_only_changes_become_facts_and_evidence_is_renewed() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        report = board.reporter("ap-1")
        async with running(board, sink):
            for seconds in range(100):
                report("online", "answers", f"reply {seconds}", "nothing")
                await asyncio.sleep(1)
            report("offline", "ap_silent", "no reply for 30 s", "check its power")
            await asyncio.sleep(5)
        assert sink.told() == [("ap-1", "online", "answers"), ("ap-1", "offline", "ap_silent")]
        assert sink.facts[1].evidence == "no reply for 30 s"
        assert sink.facts[1].next_step == "check its power"

    run_virtual(scenario())


def test_snapshot_shows_the_age_of_state_and_evidence() -> None:
    async def scenario() -> None:
        board = HealthBoard(clock := FakeClock())
        report = board.reporter("ap-1")
        report("online", "answers", "first", "nothing")
        begun = clock.now()
        await asyncio.sleep(50)
        report("online", "answers", "second", "nothing")
        [status] = board.snapshot()
        assert (status.since, status.evidence_at) == (begun, clock.now())
        assert status.evidence == "second"

    run_virtual(scenario())


def test_no_state_without_evidence() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock(), renew_s={"quick": 10}), Sink()
        async with running(board, sink):
            board.reporter("quick")("online", "answers", "a reply", "nothing")
            board.reporter("usual")("online", "answers", "a reply", "nothing")
            await asyncio.sleep(20)
            assert sink.told()[-1] == ("quick", "unknown", "no_evidence")
            assert "was online (answers), last evidence 2026-11-23 08:00:00 UTC" in sink.facts[-1].evidence
            await asyncio.sleep(RENEW_S)
            assert sink.told()[-1] == ("usual", "unknown", "no_evidence")
            await asyncio.sleep(10 * RENEW_S)
        assert len(sink.facts) == 4

    run_virtual(scenario())


def test_declared_state_does_not_decay() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        async with running(board, sink):
            board.reporter("till")("online", "answers", "a reply", "nothing")
            board.declare("till", "parked", "driver_bugs", "five bugs", "resume it")
            await asyncio.sleep(10 * RENEW_S)
        assert sink.told() == [("till", "parked", "driver_bugs")]

    run_virtual(scenario())


def test_flapping_while_the_disk_is_slow_keeps_one_change_and_the_last_state() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        report = board.reporter("ap-1")
        async with running(board, sink):
            sink.gate.clear()
            report("online", "answers", "0", "nothing")
            await asyncio.sleep(1)
            for turn in range(1000):
                report("offline" if turn % 2 else "degraded", "flaps", str(turn), "nothing")
            sink.gate.set()
            await asyncio.sleep(5)
        assert sink.told() == [("ap-1", "online", "answers"), ("ap-1", "offline", "flaps")]

    run_virtual(scenario())


def test_flapping_on_a_quick_disk_is_told_once_a_second() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        report = board.reporter("ap-1")
        async with running(board, sink):
            for turn in range(101):
                report("offline" if turn % 2 else "online", "flaps", str(turn), "nothing")
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
        assert len(sink.facts) <= 12
        assert sink.told()[-1] == ("ap-1", "online", "flaps")

    run_virtual(scenario())


def test_what_went_back_to_the_told_state_is_not_told_again() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        report = board.reporter("ap-1")
        async with running(board, sink):
            report("online", "answers", "a", "nothing")
            await asyncio.sleep(0.5)
            report("offline", "blip", "b", "nothing")
            report("online", "answers", "c", "nothing")
            await asyncio.sleep(5)
        assert sink.told() == [("ap-1", "online", "answers")]

    run_virtual(scenario())


def test_a_refused_fact_is_told_later() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        sink.refuse = 3
        async with running(board, sink):
            board.reporter("ap-1")("online", "answers", "a", "nothing")
            await asyncio.sleep(60)
        assert sink.told() == [("ap-1", "online", "answers")]
        assert sink.calls == 4

    run_virtual(scenario())


def test_flush_at_a_stop_tells_or_says_that_it_could_not() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        board.declare("ap-1", "stopped", "gateway_stopped", "asked", "start")
        sink.gate.clear()
        assert not await board.flush(sink.emit, 0.5)
        sink.gate.set()
        assert await board.flush(sink.emit, 0.5)
        assert sink.told() == [("ap-1", "stopped", "gateway_stopped")]

    run_virtual(scenario())


def test_an_idle_board_sleeps() -> None:
    async def scenario() -> None:
        board, sink = HealthBoard(FakeClock()), Sink()
        async with running(board, sink):
            await asyncio.sleep(3600)
        assert (board.snapshot(), sink.calls) == ([], 0)

    run_virtual(scenario())
