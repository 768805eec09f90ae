"""Zones of the shop as readers hear them: one `[[zone]]` table each, and which antenna hears which zone.

An antenna is named `reader:number` (`door:1`), a reader by its device id. Not here: where a tag is (`tag_place.py`).
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ZoneKind = Literal["goods_in", "floor", "backroom", "fitting", "till", "exit"]


class Zone(BaseModel):
    """One zone of the shop that antennas hear."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="name of the zone, unique in the shop", examples=["door"]
    )
    kind: ZoneKind = Field(description="what happens there", examples=["exit"])
    antennas: tuple[str, ...] = Field(
        min_length=1,
        description='its antennas, "reader:number", the reader by its device id; of an exit those on the inner side',
        examples=[["rfid-door:1"]],
    )
    outside: tuple[str, ...] = Field(
        default=(), description="antennas on the outer side of an exit: they tell which way", examples=[["rfid-door:2"]]
    )
    floor_dbm: float | None = Field(
        default=None, ge=-120, le=0, description="reads weaker than this do not count here", examples=[-75]
    )
    offset_db: dict[str, float] = Field(
        default={}, description="calibration: added to the power that an antenna reports", examples=[{"rfid-door:1": 2}]
    )
    read_point: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9+.-]*:\S+$",
        max_length=200,
        description="URI of the place in EPCIS events; not set = one made of shop and zone",
        examples=["https://id.gs1.org/414/6901234567892/254/door"],
    )

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for antenna in (*self.antennas, *self.outside, *self.offset_db):
            reader, colon, number = antenna.partition(":")
            if not (reader and colon and number.isdecimal()):
                raise ValueError(f'"{antenna}" is no antenna; write the device id and the number, "rfid-door:1"')
        if self.outside and self.kind != "exit":
            raise ValueError(f'outside is for zones of kind "exit", this one is "{self.kind}"')
        if strange := set(self.offset_db) - {*self.antennas, *self.outside}:
            raise ValueError(f"offset_db names antennas that are not of this zone: {', '.join(sorted(strange))}")
        return self


class Spot(NamedTuple):
    """What one antenna hears: its zone, which side of an exit, weaker reads to leave out, calibration."""

    zone: Zone
    outside: bool
    floor_cdbm: int | None
    offset_cdb: int


class Zones:
    """All zones of the shop. Raises ValueError when two of them claim one name or one antenna."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._by_id: dict[str, Zone] = {}
        self._spots: dict[str, dict[int, Spot]] = {}
        for zone in zones:
            if zone.id in self._by_id:
                raise ValueError(f'[[zone]] id = "{zone.id}" is used twice; give each zone a name of its own')
            self._by_id[zone.id] = zone
            self._claim(zone, zone.antennas, outside=False)
            self._claim(zone, zone.outside, outside=True)

    def _claim(self, zone: Zone, antennas: Iterable[str], *, outside: bool) -> None:
        for antenna in antennas:
            reader, number = split(antenna)
            spots = self._spots.setdefault(reader, {})
            if number in spots:
                raise ValueError(f'antenna "{antenna}" is in the zones "{spots[number].zone.id}" and "{zone.id}"')
            floor = None if zone.floor_dbm is None else round(zone.floor_dbm * 100)
            spots[number] = Spot(zone, outside, floor, round(zone.offset_db.get(antenna, 0) * 100))

    def __iter__(self) -> Iterator[Zone]:
        return iter(self._by_id.values())

    def get(self, zone: str) -> Zone | None:
        """Return the zone of this name."""
        return self._by_id.get(zone)

    def spots(self, reader: str) -> dict[int, Spot]:
        """Return what each antenna of a reader hears; antennas without a zone are not in it."""
        return self._spots.get(reader, {})

    def readers(self) -> set[str]:
        """Return the device ids that zones name."""
        return set(self._spots)


def split(antenna: str) -> tuple[str, int]:
    """Return device id and number of `reader:number`."""
    reader, _, number = antenna.partition(":")
    return reader, int(number)
