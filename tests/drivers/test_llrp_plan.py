"""The configuration held against what a reader can do: nothing is set that it did not list."""

from typing import Any

import pytest
from pydantic import ValidationError

from drivers._llrp_control import messages
from drivers._llrp_frames import Frame
from drivers._llrp_plan import Capabilities, Mode, Plan, make_plan
from drivers._llrp_specs import add_rospec
from drivers.rfid_llrp import Config
from gateway.errors import ConfigError

TABLE = {"id": "door", "driver": "rfid_llrp", "host": "10.0.0.1", "insecure": True}
READER = Capabilities(
    pen=25882,
    model=700,
    firmware="8.2",
    antennas=4,
    inputs=2,
    holds_reports=True,
    powers={1: 1000, 2: 2000, 3: 2725, 4: 3000},
    modes=(Mode(2, 2, 274_000), Mode(1002, 2, 0)),
    hop_table=1,
    country=156,
    standard=0,
)


def plan(reader: Capabilities = READER, **fields: Any) -> Plan:
    return make_plan(Config.model_validate(TABLE | fields), reader)


@pytest.mark.parametrize(("wish", "index"), [(10, 1), (19.99, 1), (20, 2), (27.3, 3), (30, 4), (36, 4)])
def test_power_is_the_nearest_listed_value_not_above_the_wish(wish: float, index: int) -> None:
    assert plan(power_dbm=wish).power_index == dict.fromkeys((1, 2, 3, 4), index)


def test_power_of_each_antenna_as_in_toml() -> None:
    """TOML's keys are text."""
    found = plan(antennas=[1, 3], power_dbm={"1": 30, "3": 12.5})
    assert found.power_index == {1: 4, 3: 1}
    assert found.antennas == (1, 3)
    assert plan(power_dbm={"2": 30}).power_index == {2: 4}
    assert plan().power_index == {}


def test_a_wish_above_the_list_is_limited_and_said_once() -> None:
    assert plan(power_dbm=33).notes == (
        "power limited to 30 dBm, the most that the reader lists (country 156, standard 0)",
    )
    assert plan(power_dbm=30).notes == ()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"power_dbm": 9}, "10 to 30 dBm"),
        ({"mode": 5}, r"2 \(Miller 4, 274 kbit/s\), 1002"),
        ({"antennas": [1, 5]}, "1 to 4"),
        ({"power_dbm": {"5": 20}}, "1 to 4"),
        ({"gpi_start": 3}, "2 inputs"),
        ({"vendor": "zebra"}, 'vendor = "auto"'),
        ({"vendor": "standard", "search": "dual"}, "leave it out"),
    ],
)
def test_what_cannot_be_is_refused_with_what_could_be(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan(**fields)


def test_a_reader_that_lists_no_power_takes_none() -> None:
    reader = Capabilities(**(vars(READER) | {"powers": {}}))
    assert plan(reader).power_index == {}
    with pytest.raises(ConfigError, match="no powers listed"):
        plan(reader, power_dbm=30)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"insecure": False}, "ca_file or fingerprint"),
        ({"fingerprint": "00" * 32}, "leave one out"),
        ({"insecure": False, "fingerprint": "12:34"}, "64 hex digits"),
        ({"report_every": 20}, "report_ms"),
        ({"search": "focus", "session": 2}, "session 1"),
        ({"antennas": [1], "power_dbm": {"2": 30}}, "antenna 2"),
        ({"session": 4}, "less than or equal to 3"),
    ],
)
def test_what_contradicts_itself_is_refused_before_any_reader_is_asked(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Config.model_validate(TABLE | fields)


def test_ports_and_fingerprints() -> None:
    assert Config.model_validate(TABLE).tcp_port == 5084
    pinned = Config.model_validate(TABLE | {"insecure": False, "fingerprint": ":".join(["AB"] * 32)})
    assert (pinned.tcp_port, pinned.fingerprint) == (5085, "ab" * 32)


def rospec(**fields: Any) -> Any:
    from drivers._llrp_control import decode

    data = add_rospec(plan(**fields))
    message = decode(Frame(20, 0, data))
    assert isinstance(message, messages.ADD_ROSPEC)
    return message.ro_spec


def test_the_order_says_what_was_wished() -> None:
    spec = rospec(antennas=[2, 4], power_dbm=27, session=2, mode=1002, tag_population=500, search="dual")
    (inventory,) = spec.spec_parameters
    assert inventory.antenna_ids == [2, 4]
    for antenna in inventory.inventory_parameter_specs[0].antenna_configurations:
        assert antenna.rf_transmitter.transmit_power == 2
        (command,) = antenna.air_protocol_inventory_command_settings
        assert command.c1_g2_rf_control.mode_index == 1002
        assert (command.c1_g2_singulation_control.session, command.c1_g2_singulation_control.tag_population) == (2, 500)
        assert command.custom[0].inventory_search_mode == 2
    assert spec.ro_report_spec.n == 1
    assert spec.ro_report_spec.custom[0].impinj_enable_rf_phase_angle.rf_phase_angle_mode == 1


def test_reports_of_many() -> None:
    assert rospec(report_every=50, report_ms=250).ro_report_spec.n == 50


def test_an_input_starts_and_stops_it() -> None:
    bounds = rospec(gpi_start=2, gpi_most_s=8).ro_boundary_spec
    start, stop = bounds.ro_spec_start_trigger.gpi_trigger_value, bounds.ro_spec_stop_trigger.gpi_trigger_value
    assert (start.gpi_port_num, start.gpi_event) == (2, True)
    assert (stop.gpi_port_num, stop.gpi_event, stop.timeout) == (2, False, 8000)


def test_makers_parts_only_where_they_are_known() -> None:
    assert rospec(vendor="standard").ro_report_spec.custom == []
    zebra = Capabilities(**(vars(READER) | {"pen": 161}))
    assert plan(zebra).vendor.name == "zebra"
    assert plan(Capabilities(**(vars(READER) | {"pen": 7}))).vendor.report is None
