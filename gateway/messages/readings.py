"""Readings: samples that are used once and never stored."""

from pydantic import AwareDatetime, Field

from gateway.messages.kinds import Label, Reading, Reason


class LabelSeen(Reading):
    """A label checked in at access point `source`. `colors` are palette names in index order (white, black, ...).

    `image` is the access point's own name of what it drew there last, if it knows one.
    """

    label: Label
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    colors: tuple[str, ...]
    model: str
    last_seen: AwareDatetime | None
    battery_mv: int | None
    rssi_dbm: int | None
    lqi: int | None
    temperature_c: int | None
    image: str | None = None


class Tick(Reading):
    """Time went on: schedules and deadlines are looked at. Not `trusted`: nothing may come into force by this clock."""

    trusted: bool = True


class LabelLeft(Reading):
    """Nothing that this access point (`source`) was ever given for the label can still be drawn.

    Said of a label that has been silent there for longer than the access point keeps anything for it.
    """

    label: Label


class LabelDoubted(Reading):
    """The label restarted, by what its access point knows, and the driver does not know which face was on its glass.

    Said of faces that were proven before the driver started; of others it says `LabelFailed`. No news for a label that
    was never proven to show anything.
    """

    label: Label
    reason: Reason
