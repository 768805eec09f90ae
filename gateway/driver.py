"""What a driver may know about us. Knows only `errors` and `messages`; drivers import this and nothing deeper.

A driver is one file in `drivers/` with a `Config(DeviceConfig)` and a `Driver(config, services)`. Its constructor
stores; `run(emit)` works until it is cancelled. It raises `DeviceError` to be restarted with back-off, `ConfigError`
to be parked.
"""

import hashlib
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from gateway.messages import (
    BaggingVerdict,
    EventIn,
    Fact,
    Lease,
    Outcome,
    PosTransaction,
    PriceAnswer,
    PriceChange,
    Reading,
)

Health = Literal["unknown", "online", "degraded", "offline"]


class DeviceConfig(BaseModel):
    """One `[[device]]` table. A driver derives its own `Config` and adds its fields, each with a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="name of the device, unique in the shop")
    driver: str = Field(description="file name of the driver in `drivers/`, without `.py`")
    enabled: bool = Field(default=True, description="false keeps the table but does not start the driver")


class Emit(Protocol):
    """The way into the core: returns when every fact given is on disk. Full inbox = waits (back-pressure)."""

    def __call__(self, *messages: Reading | Fact) -> Awaitable[None]:
        """Hand over messages, in order."""


class Clock(Protocol):
    """The one source of time. Durations come from `asyncio.get_running_loop().time()`, never from here."""

    def now(self) -> datetime:
        """Return UTC, time zone aware."""


class ReportHealth(Protocol):
    """Tell the state of one's device; repeat freely, only changes become facts. No state without evidence."""

    def __call__(self, state: Health, reason: str, evidence: str, next_step: str) -> None:
        """`reason` is a stable code (`ap_silent`), `evidence` what was seen, `next_step` what to do about it."""


class Tills(Protocol):
    """What a driver of tills may ask: prices by the safe switch, and where events go. Look-ups never wait."""

    @property
    def version(self) -> int:
        """Return the newest price version."""

    def look_up(self, scan: str, symbology: str | None = None) -> PriceAnswer:
        """Return the price of a scanned code now. Raises `Refused` (unreadable) or `NotForSale` with the reason."""

    def changes(self, since: int) -> Sequence[PriceChange]:
        """Return the newest price of every product that changed after a version, in the order of versions.

        Always all of them: a till that acknowledged a part would be taken to know prices that it has never heard.
        """

    async def wait_beyond(self, version: int) -> int:
        """Return the newest version as soon as it is above this one."""

    async def lease(self, source: str, terminal: str, version: int) -> Lease:
        """Take a terminal's word that it applied the feed up to `version`; return its leave to sell from cache."""

    async def take(
        self, source: str, terminal: str, events: Sequence[EventIn], sent_at: datetime | None = None
    ) -> Sequence[Outcome]:
        """Keep events of one terminal; returns after the commit, one outcome each, in order.

        `sent_at` is the terminal's clock when it sent them: by it the gateway knows how wrong that clock is.
        """

    async def import_sales(self, sales: Sequence[PosTransaction]) -> Sequence[Outcome]:
        """Keep transactions of a sales document, after the commit; one that is known already is a `duplicate`."""

    def ack_seq(self, terminal: str) -> int:
        """Return the highest number up to which every event of the terminal is kept; 0 = none."""

    def verify(self, terminal: str, basket: str) -> BaggingVerdict:
        """Tell whether what lies in the bagging area fits the lines of the open basket."""


class Certificates(Protocol):
    """TLS for what the gateway serves in the shop."""

    def server_context(self, certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
        """Return a context from the owner's files, or else from the store's own CA. Raises `ConfigError`.

        Reads files: call it in a thread.
        """

    def terminal_of(self, peer: Mapping[str, Any] | None) -> str | None:
        """Return the terminal that a client certificate (`getpeercert()`) names, None when it names none."""


@dataclass(frozen=True)
class ShopFacts:
    """What a driver may have to know of the shop: its time zone, its currency and that one's decimals."""

    zone: tzinfo
    currency: str
    minor_digits: int


@dataclass(frozen=True)
class Services:
    """What the gateway offers to one driver. A test hands over just what the driver under test uses.

    `data_dir`: where a driver may keep a file of its own.
    """

    clock: Clock
    report: ReportHealth
    tills: Tills | None = None
    certificates: Certificates | None = None
    data_dir: Path = Path()
    shop: ShopFacts | None = None


class Driver(Protocol):
    """Every driver."""

    async def run(self, emit: Emit) -> None:
        """Work until cancelled."""


@dataclass(frozen=True)
class Face:
    """A picture for one label, complete: the revision mark is in the pixels, so that no two pushes are alike.

    `pixels` holds one byte a pixel, an index into `colors`, row by row, as a person sees them (`width * height` bytes).
    """

    label: str
    gtin: str | None
    price_minor: int | None
    currency: str | None
    wave: str | None
    revision: int
    width: int
    height: int
    colors: tuple[str, ...]
    pixels: bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `pixels`, hex: the name of this picture in facts, journal and ground truth."""
        return hashlib.sha256(self.pixels).hexdigest()


@runtime_checkable
class Labels(Driver, Protocol):
    """A driver that has shelf labels behind it. Discovery comes as `LabelSeen` readings."""

    async def show(self, face: Face) -> None:
        """Take the face over and return at once; the newest wish for a label wins, nothing is retried by the driver.

        What became of it comes back as facts with the face's `revision`: `LabelStored`, then exactly one of
        `LabelShown` and `LabelFailed` (a face that a newer wish replaced fails with reason `superseded`).
        """

    async def blink(self, label: str, seconds: int) -> None:
        """Let a person find the label. Raises `Rejected` with the reason when it cannot (an image is on its way)."""


@dataclass(frozen=True)
class TagOrder:
    """Write to the one tag in front of an antenna. `new_epc` is for `encode` only, upper-case hex of whole words.

    Passwords are the driver's own configuration: no order carries one.
    """

    action: Literal["encode", "lock", "kill"]
    epc: str
    antenna: int
    new_epc: str | None = None


@runtime_checkable
class TagWriter(Driver, Protocol):
    """A reader that can change tags. Off unless its configuration says `allow_writes = true`."""

    async def write_tag(self, order: TagOrder) -> None:
        """Do it and check it. Raises `Rejected`: writing is off, no tag or several in the field, the tag refused."""


@runtime_checkable
class Checkable(Protocol):
    """A driver that `aisled check` can ask to try its connection without touching the device's state."""

    async def check(self) -> str:
        """Return one line of what answered; raise `DeviceError` or `ConfigError` with the reason."""
