"""Owner of device states: reason, evidence and its age for each device; a change becomes a `DeviceState` fact.

No state without evidence: a report that is not renewed within the device's deadline decays to `unknown`. A report only
stores (event loop only, never waits); `run` emits. One unsent change a device is held, the newest: a device that
flaps while the disk is slow costs no memory, and its last state is never lost.
Not here: the gateway's own figures (`vitals.py`), who restarts a driver (`supervisor.py`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from gateway.driver import Clock, Emit, Health, ReportHealth
from gateway.errors import GatewayError
from gateway.messages import DeviceState

State = Literal["unknown", "online", "degraded", "offline", "parked", "stopped"]

RENEW_S = 180.0  # a driver that has evidence says so at least this often, unless its device has a deadline of its own
SETTLE_S = 1.0  # between two rounds of facts: a device that flaps quicker is told once a second
RETRY_S = 5.0  # after the core refused (disk full)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What is known of one device. `since`: when the state (or its reason) began; `evidence_at`: last renewed."""

    device: str
    state: State
    reason: str
    evidence: str
    next_step: str
    since: datetime
    evidence_at: datetime

    def as_fact(self) -> DeviceState:
        """Return the fact that tells this."""
        return DeviceState(
            at=self.since,
            source=self.device,
            state=self.state,
            reason=self.reason,
            evidence=self.evidence,
            next_step=self.next_step,
        )


class HealthBoard:
    """The state of every device. `renew_s` maps a device to its own deadline."""

    def __init__(self, clock: Clock, *, renew_s: Mapping[str, float] | None = None) -> None:
        self._clock = clock
        self._renew_s = dict(renew_s or {})
        self._status: dict[str, DeviceStatus] = {}
        self._decays_at: dict[str, float] = {}  # loop.time(); only what a driver reported decays
        self._told: dict[str, tuple[str, str]] = {}
        self._untold: dict[str, None] = {}  # in order of change
        self._changed = asyncio.Event()

    def reporter(self, device: str) -> ReportHealth:
        """Return what a driver calls to tell its device's state."""

        def report(state: Health, reason: str, evidence: str, next_step: str) -> None:
            deadline = asyncio.get_running_loop().time() + self._renew_s.get(device, RENEW_S)
            self._set(device, state, reason, evidence, next_step)
            self._decays_at[device] = deadline
            self._changed.set()

        return report

    def declare(self, device: str, state: State, reason: str, evidence: str, next_step: str) -> None:
        """Set a state that the gateway itself knows (starting, parked, stopped): it does not decay."""
        self._decays_at.pop(device, None)
        self._set(device, state, reason, evidence, next_step)

    def of(self, device: str) -> DeviceStatus | None:
        """Return what is known of the device."""
        return self._status.get(device)

    def snapshot(self) -> list[DeviceStatus]:
        """Return all devices by name: for head office's health topic and the technician's screen."""
        return [self._status[device] for device in sorted(self._status)]

    async def run(self, emit: Emit) -> None:
        """Emit changes and let old evidence decay, until cancelled. Wakes only for a change or a deadline."""
        while True:
            self._decay()
            if self._untold:
                await asyncio.sleep(SETTLE_S if await self._tell(emit) else RETRY_S)
                continue
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._decays_at.values(), default=None)):
                    await self._changed.wait()

    async def flush(self, emit: Emit, deadline_s: float) -> bool:
        """Emit what is untold now (at a stop); return whether it is on disk."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                return await self._tell(emit)
        return False

    def _set(self, device: str, state: State, reason: str, evidence: str, next_step: str) -> None:
        now, old = self._clock.now(), self._status.get(device)
        if old is not None and (old.state, old.reason) == (state, reason):
            self._status[device] = replace(old, evidence=evidence, next_step=next_step, evidence_at=now)
            return
        self._status[device] = DeviceStatus(device, state, reason, evidence, next_step, now, now)
        self._untold[device] = None
        self._changed.set()

    def _decay(self) -> None:
        now = asyncio.get_running_loop().time()
        for device in [device for device, at in self._decays_at.items() if at <= now]:
            old = self._status[device]
            evidence = f"was {old.state} ({old.reason}), last evidence {old.evidence_at:%Y-%m-%d %H:%M:%S} UTC"
            self.declare(
                device, "unknown", "no_evidence", evidence, "see whether the driver is stuck: log of the gateway"
            )

    async def _tell(self, emit: Emit) -> bool:
        """Emit one fact a changed device. What was not kept stays untold; what is as it was told is dropped."""
        facts, telling = [], list(self._untold)
        for device in telling:
            status = self._status[device]
            if self._told.get(device) != (status.state, status.reason):
                facts.append(status.as_fact())
        try:
            if facts:
                await emit(*facts)
        except GatewayError as error:
            log.warning("device states wait: %s", error, extra={"once": "states_wait"})
            return False
        for fact in facts:
            self._told[fact.source] = (fact.state, fact.reason)
        for device in telling:
            status = self._status[device]
            if self._told[device] == (status.state, status.reason):
                del self._untold[device]
        return True
