"""The small bodies of the tills' interface that `gateway/messages/tills.py` has no model of. Pure."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from gateway.messages import BaggingVerdict, EventIn, Outcome, PriceAnswer, PriceChange
from gateway.messages.tills import BasketId, Scan, Text, Version, Wire

SENT_AT = "the terminal's clock when it sends this: by it the gateway knows how wrong that clock is"


class EventsAnswer(Wire):
    """One outcome for each event, in the order sent, and up to where every event is kept."""

    results: list[Outcome]
    ack_seq: int


class Ack(Wire):
    """The number up to which every event of the terminal is kept: resume after it."""

    ack_seq: int


class LeaseAsked(Wire):
    """The feed was applied up to this version."""

    version: Version


class VerifyAsked(Wire):
    """The open basket to compare with the bagging area."""

    basket_id: BasketId


class CodesAsked(Wire):
    """Scanned codes, as the scanner read them."""

    codes: Annotated[list[Scan], Field(max_length=500)]


class NoPrice(Wire):
    """A code without a price: unreadable, unknown, or not for sale."""

    status: int
    detail: str


class PricesAnswer(Wire):
    """One answer for each code, in order."""

    prices: list[PriceAnswer | NoPrice]


class FeedEnd(Wire):
    """The last line of the feed: acknowledge this version. Without this line the feed was cut: ask again.

    A version below the one that was asked for: the gateway was put back to an older state, begin with since=0.
    """

    version: Version


class PoslogAnswer(Wire):
    """How many transactions were taken; `refused` names the first that were not, with the reason."""

    accepted: int
    duplicates: int
    conflicts: int
    rejected: int
    refused: list[Text]


class Place(Wire):
    """One thing that is wrong in a body."""

    at: str = Field(description="where, such as data.line")
    type: str
    reason: str


class ProblemBody(Wire):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[Place] | None = None
    results: list[Outcome] | None = None
    ack_seq: int | None = None
    document: PoslogAnswer | None = Field(default=None, description="what was kept before a sales document broke")


class EventsFrame(Wire):
    """Up: events with the terminal's clock. An event or an array of them may also be sent without this around it."""

    type: Literal["events"]
    events: Annotated[list[EventIn], Field(max_length=500)]
    sent_at: AwareDatetime | None = Field(default=None, description=SENT_AT)


class LeaseFrame(Wire):
    """Up: the feed was applied up to this version. Down, with `lease_s`: leave to sell from the cache."""

    type: Literal["lease"]
    version: Version


class VerifyFrame(Wire):
    """Up: compare the basket with the bagging area; answered by a verdict frame."""

    type: Literal["verify"]
    basket_id: BasketId


class AckFrame(EventsAnswer):
    """Down: what became of one frame of events; the first one, without results, says where to resume."""

    type: Literal["ack"]


class PricesFrame(Wire):
    """Down: prices changed. Acknowledge `version`; null = more frames of the same change follow."""

    type: Literal["price.changed"]
    changes: list[PriceChange]
    version: Version | None


class VerdictFrame(BaggingVerdict):
    """Down: answer to a verify frame."""

    type: Literal["verdict"]


class AssistFrame(Wire):
    """Down: a person should look at this terminal."""

    type: Literal["assist.request"]
    basket_id: BasketId | None = None
    reason: Text


class ConfigFrame(Wire):
    """Down: how this gateway wants to be spoken to."""

    type: Literal["config"]
    ping_s: int
    max_events: int
    max_frame_bytes: int


class ProblemFrame(Wire):
    """Down: a frame was not taken, and why. With `retry_after_s` the same may be sent again then."""

    type: Literal["problem"]
    problem: ProblemBody
    retry_after_s: int | None = None
