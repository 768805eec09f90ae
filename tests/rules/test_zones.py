"""Zones: who hears what; names and antennas belong to one zone."""

import pytest
from pydantic import ValidationError

from gateway.rules.zones import Zone, Zones


def zone(name: str = "door", **more: object) -> Zone:
    return Zone.model_validate({"id": name, "kind": "exit", "antennas": ("rfid-door:1",), **more})


def test_an_antenna_hears_its_zone_with_its_side_and_calibration() -> None:
    zones = Zones([zone(outside=("rfid-door:2",), floor_dbm=-70.5, offset_db={"rfid-door:2": -2.5})])
    inner, outer = zones.spots("rfid-door")[1], zones.spots("rfid-door")[2]
    assert (inner.outside, inner.floor_cdbm, inner.offset_cdb) == (False, -7050, 0)
    assert (outer.outside, outer.floor_cdbm, outer.offset_cdb) == (True, -7050, -250)
    assert zones.spots("other") == {}
    assert zones.readers() == {"rfid-door"}


def test_an_antenna_in_two_zones_is_refused_with_both_names() -> None:
    with pytest.raises(ValueError, match='antenna "rfid-door:1" is in the zones "door" and "floor"'):
        Zones([zone(), zone("floor")])


def test_a_name_used_twice_is_refused() -> None:
    with pytest.raises(ValueError, match='id = "door" is used twice'):
        Zones([zone(), zone()])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"antennas": ("rfid-door",)}, '"rfid-door" is no antenna'),
        ({"kind": "floor", "outside": ("rfid-door:2",)}, 'outside is for zones of kind "exit"'),
        ({"offset_db": {"rfid-door:9": 1.0}}, "offset_db names antennas that are not of this zone: rfid-door:9"),
    ],
)
def test_a_zone_that_makes_no_sense_is_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        zone(**more)
