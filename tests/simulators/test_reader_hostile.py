"""Hostile clients of the simulated reader: whatever bytes come, it goes on, answers the next one, and stays small."""

import asyncio
import contextlib
import gc
import tracemalloc
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llrpkit import Reader as Client
from llrpkit.inventory import build_rospec
from llrpkit.protocol import messages, params

from drivers.simulators._reader_kind import MOST_ACCESS_SPECS, MOST_ROSPECS
from drivers.simulators._reader_serve import MOST_BUFFERED, serving
from drivers.simulators._reader_wire import MAX_MESSAGE, BadMessage, Frames, LostStep, message, parameters
from tests.simulators.reader_peer import Peer, fleet_of


def access_spec(number=1):
    target = params.C1G2TargetTag(mb=1, match=True, pointer=0x20)
    ops = [
        params.C1G2Read(op_spec_id=1, access_password=0, mb=2, word_pointer=0, word_count=0),
        params.C1G2Write(op_spec_id=2, access_password=0, mb=3, word_pointer=1, write_data=[1, 2]),
        params.C1G2Kill(op_spec_id=3, kill_password=0),
        params.C1G2Lock(
            op_spec_id=4, access_password=0, c1_g2_lock_payloads=[params.C1G2LockPayload(privilege=0, data_field=2)]
        ),
    ]
    return params.AccessSpec(
        access_spec_id=number,
        antenna_id=0,
        protocol_id=1,
        current_state=False,
        ro_spec_id=0,
        access_spec_stop_trigger=params.AccessSpecStopTrigger(access_spec_stop_trigger=0, operation_count_value=0),
        access_command=params.AccessCommand(
            air_protocol_tag_spec=params.C1G2TagSpec(c1_g2_target_tags=[target]), access_command_op_specs=ops
        ),
    )


def seeds():
    """One good message of every kind that a client has."""
    rospec = build_rospec(epc_filter="30", mode_index=2, transmit_power_index=5, duration_ms=100, gpi_trigger_port=1)
    rospec.ro_report_spec.n = 3
    config = messages.SET_READER_CONFIG(
        reset_to_factory_default=True,
        keepalive_spec=params.KeepaliveSpec(keepalive_trigger_type=1, periodic_trigger_value=50),
        ro_report_spec=rospec.ro_report_spec,
        gpo_write_datas=[params.GPOWriteData(gpo_port_number=1, gpo_data=True)],
        reader_event_notification_spec=params.ReaderEventNotificationSpec(
            event_notification_states=[
                params.EventNotificationState(event_type=kind, notification_state=True) for kind in range(9)
            ]
        ),
    )  # fmt: skip
    found = [
        messages.GET_READER_CAPABILITIES(),
        messages.GET_READER_CONFIG(antenna_id=0, requested_data=0, gpi_port_num=0, gpo_port_num=0),
        config,
        messages.ADD_ROSPEC(ro_spec=rospec),
        messages.ADD_ROSPEC(ro_spec=build_rospec(ro_spec_id=2, enable_impinj_reports=True, include_phase=True)),
        messages.ADD_ACCESSSPEC(access_spec=access_spec()),
        messages.GET_ROSPECS(),
        messages.GET_ACCESSSPECS(),
        messages.GET_REPORT(),
        messages.ENABLE_EVENTS_AND_REPORTS(),
        messages.KEEPALIVE_ACK(),
    ]
    for name in ("ENABLE", "START", "STOP", "DISABLE", "DELETE"):
        found.append(getattr(messages, f"{name}_ROSPEC")(ro_spec_id=2))
        if name not in ("START", "STOP"):
            found.append(getattr(messages, f"{name}_ACCESSSPEC")(access_spec_id=1))
    return [one.to_bytes(message_id=number) for number, one in enumerate(found, 1)]


SEEDS = seeds()


def mutated(rng, data):
    """One message with some bytes changed, put in or cut out; mostly with a length that is right again."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(2, len(found))
        match rng.randrange(4):
            case 0:
                found[at] = rng.randrange(256)
            case 1:
                found[at:at] = rng.randbytes(rng.randint(1, 5))
            case 2:
                del found[at : at + rng.randint(1, 5)]
            case 3:
                found[at] ^= 1 << rng.randrange(8)
        found = found.ljust(10, b"\0")
    if rng.random() < 0.98:
        found[2:6] = len(found).to_bytes(4)
    return bytes(found)


def abuse(rounds, seed):
    """Throw mutated messages at one reader while it works; returns the fleet."""
    rng = Random(seed)
    fleet = fleet_of(tags=50, reads_per_s=200)
    peer = Peer(fleet)
    for number in range(rounds):
        if peer.closed or peer.connection._frames._held:  # out of step: it would wait for the rest for ever
            fleet.readers[0].hang_up()
            peer = Peer(fleet)
        data = rng.choice(SEEDS)
        peer.connection.receive(mutated(rng, data) if rng.random() < 0.5 else data)
        if number % 10 == 0:
            peer.run(0.05)
            peer.raw.clear()
            peer.heard.clear()
    return fleet


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_wrong_messages_do_no_harm(seed):
    fleet = abuse(150, seed)
    if fleet.readers[0].client is not None:
        fleet.readers[0].hang_up()
    fleet.faults.restart()
    peer = Peer(fleet)
    assert peer.order(messages.GET_ROSPECS()).ro_specs == []
    peer.add()
    assert peer.run(1).reads()


def live_by(rounds, seed):
    """Run every mutated ROSpec and AccessSpec that the reader takes; returns how many it took and read with."""
    rng = Random(seed)
    fleet = fleet_of(tags=30, reads_per_s=300)
    reader, taken, lived = fleet.readers[0], 0, 0
    good = [one for one in SEEDS if one[1] in (20, 40, 3)]  # ADD_ROSPEC, ADD_ACCESSSPEC, SET_READER_CONFIG
    for _ in range(rounds):
        fleet.faults.restart()
        peer, before = Peer(fleet), reader.outbox.reads
        for one in rng.sample(good, len(good)):
            data = mutated(rng, one)
            peer.connection.receive(data[:2] + len(data).to_bytes(4) + data[6:])
        if reader.inventory.jobs:
            taken += 1
            number = rng.choice(list(reader.inventory.jobs))
            peer.ask(messages.ENABLE_ACCESSSPEC(access_spec_id=0))
            peer.ask(messages.ENABLE_ROSPEC(ro_spec_id=0))
            peer.ask(messages.START_ROSPEC(ro_spec_id=number))
            fleet.faults.gpi(1, True)
            peer.run(0.3)
            fleet.faults.gpi(1, False)
            peer.ask(messages.DELETE_ROSPEC(ro_spec_id=0))
            lived += reader.outbox.reads > before
    return taken, lived


def test_whatever_spec_is_taken_can_be_lived_by():
    taken, lived = live_by(300, seed=7)
    assert taken >= lived > 30  # else this test would try nothing


@pytest.mark.soak
def test_a_million_wrong_messages():
    for seed in range(50):
        abuse(20_000, seed)
        live_by(500, seed)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_a_stream_is_cut_alike_however_it_arrives(data, cuts):
    def frames(pieces):
        cutter, found = Frames(), []
        try:
            for piece in pieces:
                for one in cutter.feed(piece):
                    found.append(one)  # noqa: PERF402 (what came before the stream was lost counts)
        except LostStep:
            found.append("lost")
        return found

    stream = message(1, 1, b"abc") + data
    marks = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    assert frames([stream[a:b] for a, b in pairwise(marks)]) == frames([stream])


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=100))
def test_parameters_are_followed_to_the_end_or_refused(data):
    with contextlib.suppress(BadMessage):
        assert b"".join(one.raw for one in parameters(data)) == data


def test_wishes_do_not_pile_up():
    fleet = fleet_of()
    peer = Peer(fleet)
    for number in range(1, 100):
        spec = build_rospec(ro_spec_id=number, duration_ms=4_000_000_000)
        peer.ask(messages.ADD_ROSPEC(ro_spec=spec))
        peer.ask(messages.ADD_ACCESSSPEC(access_spec=access_spec(number)))
        peer.ask(messages.ENABLE_ROSPEC(ro_spec_id=number))
    assert len(fleet.readers[0].inventory.jobs) == MOST_ROSPECS
    assert len(peer.order(messages.GET_ACCESSSPECS()).access_specs) == MOST_ACCESS_SPECS
    for _ in range(200):
        peer.ask(messages.START_ROSPEC(ro_spec_id=1))
        peer.ask(messages.STOP_ROSPEC(ro_spec_id=1))
    assert len(fleet.timeline._due) < 5


def test_a_million_bytes_leave_nothing_behind():
    fleet = fleet_of(tags=50)
    peer = Peer(fleet)
    rubbish = message(999, 1, bytes(1000))

    def feed(times):
        for _ in range(times):
            peer.connection.receive(rubbish)
            peer.raw.clear()
            peer.heard.clear()
        gc.collect()

    feed(50)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        feed(1000)
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_a_long_message_is_awaited_no_further_than_it_may_be():
    peer = Peer(fleet_of())
    peer.connection.receive((0x0401).to_bytes(2) + (MAX_MESSAGE + 1).to_bytes(4) + bytes(4))
    assert peer.closed


async def test_rubbish_over_a_socket_ends_one_connection_only():
    fleet = fleet_of(tags=10)
    rng = Random(5)
    async with asyncio.timeout(120), serving(fleet) as ports:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", ports.readers[0])
            assert len(await reader.readexactly(32)) == 32
            good = b"".join(rng.sample(SEEDS, 5))
            writer.write(rng.randbytes(500) if rng.random() < 0.5 else good + b"GET / HTTP/1.1\r\n")
            with contextlib.suppress(ConnectionError):
                await writer.drain()
                writer.write_eof()
                await reader.read()
            writer.close()
            while fleet.readers[0].client is not None:  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.001)
        async with Client("127.0.0.1", ports.readers[0]) as client:
            assert client.max_antennas == 4


async def test_a_client_that_does_not_read_fills_nothing_up():
    fleet = fleet_of(tags=3000, reads_per_s=20_000, kind="plain")
    box = fleet.readers[0].outbox
    async with asyncio.timeout(120), serving(fleet) as ports:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports.readers[0], limit=1000)
        writer.transport.pause_reading()
        spec = build_rospec(enable_impinj_reports=True, include_tid=True)
        writer.write(messages.ADD_ROSPEC(ro_spec=spec).to_bytes(message_id=1))
        writer.write(messages.ENABLE_ROSPEC(ro_spec_id=1).to_bytes(message_id=2))
        writer.write(messages.START_ROSPEC(ro_spec_id=1).to_bytes(message_id=3))
        while not box.lost:  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)
        line = fleet.readers[0].client.line
        assert line.full
        assert len(line._out) <= MOST_BUFFERED + 100_000
        assert box.held <= fleet.readers[0].kind.buffered
        kept = box.held
        writer.transport.resume_reading()
        while box.held >= kept:
            assert await reader.read(65536)
        writer.close()


async def test_who_asks_and_does_not_read_is_answered_no_further():
    fleet = fleet_of()
    requests = messages.GET_READER_CAPABILITIES().to_bytes(message_id=1) * 20_000
    async with asyncio.timeout(120), serving(fleet) as ports:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports.readers[0], limit=1000)
        writer.transport.pause_reading()
        while (client := fleet.readers[0].client) is None or not client.line.full:
            writer.write(requests)
            await asyncio.sleep(0.001)
        while writer.transport.get_write_buffer_size() < len(requests):  # until the reader takes no more
            writer.write(requests)
            await asyncio.sleep(0.001)
        assert fleet.readers[0].client is client
        line = client.line
        assert line._transport.get_write_buffer_size() + len(line._out) < 2 * MOST_BUFFERED
        writer.transport.resume_reading()
        told = 0
        while told < 3 * MOST_BUFFERED:  # and it goes on when its answers are read
            told += len(await reader.read(1 << 16))
        writer.close()
