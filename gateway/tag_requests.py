"""Commands that change tags: `tag_encode`, `tag_lock`, `tag_kill`. Only who is named in [rfid] writers may give them.

A tag cannot be changed back, so the audit entry is on disk before the reader is told. What the reader needs besides
(passwords, `allow_writes`) is its own configuration; no order carries a password.
Not here: how a reader does it (`drivers/rfid_*.py`, `TagWriter`), other commands (`requests.py`).
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway import messages as m
from gateway.driver import TagOrder, TagWriter
from gateway.errors import DeviceError, Refused
from gateway.prices.labels import Submit
from gateway.prices.persons import Known

Action = Literal["encode", "lock", "kill"]
ACTIONS: dict[str, Action] = {"tag_encode": "encode", "tag_lock": "lock", "tag_kill": "kill"}
DEADLINE_S = 15.0


class _Args(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    device: str
    antenna: int = Field(default=1, ge=1, le=255)
    epc: m.Epc
    new_epc: m.Epc | None = None


class TagRequests:
    """Carries them out, one at a time: the tag in front of an antenna is in front of a person."""

    def __init__(
        self, submit: Submit, readers: Mapping[str, TagWriter], writers: Collection[str], known: Iterable[str] = ()
    ) -> None:
        self._submit, self._readers, self._writers = submit, readers, frozenset(writers)
        self._known = Known(known)
        self._turn = asyncio.Lock()

    async def carry_out(self, request: m.Request) -> dict[str, Any]:
        """Do it; return what to answer. Raises Refused, or DeviceError with the reader's no."""
        action = ACTIONS[request.name]
        order, reader = self._order(request, action)
        common: dict[str, Any] = {"at": request.at, "source": request.source, "cause": request.id}
        subject = f"{order.epc} at {request.args['device']}:{order.antenna}"
        if not self._known.is_new(request.id):
            raise Refused("this command was given before; tag.written tells what became of it")
        audit = m.AuditEntry(actor=request.issuer, action=request.name, subject=subject, **common)
        await self._submit(audit, request)  # its id is kept with the entry: the act is not done twice
        what = {"action": action, "epc": order.epc, "new_epc": order.new_epc, "actor": request.issuer, **common}
        try:
            async with self._turn, asyncio.timeout(DEADLINE_S):
                await reader.write_tag(order)
        except TimeoutError:
            reason = f"the reader did not finish within {DEADLINE_S:.0f} s: look at the tag before you try again"
            await self._submit(m.TagWritten(result="failed", reason=reason, **what))
            raise DeviceError(reason) from None
        except DeviceError as error:
            await self._submit(m.TagWritten(result="failed", reason=str(error), **what))
            raise
        await self._submit(m.TagWritten(result="done", **what))
        return {"device": request.args["device"], "epc": order.new_epc or order.epc}

    def _order(self, request: m.Request, action: Action) -> tuple[TagOrder, TagWriter]:
        if request.issuer not in self._writers:
            raise Refused(f"{request.issuer} may not change tags; [rfid] writers names who may")
        try:
            said = _Args.model_validate(request.args)
        except ValidationError as error:
            what = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise Refused(f"args.{'.'.join(map(str, what['loc']))}: {what['msg']}") from None
        if (said.new_epc is not None) != (action == "encode"):
            raise Refused("args.new_epc belongs to tag_encode, and to it alone")
        if said.new_epc is not None and len(said.new_epc) % 4:
            raise Refused("args.new_epc must be whole words of 4 hex digits")
        reader = self._readers.get(said.device)
        if reader is None:
            known = ", ".join(sorted(self._readers)) or "none"
            raise Refused(f"args.device must name a reader that can change tags; there are: {known}")
        return TagOrder(action, said.epc, said.antenna, said.new_epc), reader
