"""Mishaps of simulated readers: stalls, bursts, clocks, cables, garbage, held events, full buffers, other versions."""

import json
import struct

import pytest
from llrpkit.protocol import enums, impinj, messages, params

from drivers.simulators._reader_script import BadScript, load_script, play
from drivers.simulators._reader_wire import Frames, message
from tests.simulators.reader_peer import EPOCH_S, Peer, epc, fleet_of

GPI, ROSPEC, BUFFER, EXCEPTION, ANTENNA = 1, 2, 3, 4, 8


def seen_s(reads):
    return [read.last_seen_timestamp_utc.microseconds / 1e6 - EPOCH_S for read in reads]


def keepalives(peer):
    return sum(isinstance(one, messages.KEEPALIVE) for one in peer.heard)


def ask_keepalive(peer, period_ms):
    spec = params.KeepaliveSpec(keepalive_trigger_type=1, periodic_trigger_value=period_ms)
    peer.order(messages.SET_READER_CONFIG(reset_to_factory_default=False, keepalive_spec=spec))


def test_it_keeps_the_connection_alive_in_the_period_that_was_asked_for():
    peer = Peer(fleet_of())
    ask_keepalive(peer, 500)
    assert keepalives(peer.run(5.1)) == 10
    for _ in range(3):
        peer.tell(messages.KEEPALIVE_ACK())
    assert peer.reader.acknowledged == 3


def test_a_stalled_reader_says_nothing_and_then_everything():
    peer = Peer(fleet_of())
    ask_keepalive(peer, 200)
    peer.add()
    peer.run(1)
    peer.fleet.faults.stall(5)
    peer.heard.clear()
    peer.connection.receive(messages.GET_ROSPECS().to_bytes(message_id=4242))
    assert peer.run(4.9).heard == []
    assert not peer.closed
    peer.run(0.2)
    assert [type(one).__name__ for one in peer.heard if one.message_id == 4242] == ["GET_ROSPECS_RESPONSE"]
    at = seen_s(peer.reads())
    assert len(at) > 200
    assert min(at) < 1.1  # reader time tells that they are old
    assert at == sorted(at)


def test_what_nobody_took_waits_for_the_next_client():
    fleet = fleet_of()
    first = Peer(fleet)
    first.add()
    first.run(1)
    fleet.faults.cut()
    assert (first.closed, fleet.readers[0].client) == (True, None)
    fleet.run_until(4)
    second = Peer(fleet)
    at = seen_s(second.reads())
    assert min(at) < 1.1
    assert max(at) > 3.9
    assert second.run(1).reads()  # and the ROSpec runs on


def test_events_and_reports_are_held_when_that_was_asked_for():
    fleet = fleet_of()
    first = Peer(fleet)
    hold = params.EventsAndReports(hold_events_and_reports_upon_reconnect=True)
    first.want(GPI, events_and_reports=hold)
    first.add()
    first.tell(messages.CLOSE_CONNECTION())
    assert first.closed
    fleet.faults.gpi(3, True)
    fleet.run_until(2)
    second = Peer(fleet)
    assert second.run(1).heard[1:] == []  # nothing but the greeting
    second.tell(messages.ENABLE_EVENTS_AND_REPORTS())
    assert [event.gpi_port_number for event in second.events("gpi_event")] == [3]
    assert min(seen_s(second.reads())) < 1


def test_a_full_buffer_warns_and_loses_the_newest():
    fleet = fleet_of(kind="plain", tags=400, reads_per_s=2000)
    peer = Peer(fleet)
    peer.want(BUFFER)
    peer.add()
    peer.full = True
    peer.run(10)
    box = fleet.readers[0].outbox
    assert box.held == fleet.readers[0].kind.buffered
    assert box.lost > 0
    lost = box.lost
    peer.full = False
    reads = peer.run(0.1).reads()
    assert len(reads) >= fleet.readers[0].kind.buffered
    assert box.lost == lost
    assert [one.report_buffer_percentage_full for one in peer.events("report_buffer_level_warning_event")] == [80]
    assert len(peer.events("report_buffer_overflow_error_event")) == 1


def test_it_says_that_its_buffer_is_nearly_full_when_told_to():
    peer = Peer(fleet_of())
    peer.want(BUFFER)
    peer.fleet.faults.buffer_level(93)
    levels = peer.events("report_buffer_level_warning_event")
    assert [one.report_buffer_percentage_full for one in levels] == [93]


def test_a_wrong_clock_is_wrong_in_reports_and_events():
    peer = Peer(fleet_of())
    peer.want(GPI)
    peer.fleet.faults.clock_wrong(-120)
    peer.add()
    at = seen_s(peer.run(1).reads())
    assert -121 < min(at) <= max(at) < -118
    peer.fleet.faults.gpi(1, True)
    stamp = peer.heard[-1].reader_event_notification_data.timestamp.microseconds / 1e6
    assert stamp == pytest.approx(EPOCH_S + peer.fleet.timeline.now_s - 120, abs=0.01)


def test_a_drifting_clock_runs_away():
    peer = Peer(fleet_of())
    peer.fleet.faults.clock_drifts(1000)
    clock = peer.reader.clock
    peer.run(100)
    assert clock.us() / 1e6 - EPOCH_S == pytest.approx(100.1, abs=0.001)
    peer.fleet.faults.clock_drifts(0)
    peer.run(100)
    assert clock.us() / 1e6 - EPOCH_S == pytest.approx(200.1, abs=0.001)


def test_a_pulled_cable_is_told_of_and_ends_its_reads():
    peer = Peer(fleet_of(static=20))
    peer.want(ANTENNA)
    peer.add()
    assert {read.antenna_id.antenna_id for read in peer.run(3).reads()} == {1, 2, 3, 4}
    peer.fleet.faults.antenna(2)
    peer.reads()
    assert {read.antenna_id.antenna_id for read in peer.run(3).reads()} == {1, 3, 4}
    ask = messages.GET_READER_CONFIG(antenna_id=2, requested_data=2, gpi_port_num=0, gpo_port_num=0)
    (properties,) = peer.order(ask).antenna_properties
    assert properties.antenna_connected is False
    peer.fleet.faults.antenna(2, plugged=True)
    peer.fleet.faults.antenna(2, plugged=True)
    assert [(int(one.event_type), one.antenna_id) for one in peer.events("antenna_event")] == [(0, 2), (1, 2)]
    assert 2 in {read.antenna_id.antenna_id for read in peer.run(3).reads()}


def test_an_event_that_nobody_asked_for_is_not_told():
    peer = Peer(fleet_of())
    peer.add()
    peer.fleet.faults.antenna(2)
    peer.fleet.faults.gpi(1, True)
    peer.fleet.faults.exception()
    peer.fleet.faults.buffer_level()
    assert [one for one in peer.run(1).heard if isinstance(one, messages.READER_EVENT_NOTIFICATION)][1:] == []
    peer.want(EXCEPTION)
    peer.fleet.faults.exception("fan stopped")
    assert [one.message for one in peer.events("reader_exception_event")] == ["fan stopped"]


def test_garbage_is_well_framed_and_what_follows_is_in_step():
    peer = Peer(fleet_of())
    peer.add()
    for _ in range(20):
        peer.fleet.faults.garbage(2)
        peer.run(0.05)
    assert len(peer.bad) + sum(not one.tag_report_datas for one in peer.reports()) >= 30
    assert all(int.from_bytes(one[2:6]) == len(one) for one in peer.bad)
    assert peer.run(1).reads()


def test_a_slow_start_is_active_and_silent():
    peer = Peer(fleet_of())
    peer.fleet.faults.slow_start(2)
    peer.want(ROSPEC)
    peer.add()
    assert (peer.run(1.9).reads(), peer.events("ro_spec_event")) == ([], [])
    assert peer.run(0.5).reads()


def test_a_restart_forgets():
    peer = Peer(fleet_of())
    peer.add()
    ask_keepalive(peer, 500)
    peer.run(1)
    peer.fleet.faults.restart()
    assert peer.closed
    again = Peer(peer.fleet)
    assert again.order(messages.GET_ROSPECS()).ro_specs == []
    assert (keepalives(again.run(2)), again.reads()) == (0, [])


def test_reports_that_never_left_are_missing():
    peer = Peer(fleet_of())
    peer.add()
    peer.run(0.5)
    peer.reads()
    peer.fleet.faults.lose_reports(100)
    sent = peer.reader.outbox.reads
    peer.run(0.2)
    assert (peer.reads(), peer.reader.outbox.reads) == ([], sent)


def test_ghosts_are_told_of_in_the_truth():
    peer = Peer(fleet_of())
    peer.fleet.faults.ghosts(0.05)
    peer.add()
    told = {epc(read) for read in peer.run(5).reads()}
    strangers = told - set(peer.fleet.world.tags)
    assert strangers
    assert strangers <= set(peer.fleet.world.ghosts)


def test_it_speaks_1_0_1_alone_unless_another_version_was_agreed():
    old = Peer(fleet_of(kind="impinj"))
    answer = old.ask(messages.GET_ROSPECS(), version=2)
    assert int(answer.llrp_status.status_code) == enums.StatusCode.M_UnsupportedVersion
    assert old.order(messages.GET_ROSPECS()).protocol_version == 1
    new = Peer(fleet_of(kind="plain"))
    new.connection.receive(message(46, 900, version=2))
    assert new.raw[-1] == message(56, 900, b"\x01\x02", bytes.fromhex("011f000800000000"), version=2)
    new.connection.receive(message(47, 901, b"\x02", version=2))
    new.run(0.1)
    assert new.ask(messages.GET_ROSPECS(), version=2).protocol_version == 2
    refused = new.ask(messages.GET_ROSPECS(), version=1)
    assert int(refused.llrp_status.status_code) == enums.StatusCode.M_UnsupportedVersion


def test_what_it_does_not_know_it_says():
    peer = Peer(fleet_of())
    peer.connection.receive(message(45, 77))
    answer = peer.heard.pop()
    assert isinstance(answer, messages.ERROR_MESSAGE)
    assert int(answer.llrp_status.status_code) == enums.StatusCode.M_UnsupportedMessage
    peer.connection.receive(message(20, 78, struct.pack(">HH", 177, 9)))
    answer = peer.heard.pop()
    assert isinstance(answer, messages.ADD_ROSPEC_RESPONSE)
    assert int(answer.llrp_status.status_code) == enums.StatusCode.M_ParameterError
    assert peer.order(messages.GET_ROSPECS())


def test_only_an_impinj_knows_impinjs_extensions():
    assert Peer(fleet_of(kind="impinj")).order(impinj.IMPINJ_ENABLE_EXTENSIONS())
    answer = Peer(fleet_of(kind="zebra")).ask(impinj.IMPINJ_ENABLE_EXTENSIONS())
    assert isinstance(answer, messages.ERROR_MESSAGE)


def test_settings_are_taken_over_whole_or_not_at_all():
    peer = Peer(fleet_of())
    good = params.KeepaliveSpec(keepalive_trigger_type=1, periodic_trigger_value=100)
    wrong = params.GPOWriteData(gpo_port_number=9, gpo_data=True)
    half = messages.SET_READER_CONFIG(reset_to_factory_default=False, keepalive_spec=good, gpo_write_datas=[wrong])
    assert int(peer.ask(half).llrp_status.status_code) == enums.StatusCode.A_OutOfRange
    assert keepalives(peer.run(1)) == 0


def test_a_length_that_cannot_be_ends_the_connection():
    peer = Peer(fleet_of())
    peer.connection.receive(struct.pack(">HII", 0x0401, 9, 1))
    assert (peer.closed, peer.reader.client) == (True, None)
    assert Peer(peer.fleet).order(messages.GET_ROSPECS())


def test_bytes_may_come_one_at_a_time():
    peer = Peer(fleet_of())
    for byte in messages.GET_ROSPECS().to_bytes(message_id=55):
        peer.connection.receive(bytes([byte]))
    assert peer.heard[-1].message_id == 55
    data = b"".join(message(72, number) for number in range(50))
    assert [one.number for one in Frames().feed(data)] == list(range(50))


# fault files


def script(tmp_path, entries):
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(entries))
    return path


def test_a_script_is_played(tmp_path):
    fleet = fleet_of(readers=2)
    entries = [{"at_s": 1, "fault": "stall", "seconds": 3, "reader": 2}, {"every_s": 0.5, "fault": "garbage"}]
    peer = Peer(fleet)
    play(fleet, load_script(script(tmp_path, entries), 2))
    fleet.run_until(2)
    assert (fleet.readers[0].stalled, fleet.readers[1].stalled) == (False, True)
    fleet.run_until(30)
    assert fleet.readers[1].stalled is False
    assert len(peer.raw) > 20


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"at_s": 1, "fault": "fly"}, "unknown fault 'fly'"),
        ({"at_s": 1}, "unknown fault None"),
        ({"fault": "cut"}, "needs at_s"),
        ({"at_s": 1, "every_s": 1, "fault": "cut"}, "needs at_s"),
        ({"every_s": 0, "fault": "cut"}, "needs at_s"),
        ({"at_s": "1", "fault": "cut"}, "needs at_s"),
        ({"at_s": 1, "fault": "stall"}, "needs 'seconds'"),
        ({"at_s": 1, "fault": "stall", "seconds": True}, "seconds must be float"),
        ({"at_s": 1, "fault": "cut", "who": 1}, "not ['who']"),
        ({"at_s": 1, "fault": "cut", "reader": 3}, "there is no reader 3"),
        ([], "not an object"),
    ],
)
def test_a_script_that_cannot_be_is_refused(tmp_path, entry, why):
    with pytest.raises(BadScript) as refused:
        load_script(script(tmp_path, [entry]), 2)
    assert why in str(refused.value)
