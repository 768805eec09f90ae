"""What every message is: Reading, Fact, Command, Order, and the types of their fields. The messages stand beside."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

GATEWAY = "gateway"  # source of what no device said: the gateway itself

Stream = Literal["business", "telemetry"]
Gtin = Annotated[str, Field(pattern=r"^[0-9]{14}$")]
Label = Annotated[str, Field(pattern=r"^[0-9A-F]{16}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PriceMinor = Annotated[int, Field(ge=0, le=10**12)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Reason = Annotated[str, Field(min_length=1)]

_NOT_DATA = {"at", "source", "id", "cause"}


class Message(BaseModel):
    """What flows through the core. `at` is the UTC instant when it happened in the shop, `source` a device id."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", ser_json_timedelta="float")

    at: AwareDatetime
    source: str

    @property
    def weight(self) -> int:
        """Return how many messages this counts for where a batch is bounded."""
        return 1


class Reading(Message):
    """A sample: used once, never stored."""


class Fact(Message):
    """Something that happened. The store gives an `id` (`<gateway>-<b|t>-<sequence>`) unless the origin has one."""

    type: ClassVar[str]
    stream: ClassVar[Stream] = "business"

    id: str | None = None
    cause: str | None = None

    def data_json(self) -> str:
        """Return the CloudEvents `data` member as JSON text."""
        return self.model_dump_json(exclude=_NOT_DATA)


class Command(Message):
    """An order from above (`source` says by which way it came). Its effect is kept; it is not sent upstream itself."""


class Order(BaseModel):
    """Base of the bodies that head office sends. JSON rules: instants are RFC 3339 with an offset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
