"""The requests that we make to an OpenEPaperLink access point, over any `Link`.

What may be repeated without harm is tried three times; an upload never is. Not here: sockets (`_oepl_link.py`), what to
ask when (`_oepl_push.py`, `label_oepl.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from drivers._oepl_body import form_body, upload_body
from drivers._oepl_record import TagRecord, read_object, read_page
from drivers._oepl_tagtype import TagType, read_tag_type, tag_type_path
from gateway.errors import BadFrame, DeviceError, LinkDown, Rejected

TRIES = 3
TRY_PAUSE_S = 0.5
PAGE_POSITION_MAX = 255  # `pos` is 8 bit in the firmware: beyond it the list starts anew and never ends (esl T8)
BUSY = 409  # runstate is not RUN: not one byte of the upload was kept
REFUSED = 400  # no such tag, or the form was not understood: the upload was not kept

Parsed = TypeVar("Parsed")


class Link(Protocol):
    """The way to one access point. Both methods raise LinkDown, and nothing else, when it fails."""

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, deadline_s: float
    ) -> tuple[int, bytes]:
        """Return status and body."""

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Open the event stream; iterate over its texts. The end of the iteration is the end of the connection."""


class Calls:
    """The access point's HTTP interface as methods. All raise DeviceError."""

    def __init__(self, link: Link, deadline_s: float) -> None:
        self._link = link
        self._deadline_s = deadline_s

    async def record(self, label: str) -> TagRecord:
        """Return the tag's record now. Rejected = the access point does not know it."""
        records, _, bad = await self._get(f"/get_db?mac={label}", read_page)
        if not records:
            raise Rejected(bad[0] if bad else f"no tag {label}")
        return records[0]

    async def records(self) -> tuple[list[TagRecord], list[str]]:
        """Return all tags and complaints, page by page; ends also when the access point's paging does not."""
        found: dict[str, TagRecord] = {}
        complaints: list[str] = []
        position: int | None = 0
        while position is not None and position <= PAGE_POSITION_MAX:
            records, following, bad = await self._get(f"/get_db?pos={position}", read_page)
            found.update({record.label: record for record in records})
            complaints += bad
            position = following if following is not None and following > position else None
        return list(found.values()), complaints

    async def tag_type(self, hw_type: int) -> TagType:
        """Return how this model of tags draws."""
        return await self._get(tag_type_path(hw_type), lambda body: read_tag_type(body, hw_type))

    async def config(self) -> dict[str, Any]:
        """Return the access point's configuration."""
        return await self._get("/get_ap_config", read_object)

    async def system(self) -> dict[str, Any]:
        """Return names and versions."""
        return await self._get("/sysinfo", read_object)

    async def encoded(self, label: str, nonce: str) -> bytes:
        """Return the last image that the tag took, as the access point encoded it. `nonce` passes by any cache."""
        return await self._get(f"/current/{label}.raw?{nonce}", lambda body: body)

    async def pending(self, label: str) -> bytes:
        """Return the image that waits for the tag, as the access point encoded it."""
        return await self._get(f"/getdata?mac={label}", lambda body: body)

    async def clear(self, label: str) -> None:
        """Empty the tag's queue. No cancel: the radio announces what was queued until a push overwrites it (esl T3)."""
        await self._post("/tag_cmd", {"mac": label, "cmd": "clear"})

    async def save_config(self, settings: dict[str, int]) -> None:
        """Change settings of the access point; the others stay."""
        await self._post("/save_apcfg", {name: str(value) for name, value in settings.items()})

    async def set_time(self, epoch: int) -> None:
        """Set the access point's clock."""
        await self._post("/set_time", {"epoch": str(epoch)})

    async def led(self, label: str, pattern: bytes) -> None:
        """Queue a LED command for the tag. Once only: a repeat would queue it twice."""
        status, body = await self._once("GET", f"/led_flash?mac={label}&pattern={pattern.hex()}", {}, b"")
        if status != 200:
            raise Rejected(f"led_flash: {status} {body[:80]!r}")

    async def upload(self, label: str, jpeg: bytes) -> int:
        """Send the picture, once. Returns the status, which proves nothing but for BUSY and REFUSED (esl T10)."""
        fields = {"mac": label, "dither": "0", "ttl": "0", "contentmode": "24", "rotate": "0", "invert": "0"}
        headers, body = upload_body(fields, jpeg)
        status, _ = await self._once("POST", "/imgupload", headers, body)
        return status

    async def _get(self, path: str, parse: Callable[[bytes], Parsed]) -> Parsed:
        """Ask and parse, again when either fails; a clear refusal (4xx) is not asked twice."""
        last: DeviceError = LinkDown(path)
        for attempt in range(TRIES):
            await _pause_before(attempt)
            try:
                status, body = await self._once("GET", path, {}, b"")
                _expect_ok(status, path, body)
                return parse(body)
            except (LinkDown, BadFrame) as error:
                last = error
        raise last

    async def _post(self, path: str, fields: dict[str, str]) -> None:
        headers, body = form_body(fields)
        last: DeviceError = LinkDown(path)
        for attempt in range(TRIES):
            await _pause_before(attempt)
            try:
                status, answer = await self._once("POST", path, headers, body)
                _expect_ok(status, path, answer)
            except LinkDown as error:
                last = error
            else:
                return
        raise last

    async def _once(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return await self._link.request(method, path, headers=headers, body=body, deadline_s=self._deadline_s)


async def _pause_before(attempt: int) -> None:
    if attempt:
        await asyncio.sleep(TRY_PAUSE_S * attempt)


def _expect_ok(status: int, path: str, body: bytes) -> None:
    if 400 <= status < 500:
        raise Rejected(f"{path}: {status} {body[:80]!r}")
    if status != 200:
        raise LinkDown(f"{path}: {status} {body[:80]!r}")
