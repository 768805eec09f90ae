"""Commands by name that need more than a decision: a driver, the clock, the supervisor. The rest goes to the core.

`submit` stands before the core's own: same arguments, same answer. Which commands Pricing itself carries out (sign_off,
force, refresh, ping) is in `prices/pricing.py`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from gateway import messages as m
from gateway.driver import Labels
from gateway.errors import DeviceError, Refused
from gateway.prices.labels import LabelSync, Submit
from gateway.tag_requests import ACTIONS as TAG_ACTIONS
from gateway.tag_requests import DEADLINE_S as TAG_DEADLINE_S
from gateway.tag_requests import TagRequests

OURS = ("blink", "confirm_time", "resume", *TAG_ACTIONS)
AUDITED_ELSEWHERE = ("blink", *TAG_ACTIONS)  # blinking changes nothing; tags are audited before the act
BLINK_S = 20
BLINK_MAX_S = 600
DEADLINE_S = 15.0

log = logging.getLogger(__name__)


class Requests:
    """Carries out blink, confirm_time, resume, and what changes tags."""

    def __init__(
        self,
        submit: Submit,
        sync: LabelSync,
        drivers: Mapping[str, Labels],
        resume: Callable[[str], bool],
        confirm_time: Callable[[], None],
        tags: TagRequests,
    ) -> None:
        self._submit, self._sync, self._drivers = submit, sync, drivers
        self._resume, self._confirm_time, self._tags = resume, confirm_time, tags

    async def submit(self, *commands: m.Command | m.Fact) -> list[m.Fact]:
        """Carry out; the answer is on disk when this returns."""
        plain = [await self._answered(c) if _is_ours(c) else [c] for c in commands]
        return await self._submit(*(message for answer in plain for message in answer))

    async def _answered(self, request: m.Request) -> list[m.Fact]:
        """Carry out, and return what to say of it."""
        common: dict[str, Any] = {"at": request.at, "source": request.source, "cause": request.id}
        try:
            async with asyncio.timeout(DEADLINE_S if request.name not in TAG_ACTIONS else 2 * TAG_DEADLINE_S):
                result = await self._carry_out(request)
        except TimeoutError:
            reason = f"the device did not answer within {DEADLINE_S:.0f} s"
            return [m.CommandRefused(command=request.id, name=request.name, reason=reason, **common)]
        except (Refused, DeviceError) as error:
            return [m.CommandRefused(command=request.id, name=request.name, reason=str(error), **common)]
        except Exception as bug:
            log.exception("a command met a bug", extra={"command": request.name})
            reason = f"internal error, see the gateway's log: {bug!r}"
            return [m.CommandRefused(command=request.id, name=request.name, reason=reason, **common)]
        done = m.CommandDone(command=request.id, name=request.name, result=result, **common)
        if request.name in AUDITED_ELSEWHERE:
            return [done]
        subject = str(request.args.get("device", "clock"))
        return [m.AuditEntry(actor=request.issuer, action=request.name, subject=subject, **common), done]

    async def _carry_out(self, request: m.Request) -> dict[str, Any]:
        if request.name in TAG_ACTIONS:
            return await self._tags.carry_out(request)
        match request.name:
            case "blink":
                return await self._blink(request.args)
            case "resume":
                device = request.args.get("device")
                if not isinstance(device, str) or not self._resume(device):
                    raise Refused("args.device must name a device whose driver is parked")
                return {"device": device}
        self._confirm_time()
        return {}

    async def _blink(self, args: Mapping[str, Any]) -> dict[str, Any]:
        label, seconds = args.get("label"), args.get("seconds", BLINK_S)
        if not isinstance(label, str):
            raise Refused("args.label must be the label's id, 16 hex digits")
        if not isinstance(seconds, int) or not 1 <= seconds <= BLINK_MAX_S:
            raise Refused(f"args.seconds must be 1 to {BLINK_MAX_S}")
        route = self._sync.route(label.upper())
        if route is None or route.via not in self._drivers:
            raise Refused("no access point has heard this label since the gateway started")
        await self._drivers[route.via].blink(label.upper(), seconds)
        return {"label": label.upper(), "via": route.via, "seconds": seconds}


def _is_ours(command: m.Command | m.Fact) -> TypeGuard[m.Request]:
    return isinstance(command, m.Request) and command.name in OURS
