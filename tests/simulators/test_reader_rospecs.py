"""ROSpecs of the simulated reader: triggers, states, reports, filters; in virtual time, read by llrpkit's codec."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llrpkit.inventory import build_rospec
from llrpkit.protocol import enums, impinj, messages, params

from tests.simulators.reader_peer import EPOCH_S, Peer, epc, fleet_of

STARTS, STOPS = enums.ROSpecStartTriggerType, enums.ROSpecStopTriggerType
AI_STOPS = enums.AISpecStopTriggerType
ROSPEC_EVENT, AISPEC_EVENT = 2, 6


def states(peer):
    return {one.ro_spec_id: int(one.current_state) for one in peer.order(messages.GET_ROSPECS()).ro_specs}


def life(peer):
    return [int(event.event_type) for event in peer.events("ro_spec_event")]


def test_its_life_from_disabled_to_active_and_back():
    peer = Peer(fleet_of())
    peer.order(messages.ADD_ROSPEC(ro_spec=build_rospec()))
    assert states(peer) == {1: 0}
    assert int(peer.ask(messages.START_ROSPEC(ro_spec_id=1)).llrp_status.status_code) == enums.StatusCode.A_Invalid
    peer.order(messages.ENABLE_ROSPEC(ro_spec_id=1))
    assert (states(peer), peer.run(0.5).reads()) == ({1: 1}, [])
    peer.order(messages.START_ROSPEC(ro_spec_id=1))
    assert states(peer) == {1: 2}
    assert peer.run(0.5).reads()
    peer.order(messages.STOP_ROSPEC(ro_spec_id=1))
    peer.reads()
    assert (states(peer), peer.run(0.5).reads()) == ({1: 1}, [])
    peer.order(messages.DISABLE_ROSPEC(ro_spec_id=1))
    assert states(peer) == {1: 0}
    peer.order(messages.DELETE_ROSPEC(ro_spec_id=1))
    assert states(peer) == {}


def test_0_means_all_of_them():
    peer = Peer(fleet_of())
    for number in (1, 2, 3):
        peer.order(messages.ADD_ROSPEC(ro_spec=build_rospec(ro_spec_id=number)))
    peer.order(messages.ENABLE_ROSPEC(ro_spec_id=0))
    assert states(peer) == {1: 1, 2: 1, 3: 1}
    peer.order(messages.DISABLE_ROSPEC(ro_spec_id=0))
    assert states(peer) == {1: 0, 2: 0, 3: 0}
    peer.order(messages.DELETE_ROSPEC(ro_spec_id=0))
    peer.order(messages.DELETE_ROSPEC(ro_spec_id=0))
    assert states(peer) == {}


@pytest.mark.parametrize("kind", [21, 22, 23, 24, 25])
def test_it_knows_no_other_rospec(kind):
    peer = Peer(fleet_of())
    name = {21: "DELETE", 22: "START", 23: "STOP", 24: "ENABLE", 25: "DISABLE"}[kind]
    answer = peer.ask(getattr(messages, f"{name}_ROSPEC")(ro_spec_id=7))
    assert type(answer).__name__ == f"{name}_ROSPEC_RESPONSE"
    assert "7" in answer.llrp_status.error_description


def test_one_is_active_at_a_time():
    peer = Peer(fleet_of())
    peer.add()
    peer.order(messages.ADD_ROSPEC(ro_spec=build_rospec(ro_spec_id=2)))
    peer.order(messages.ENABLE_ROSPEC(ro_spec_id=2))
    refused = peer.ask(messages.START_ROSPEC(ro_spec_id=2)).llrp_status
    assert int(refused.status_code) == enums.StatusCode.R_DeviceError
    assert refused.error_description == "ROSpec 1 is active"


def spec_of(start=STARTS.Null, stop=STOPS.Null, *, stop_ms=0, period=None, edges=(), ai=None, trigger=2, n=1):
    """A ROSpec with these boundaries. edges: (port, level) for start and for stop."""
    spec = build_rospec(report_every_n=n)
    gpi = [params.GPITriggerValue(gpi_port_num=port, gpi_event=high, timeout=0) for port, high in edges]
    spec.ro_boundary_spec.ro_spec_start_trigger = params.ROSpecStartTrigger(
        ro_spec_start_trigger_type=start,
        periodic_trigger_value=period and params.PeriodicTriggerValue(offset=period[0], period=period[1]),
        gpi_trigger_value=gpi[0] if gpi else None,
    )
    spec.ro_boundary_spec.ro_spec_stop_trigger = params.ROSpecStopTrigger(
        ro_spec_stop_trigger_type=stop,
        duration_trigger_value=stop_ms,
        gpi_trigger_value=gpi[1] if len(gpi) > 1 else None,
    )
    spec.ro_report_spec.ro_report_trigger = trigger
    if ai is not None:
        spec.spec_parameters[0].ai_spec_stop_trigger = ai
    return spec


def test_immediate_begins_when_enabled_and_a_duration_ends_it():
    peer = Peer(fleet_of())
    peer.want(ROSPEC_EVENT)
    peer.add(spec_of(STARTS.Immediate, STOPS.Duration, stop_ms=300), start=False)
    assert peer.run(0.2).reads()
    assert life(peer) == [0]
    peer.run(0.2)
    assert life(peer) == [0, 1, 0]  # ended, and begun again
    peer.order(messages.STOP_ROSPEC(ro_spec_id=1))
    peer.reads()
    assert peer.run(1).reads() == []  # who stops it by command means it


def test_periodic_begins_again_and_again():
    peer = Peer(fleet_of())
    peer.want(ROSPEC_EVENT)
    peer.add(spec_of(STARTS.Periodic, STOPS.Duration, stop_ms=100, period=(500, 1000)), start=False)
    assert (life(peer.run(0.4)), life(peer.run(0.3)), life(peer.run(2))) == ([], [0, 1], [0, 1] * 3)


def test_an_input_begins_and_ends_it():
    peer = Peer(fleet_of())
    peer.want(ROSPEC_EVENT, 1)
    peer.add(spec_of(STARTS.GPI, STOPS.GPI_With_Timeout, edges=((2, True), (2, False))), start=False)
    peer.run(0.3)
    peer.fleet.faults.gpi(1, True)
    assert (life(peer), peer.run(0.2).reads()) == ([], [])
    peer.fleet.faults.gpi(2, True)
    assert peer.run(0.2).reads()
    peer.fleet.faults.gpi(2, False)
    assert life(peer) == [0, 1]
    gpi = [(event.gpi_port_number, event.gpi_event) for event in peer.events("gpi_event")]
    assert gpi == [(1, True), (2, True), (2, False)]


def test_aispecs_follow_each_other():
    peer = Peer(fleet_of())
    peer.want(ROSPEC_EVENT, AISPEC_EVENT)
    spec = build_rospec(antennas=[1], duration_ms=200)
    spec.spec_parameters += build_rospec(antennas=[2], duration_ms=200).spec_parameters
    spec.ro_report_spec.tag_report_content_selector.enable_spec_index = True
    peer.add(spec)
    reads = peer.run(1).reads()
    assert {(read.spec_index.spec_index, read.antenna_id.antenna_id) for read in reads} == {(0, 1), (1, 2)}
    assert [event.spec_index for event in peer.events("ai_spec_event")] == [1, 2]
    assert (life(peer), states(peer)) == ([0, 1], {1: 1})


@pytest.mark.parametrize(
    ("kind", "fields"), [(0, {"number_of_tags": 30}), (1, {"t": 100}), (2, {"number_of_attempts": 10})]
)
def test_what_was_seen_ends_an_aispec(kind, fields):
    values = {"number_of_tags": 0, "number_of_attempts": 0, "t": 0, "timeout": 0} | fields
    seen = params.TagObservationTrigger(trigger_type=kind, **values)
    ai = params.AISpecStopTrigger(ai_spec_stop_trigger_type=3, duration_trigger=0, tag_observation_trigger=seen)
    peer = Peer(fleet_of(tags=40))
    peer.want(ROSPEC_EVENT)
    peer.add(spec_of(ai=ai))
    reads = peer.run(20).reads()
    assert life(peer) == [0, 1]
    assert reads
    if kind == 0:
        assert 30 <= len(reads) < 60


def test_n_or_the_end_makes_a_report():
    peer = Peer(fleet_of(tags=500))
    peer.add(report_every_n=7)
    reports = peer.run(2).reports()
    assert {len(one.tag_report_datas) for one in reports} == {7}
    peer.order(messages.STOP_ROSPEC(ro_spec_id=1))
    rest = peer.reports()
    assert sum(len(one.tag_report_datas) for one in rest) < 7


def test_n_0_waits_for_the_end_and_counts_what_it_saw_again():
    fleet = fleet_of(tags=900, reads_per_s=4000)
    peer = Peer(fleet)
    peer.add(report_every_n=0)
    assert peer.run(5).reports() == []
    peer.order(messages.STOP_ROSPEC(ro_spec_id=1))
    reports = peer.reports()
    sizes = [len(one.tag_report_datas) for one in reports]
    assert set(sizes[:-1]) == {200}
    reads = [read for one in reports for read in one.tag_report_datas]
    keys = [(epc(read), read.antenna_id.antenna_id) for read in reads]
    assert len(keys) == len(set(keys))
    assert max(read.tag_seen_count.tag_count for read in reads) > 3
    for read in reads:
        assert read.last_seen_timestamp_utc.microseconds >= read.first_seen_timestamp_utc.microseconds


def test_no_trigger_waits_until_it_is_asked():
    peer = Peer(fleet_of())
    peer.add(spec_of(trigger=0))
    assert peer.run(2).reports() == []
    peer.tell(messages.GET_REPORT())
    assert peer.reads()
    peer.order(messages.DELETE_ROSPEC(ro_spec_id=1))
    peer.tell(messages.GET_REPORT())
    assert [one.tag_report_datas for one in peer.reports()] == [[]]


def test_time_makes_a_report_as_in_llrp_1_1():
    peer = Peer(fleet_of())
    peer.add(spec_of(trigger=6, n=500))  # milliseconds, or the end of the ROSpec
    assert 4 <= len(peer.run(2.5).reports()) <= 5


def test_a_filter_chooses_tags():
    fleet = fleet_of(tags=50)
    peer = Peer(fleet)
    chosen = fleet.world.items[9].epc
    peer.add(epc_filter=chosen[:10], filter_action="exclude")
    assert {epc(read)[:10] for read in peer.run(3).reads()}.isdisjoint({chosen[:10]})
    peer.order(messages.DELETE_ROSPEC(ro_spec_id=1))
    peer.add(epc_filter=chosen)
    assert {epc(read) for read in peer.run(5).reads()} == {chosen}


def test_less_power_is_heard_as_less():
    def heard(index):
        peer = Peer(fleet_of())
        peer.add(transmit_power_index=index, antennas=[1])
        reads = peer.run(4).reads()
        return sum(read.peak_rssi.peak_rssi for read in reads) / len(reads), len({epc(read) for read in reads})

    (full_dbm, full), (less_dbm, less), (_, least) = heard(81), heard(41), heard(1)  # 30, 20 and 10 dBm
    assert full_dbm - less_dbm == pytest.approx(10, abs=1.5)
    assert full >= less > least


SELECTED = {
    "enable_ro_spec_id": "ro_spec_id",
    "enable_spec_index": "spec_index",
    "enable_inventory_parameter_spec_id": "inventory_parameter_spec_id",
    "enable_antenna_id": "antenna_id",
    "enable_channel_index": "channel_index",
    "enable_peak_rssi": "peak_rssi",
    "enable_first_seen_timestamp": "first_seen_timestamp_utc",
    "enable_last_seen_timestamp": "last_seen_timestamp_utc",
    "enable_tag_seen_count": "tag_seen_count",
}
EXTRAS = {
    impinj.ImpinjRFPhaseAngle: "phase",
    impinj.ImpinjRFDopplerFrequency: "doppler",
    impinj.ImpinjSerializedTID: "tid",
}


@settings(max_examples=40, deadline=None)
@given(
    chosen=st.sets(st.sampled_from(sorted(SELECTED))),
    extras=st.none() | st.sets(st.sampled_from(sorted(EXTRAS.values()))),
    memory=st.none() | st.tuples(st.booleans(), st.booleans()),
    n=st.integers(1, 5),
)
def test_a_report_holds_what_was_asked_for_and_no_more(chosen, extras, memory, n):
    fleet = fleet_of(tags=12, odd_share=0.5)
    peer = Peer(fleet)
    asked = {f"include_{name}": True for name in extras or ()}
    spec = build_rospec(report_every_n=n, enable_impinj_reports=extras is not None, **asked)
    selector = spec.ro_report_spec.tag_report_content_selector
    for name in SELECTED:
        setattr(selector, name, name in chosen)
    crc, pc = memory or (False, False)
    selector.air_protocol_epc_memory_selectors = [params.C1G2EPCMemorySelector(enable_crc=crc, enable_pc_bits=pc)]
    peer.add(spec)
    reads = peer.run(1).reads()
    assert reads
    assert not peer.bad
    for read in reads:
        tag = fleet.world.tags[epc(read)]
        assert {name for name, field in SELECTED.items() if getattr(read, field) is not None} == chosen
        told = {EXTRAS[type(one)] for one in read.custom if type(one) in EXTRAS}
        assert told == (extras or set())
        assert any(isinstance(one, impinj.ImpinjPeakRSSI) for one in read.custom) is (extras is not None)
        air = {type(one): one for one in read.air_protocol_tag_datas}
        assert set(air) == ({params.C1G2_CRC} if crc else set()) | ({params.C1G2_PC} if pc else set())
        if pc:
            assert air[params.C1G2_PC].pc_bits >> 11 == len(tag.epc) // 2
        if read.last_seen_timestamp_utc:
            assert EPOCH_S <= read.last_seen_timestamp_utc.microseconds / 1e6 <= EPOCH_S + 2
        for one in read.custom:
            if isinstance(one, impinj.ImpinjSerializedTID):
                assert b"".join(word.to_bytes(2) for word in one.t_id) == tag.tid


def test_a_reader_without_a_clock_tells_its_uptime():
    peer = Peer(fleet_of(kind="plain"))
    peer.run(2)
    peer.add()
    for read in peer.run(1).reads():
        assert read.last_seen_timestamp_utc is None
        assert 1_900_000 <= read.last_seen_timestamp_uptime.microseconds <= 3_000_000
