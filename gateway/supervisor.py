"""Runs the drivers, each for itself: what one does wrong, the others do not notice.

A `DeviceError` restarts a driver after a jittered back-off; a `ConfigError` parks it (only a person can help); anything
else is a bug of ours: logged with its traceback and restarted, the fifth in ten minutes parks the driver with an alarm.
This is the one place that catches `Exception`. Time is `loop.time()`, so that tests run hours in no time.
Not here: what a state means to people (`health.py`). A driver that blocks the event loop is beyond help here:
`vitals.py` measures it, and the watchdog of `sdnotify.py` restarts the whole.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from gateway.driver import Clock, Driver, Emit
from gateway.errors import BadFrame, ConfigError, DeviceError, GatewayError, LinkDown, Rejected, StoreError
from gateway.health import HealthBoard
from gateway.messages import AlarmCleared, AlarmRaised, Fact

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # a wait is between half of it and all of it
GOOD_S = 300.0  # a run as long as this was good: the next wait is short again
BUGS, BUGS_WITHIN_S = 5, 600.0
STOP_S = 2.0  # for all drivers together, so that the whole daemon stops in 5 s
TELL_RETRY_S = 5.0  # the disk does not take an alarm: again

REASONS = {LinkDown: "link_down", BadFrame: "bad_frame", Rejected: "rejected", StoreError: "store_error"}

log = logging.getLogger(__name__)


class Bug(GatewayError):
    """A driver did what no driver may. The cause, if any, is chained."""


class Supervisor:
    """Owns the tasks of the drivers (by device id). `run` works until cancelled and then stops them all."""

    def __init__(
        self,
        drivers: Mapping[str, Driver],
        emit: Emit,
        board: HealthBoard,
        clock: Clock,
        *,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._emit, self._board = emit, board
        self._keepers = {
            device: _Keeper(device, driver, emit, board, clock, jitter) for device, driver in drivers.items()
        }

    @property
    def parked(self) -> list[str]:
        """Devices whose drivers wait for a person."""
        return [device for device, keeper in self._keepers.items() if keeper.parked]

    @property
    def abandoned(self) -> list[str]:
        """Devices whose drivers ignored the stop. Their tasks live on: only the end of the process ends them."""
        return [device for device, keeper in self._keepers.items() if keeper.abandoned]

    def resume(self, device: str) -> bool:
        """Start a parked driver again (a person has mended the cause); return whether it was parked."""
        keeper = self._keepers.get(device)
        return keeper is not None and keeper.resume()

    async def run(self) -> None:
        """Run all drivers until cancelled; then every device's state is `stopped`, whatever its driver did."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._clear_old_alarms(), name="old alarms")  # before any keeper can raise a new one
                for device, keeper in self._keepers.items():
                    self._board.declare(device, "unknown", "starting", "its driver was started", "wait a moment")
                    group.create_task(keeper.run(), name=f"keeper of {device}")
        finally:
            for device in self._keepers:
                self._board.declare(
                    device, "stopped", "gateway_stopped", "the gateway was stopped", "start the gateway"
                )

    async def _clear_old_alarms(self) -> None:
        """Say that no driver is parked: one may have been when the run before ended, and its alarm still stands."""
        while facts := [keeper.cleared() for keeper in self._keepers.values() if not keeper.parked]:
            try:
                await self._emit(*facts)
            except GatewayError as error:
                log.warning("cleared alarms wait: %s", error, extra={"once": "alarm_waits"})
                await asyncio.sleep(TELL_RETRY_S)
            else:
                return


class _Keeper:
    """Keeps one driver running, and never fails itself."""

    def __init__(
        self,
        device: str,
        driver: Driver,
        emit: Emit,
        board: HealthBoard,
        clock: Clock,
        jitter: Callable[[float, float], float],
    ) -> None:
        self._device, self._driver, self._emit = device, driver, emit
        self._board, self._clock, self._jitter = board, clock, jitter
        self._bugs: deque[float] = deque(maxlen=BUGS)
        self._ceiling_s = FIRST_WAIT_S
        self._resumed = asyncio.Event()
        self._alarm = f"driver-parked/{device}"
        self.parked = False
        self.abandoned = False

    def resume(self) -> bool:
        was, self.parked = self.parked, False
        self._resumed.set()
        return was

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            error = await self._attempt()
            if loop.time() - started >= GOOD_S:
                self._ceiling_s = FIRST_WAIT_S
            match error:
                case ConfigError():
                    await self._park("config_error", str(error), "mend the configuration and restart the device")
                case Bug() if self._one_bug_too_many(loop.time()):
                    evidence = f"{BUGS} bugs within {BUGS_WITHIN_S / 60:.0f} min, the last: {error}"
                    await self._park(
                        "driver_bugs", evidence, "report it with the support bundle, then resume the device"
                    )
                case _:
                    self._tell_offline(error)
                    await self._back_off()

    async def _attempt(self) -> GatewayError:
        """Run the driver until it ends; return why. It is a task of its own, so that a stop need not wait for it."""
        task = asyncio.create_task(self._ending(), name=f"driver {self._device}")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await self._stop(task)
            raise
        return Bug("the driver cancelled itself") if task.cancelled() else task.result()

    async def _ending(self) -> GatewayError:
        try:
            await self._driver.run(self._emit)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad driver harms nobody else; this is the place
            return self._judged(error)
        log.error("a bug: the driver returned", extra={"device": self._device})
        return Bug("the driver returned")

    def _judged(self, error: BaseException) -> GatewayError:
        known = verdict(error)
        if known is None:
            log.error("a bug in the driver", exc_info=error, extra={"device": self._device})
            return Bug(f"{type(error).__name__}: {error}")
        log.warning("%s", known, extra={"device": self._device, "once": type(known).__name__})
        return known

    async def _stop(self, task: asyncio.Task[GatewayError]) -> None:
        task.cancel()
        _, late = await asyncio.wait({task}, timeout=STOP_S)
        if late:
            self.abandoned = True
            log.error("the driver ignores the stop and is abandoned", extra={"device": self._device})

    def _one_bug_too_many(self, now: float) -> bool:
        self._bugs.append(now)
        return len(self._bugs) == BUGS and now - self._bugs[0] <= BUGS_WITHIN_S

    def _tell_offline(self, error: GatewayError) -> None:
        """Say that the device is not served; a driver that has said so itself knew the better reason."""
        status, report = self._board.of(self._device), self._board.reporter(self._device)
        if status is not None and status.state == "offline":
            report("offline", status.reason, str(error), status.next_step)
            return
        reason = "driver_bug" if isinstance(error, Bug) else REASONS.get(type(error), "device_error")
        report("offline", reason, str(error), "it is tried again by itself; check power, cable and address")

    async def _back_off(self) -> None:
        wait_s = self._jitter(self._ceiling_s / 2, self._ceiling_s)
        self._ceiling_s = min(2 * self._ceiling_s, LONGEST_WAIT_S)
        await asyncio.sleep(wait_s)

    async def _park(self, reason: str, evidence: str, next_step: str) -> None:
        self._resumed.clear()
        self.parked = True
        self._board.declare(self._device, "parked", reason, evidence, next_step)
        text = f"{self._device} is not served: {evidence}"
        await self._tell(self._raised(text, next_step))
        await self._resumed.wait()
        self._board.declare(self._device, "unknown", "starting", "a person resumed it", "wait a moment")
        await self._tell(self.cleared())
        self._bugs.clear()
        self._ceiling_s = FIRST_WAIT_S

    def cleared(self) -> AlarmCleared:
        return AlarmCleared(at=self._clock.now(), source=self._device, alarm=self._alarm)

    def _raised(self, text: str, next_step: str) -> AlarmRaised:
        now, subjects = self._clock.now(), (self._device,)
        return AlarmRaised(
            at=now, source=self._device, alarm=self._alarm, text=text, next_step=next_step, subjects=subjects
        )

    async def _tell(self, fact: Fact) -> None:
        """Emit until it is kept: an alarm is not lost because the disk was full at its moment."""
        while True:
            try:
                await self._emit(fact)
            except GatewayError as error:
                log.warning("an alarm waits: %s", error, extra={"device": self._device, "once": "alarm_waits"})
                await asyncio.sleep(TELL_RETRY_S)
            else:
                return


def verdict(error: BaseException) -> GatewayError | None:
    """Return the error that decides: a ConfigError before a DeviceError or StoreError; None = a bug.

    A driver with a TaskGroup of its own raises groups; a group is as bad as its worst member.
    """
    leaves = list(_leaves(error))
    known = [leaf for leaf in leaves if isinstance(leaf, ConfigError | DeviceError | StoreError)]
    if len(known) < len(leaves):
        return None
    return next((leaf for leaf in known if isinstance(leaf, ConfigError)), known[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
