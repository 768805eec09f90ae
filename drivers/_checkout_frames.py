"""The frames of a till's WebSocket, up and down: text to values and back. Pure. Their models: `_checkout_bodies.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from drivers import _checkout_bodies as bodies
from drivers._checkout_cards import is_suspect
from drivers._checkout_events import MAX_EVENTS, Batch, checked, read_batch, write_results
from drivers._checkout_problem import Problem, unreadable
from gateway.messages import Outcome, PriceChange
from gateway.messages.tills import Wire

PING_S = 15
MAX_FRAME = 1 << 20
RETRY_AFTER_S = 5


class _Kind(BaseModel):
    """What a frame calls itself."""

    model_config = ConfigDict(extra="ignore")
    type: str = ""


class _Envelope(Wire):
    """An events frame whose events are not all good."""

    type: str
    events: list[Any] = Field(max_length=MAX_EVENTS)
    sent_at: AwareDatetime | None = None


_KIND = TypeAdapter(_Kind).validator
_EVENTS = TypeAdapter(bodies.EventsFrame).validator
_CONTROL: dict[str, type[bodies.LeaseFrame | bodies.VerifyFrame]] = {
    "lease": bodies.LeaseFrame,
    "verify": bodies.VerifyFrame,
}
_KINDS = {"events", *_CONTROL}


@dataclass(slots=True)
class Frame:
    """One frame of a till: events, a question, or what is wrong with it."""

    said: Batch | bodies.LeaseFrame | bodies.VerifyFrame | Problem
    sent_at: datetime | None = None
    size: int = 0  # bytes, as it came

    @property
    def weight(self) -> int:
        """Return how many events it holds in memory, at least 1."""
        return max(1, len(self.said.events)) if isinstance(self.said, Batch) else 1


def read_frame(data: bytes) -> Frame:
    """Read one frame; what is wrong with it is in it. Never raises."""
    try:
        frame = _read(data)
    except Problem as problem:
        frame = Frame(problem)
    except ValidationError as error:
        frame = Frame(unreadable(error))
    frame.size = len(data)
    return frame


def _read(data: bytes) -> Frame:
    try:
        return Frame(read_batch(data))
    except Problem:
        if data.startswith(b"[") or (kind := _KIND.validate_json(data).type) not in _KINDS:
            raise
    return _with_time(data) if kind == "events" else Frame(_CONTROL[kind].model_validate_json(data))


def _with_time(data: bytes) -> Frame:
    try:
        frame = _EVENTS.validate_json(data)
        return Frame(checked(frame.events, suspect=is_suspect(data)), frame.sent_at)
    except ValidationError:
        envelope = _Envelope.model_validate_json(data)
        return Frame(read_batch(to_json(envelope.events)), envelope.sent_at)


def ack(outcomes: Sequence[Outcome], ack_seq: int) -> str:
    """Write what became of one frame of events."""
    return write_results(outcomes, ack_seq, '"type":"ack",')


def config() -> str:
    """Write how we want to be spoken to."""
    return _text(bodies.ConfigFrame(type="config", ping_s=PING_S, max_events=MAX_EVENTS, max_frame_bytes=MAX_FRAME))


def prices(changes: Sequence[PriceChange], version: int | None) -> str:
    """Write changed prices; `version` only in the last frame of a change."""
    return _text(bodies.PricesFrame(type="price.changed", changes=[*changes], version=version))


def named(kind: str, body: Wire) -> str:
    """Write a body as the frame of this type."""
    return _text(body, head=f'{{"type":"{kind}",')


def problem(found: Problem) -> str:
    """Write why a frame was not taken."""
    retry_after_s = RETRY_AFTER_S if found.status == 503 else None
    return to_json({"type": "problem", "problem": found.members(), "retry_after_s": retry_after_s}).decode()


def _text(body: Wire, head: str = "{") -> str:
    return head + body.model_dump_json()[1:]
