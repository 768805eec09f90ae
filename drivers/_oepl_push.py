"""One push of one face to one tag: upload, follow the trace, read the pixels back, wait for the tag to live on.

`Push.run` returns the proof, or raises `NotShown` with reason and outcome; it tries nothing twice that could reach the
tag. The rules behind the order of steps (numbers: our table of access-point traps, in the tests by name): never replace
during a transfer (T3c), clear and push at once (T1-T3), expect an echo (T10), believe whole traces only (T3b, T3c, T7),
compare pixels (T9, T11), and wait for the next check-in before the panel counts as drawn (T9, T5).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from drivers._oepl_calls import BUSY, REFUSED, Calls
from drivers._oepl_facts import Outcome, Proof
from drivers._oepl_jpeg import encode_jpeg, tag_indexes
from drivers._oepl_record import TagRecord
from drivers._oepl_station import Lane, Station, Tag
from drivers._oepl_tagtype import TagType, decode_image
from drivers._oepl_trace import Stage, Trace
from gateway.driver import Face
from gateway.errors import BadFrame, DeviceError, LinkDown, Rejected

LINK_WAIT_S = 30.0  # for an access point that is just coming back
QUIET_S = 5.0  # no block went out for so long: no transfer is running
SETTLE_S = 180.0
CLEAR_TRIES = 3
COMMAND_WAIT_S = 90.0  # a LED command is over by then, unless the tag sleeps long
ECHO_S = 5.0
LINGER_S = 30.0  # an upload without an answer may still be in some buffer for so long
CONVERT_S = 900.0  # an access point converts up to 5 minutes before a check-in, which may be 10 minutes away
TRANSFER_S = 1_500.0  # after 20 minutes without a check-in the access point gives up by itself
CHECK_IN_S = 1_500.0


class NotShown(DeviceError):
    """The push ended without proof; `reason` and `outcome` as in `LabelFailed`."""

    def __init__(self, reason: str, outcome: Outcome) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Job:
    """What a push sends: `indexes` in the tag's palette, to compare with, and the picture that leads to them."""

    kind: TagType
    indexes: bytes
    jpeg: bytes


class Push:
    """One attempt. `weakest` is the weakest proof that counts, `uploads` limits how many upload at once."""

    def __init__(
        self, station: Station, calls: Calls, lane: Lane, face: Face, uploads: asyncio.Semaphore, weakest: Proof
    ) -> None:
        self._station = station
        self._calls = calls
        self._lane = lane
        self._face = face
        self._uploads = uploads
        self._weakest = weakest
        self._trace: Trace | None = None
        self._waiting_hash = ""

    async def run(self, on_stored: Callable[[], Awaitable[None]]) -> Proof:
        """Bring the face to the glass. `on_stored` is awaited once the tag holds what we sent."""
        try:
            return await self._run(on_stored)
        except Rejected as error:
            raise self._not_shown(f"rejected: {error}") from error
        except (LinkDown, BadFrame) as error:
            raise self._not_shown(f"http_error: {error}") from error

    async def _run(self, on_stored: Callable[[], Awaitable[None]]) -> Proof:
        await self._until(lambda: self._station.refusal() is None, LINK_WAIT_S, "ap_unreachable")
        tag = await self._tag()
        job = await self._job(tag)
        await self._send(tag, job)
        await self._reach((Stage.QUEUED, Stage.STORED, Stage.SEEN), CONVERT_S, "not_converted")
        await self._note_waiting(tag)
        await self._reach((Stage.STORED, Stage.SEEN), TRANSFER_S, "no_transfer")
        proof = await self._proof(tag, job)
        await on_stored()
        await self._reach((Stage.SEEN,), CHECK_IN_S, "no_check_in")
        return proof

    async def _tag(self) -> Tag:
        """Return the tag, asking for one not heard of yet."""
        label = self._face.label
        if label not in self._station.tags:
            try:
                self._station.note(await self._calls.record(label))
            except Rejected as error:
                raise self._not_shown("unknown_label") from error
        tag = self._station.tags.get(label)
        if tag is None:
            raise self._not_shown("too_many_tags")
        if not tag.record.ours:
            raise self._not_shown("other_access_point")
        if tag.record.asleep:
            raise self._not_shown("label_asleep")
        return tag

    async def _job(self, tag: Tag) -> Job:
        """Check the face against the tag type and encode it (esl T10: a wrong size would be drawn as garbage)."""
        face, kind = self._face, await self._kind(tag)
        if (face.width, face.height) != (kind.width, kind.height):
            raise self._not_shown(f"wrong_size: {face.width}x{face.height}, the label has {kind.width}x{kind.height}")
        if len(face.pixels) != face.width * face.height:
            raise self._not_shown(f"wrong_size: {len(face.pixels)} pixels, not {face.width * face.height}")
        if kind.unsupported:
            raise self._not_shown(f"unsupported_label: {kind.name}: {kind.unsupported}")
        self._expect_provable(tag, kind)
        indexes = tag_indexes(face.pixels, face.colors, kind)
        return Job(kind, indexes, encode_jpeg(indexes, kind))

    async def _kind(self, tag: Tag) -> TagType:
        hw_type = tag.record.hw_type
        if hw_type not in self._station.types:
            self._station.types[hw_type] = await self._calls.tag_type(hw_type)
        return self._station.types[hw_type]

    def _expect_provable(self, tag: Tag, kind: TagType) -> None:
        if self._weakest == "hash":
            return
        if "preview" in self._station.evidence.wrong:
            raise self._not_shown("no_preview")
        if kind.encodes_g5(tag.record.version):
            raise self._not_shown(f"unprovable: {kind.name} gets G5 images, which cannot be read back")

    async def _send(self, tag: Tag, job: Job) -> None:
        """Wait for quiet, then clear and upload at once."""
        while True:
            await self._settle(tag)
            async with self._uploads:
                self._look()
                if self._quiet_in_s(tag) <= 0:
                    await self._upload(tag, job)
                    return

    async def _settle(self, tag: Tag) -> None:
        """Wait until no transfer runs, no earlier upload may still arrive, and no command of ours is under way."""
        give_up_s = _now_s() + SETTLE_S
        while (left_s := self._quiet_in_s(tag)) > 0:
            if _now_s() + left_s > give_up_s:
                raise self._not_shown("transfer_running")
            await self._signal(left_s)
            self._look()

    def _quiet_in_s(self, tag: Tag) -> float:
        now_s = _now_s()
        since_s = now_s if self._station.listening_since_s is None else self._station.listening_since_s
        commanded_s = tag.command_s + COMMAND_WAIT_S
        return max(tag.transfer_s + QUIET_S, since_s + QUIET_S, tag.doubt_until_s, commanded_s) - now_s

    async def _upload(self, tag: Tag, job: Job) -> None:
        if (refusal := self._station.refusal()) is not None:
            raise self._not_shown(refusal)
        if self._station.lacks_flash_for(len(job.jpeg) + len(job.indexes)):
            raise self._not_shown("flash_low")
        self._trace = tag.push = Trace(await self._cleared(), job.kind.refresh_s)
        self._lane.began = tag.unconverted = True
        tag.shown = tag.watch = None
        tag.command_s = float("-inf")
        answered = await self._post(tag, job)
        await self._echoed(tag, answered=answered)

    async def _cleared(self) -> TagRecord:
        """Empty the queue, return the record after it; an older upload may just have been converted into the queue."""
        for _ in range(CLEAR_TRIES):
            await self._calls.clear(self._face.label)
            before = await self._calls.record(self._face.label)
            if not before.pending:
                return before
        raise self._not_shown("queue_not_empty")

    async def _post(self, tag: Tag, job: Job) -> bool:
        """Send the picture; returns whether an answer came. Its status says little, the echo decides."""
        try:
            status = await self._calls.upload(self._face.label, job.jpeg)
        except LinkDown:
            tag.doubt_until_s = _now_s() + LINGER_S
            return False
        if status in (BUSY, REFUSED):
            raise NotShown(f"upload_refused: {status}", "settled")
        return True

    async def _echoed(self, tag: Tag, *, answered: bool) -> None:
        try:
            await self._reach((Stage.ECHOED, Stage.QUEUED, Stage.STORED, Stage.SEEN), ECHO_S, "no_echo")
        except NotShown as error:
            if error.reason == "no_echo" and answered and await self._not_taken():
                raise NotShown("upload_ignored", "settled") from error
            raise
        tag.doubt_until_s = float("-inf")  # it arrived, so it cannot arrive later

    async def _not_taken(self) -> bool:
        """Whether the access point, having answered, still has the old content: then it dropped what we sent."""
        assert self._trace is not None
        record = await self._calls.record(self._face.label)
        return record.file == self._trace.before.file and record.pending == 0

    async def _note_waiting(self, tag: Tag) -> None:
        """Without preview there is no reading back later: take the hash of what waits for the tag."""
        if "preview" in self._station.evidence.wrong and tag.push is not None and tag.push.stage is Stage.QUEUED:
            self._waiting_hash = _hash(await self._calls.pending(self._face.label))

    async def _proof(self, tag: Tag, job: Job) -> Proof:
        """Compare what the tag took with what we meant. Raises NotShown when that is not the same for sure."""
        assert self._trace is not None
        if self._waiting_hash:
            if self._waiting_hash != self._trace.hash:
                raise self._not_shown("other_image")
            return "hash"
        nonce = f"{self._face.revision}-{int(_now_s() * 1000)}"
        raw = await self._calls.encoded(self._face.label, nonce)
        if _hash(raw) != self._trace.hash:
            raise self._not_shown("other_image")
        if self._weakest == "hash" and job.kind.encodes_g5(tag.record.version):
            return "hash"
        if decode_image(raw, job.kind) != job.indexes:
            raise self._not_shown("other_pixels")
        return "pixels"

    async def _reach(self, stages: tuple[Stage, ...], deadline_s: float, reason: str) -> None:
        trace = self._trace
        assert trace is not None
        await self._until(lambda: trace.stage in stages, deadline_s, reason)

    async def _until(self, done: Callable[[], bool], deadline_s: float, reason: str) -> None:
        """Wait for `done`; a newer wish or a lost trace ends the push, as does the deadline."""
        end_s = _now_s() + deadline_s
        while True:
            self._look()
            if done():
                return
            left_s = end_s - _now_s()
            if left_s <= 0:
                raise self._not_shown(reason)
            await self._signal(left_s)

    def _look(self) -> None:
        if self._lane.wish is not None:
            raise self._not_shown("superseded")
        if self._trace is not None and self._trace.stage is Stage.LOST:
            raise self._not_shown(self._trace.reason)

    async def _signal(self, timeout_s: float) -> None:
        self._lane.signal.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._lane.signal.wait()
        except TimeoutError:
            return

    def _not_shown(self, reason: str) -> NotShown:
        return NotShown(reason, "unsettled" if self._lane.began else "never_sent")


def _hash(encoded: bytes) -> str:
    """Return the tag record's `hash` for this file: half an MD5, filled up with zeros."""
    return hashlib.md5(encoded, usedforsecurity=False).hexdigest()[:16] + "0" * 16


def _now_s() -> float:
    return asyncio.get_running_loop().time()
