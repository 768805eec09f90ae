"""The simulated reader before llrpkit's client, written by others: every tag is read, written and told apart."""

import asyncio
import time

import pytest
from llrpkit import Reader as Client
from llrpkit.client import LLRPClient, check_status
from llrpkit.exceptions import LLRPConnectionError, LLRPStatusError
from llrpkit.inventory import build_rospec
from llrpkit.protocol import enums, messages, params

from drivers.simulators._reader_serve import serving
from drivers.simulators.reader import FleetConfig, ReaderFleet, Stock

DEADLINE_S = 120.0  # a deadline, not a measure


def fleet_of(tags=120, **config):
    stock = Stock(tags=tags, seed=1, odd_share=config.pop("odd_share", 0.1))
    return ReaderFleet(FleetConfig(**{"stock": stock, "reads_per_s": 4000.0, "epoch_s": time.time()} | config))


async def fleet_says(true):
    while not true():  # noqa: ASYNC110 (nothing tells of it)
        await asyncio.sleep(0.01)


async def test_it_reads_every_tag_and_no_other_but_ghosts():
    fleet = fleet_of(ghost_share=0.01)
    told = {}
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports, Client("127.0.0.1", ports.readers[0]) as client:
        assert client.is_impinj
        assert client.max_antennas == 4
        assert client.capabilities.power_index_for_dbm(30.0) == 81
        assert await client.get_temperature() == 41.0
        async for tag in client.inventory(duration=100, include_phase=True, include_doppler=True, include_tid=True):
            told[tag.epc] = tag
            if set(fleet.world.tags) <= set(told):
                break
    assert set(told) - set(fleet.world.tags) <= set(fleet.world.ghosts)
    assert {len(epc) for epc in fleet.world.tags} == {12, 16, 26}  # SGTIN-96, 128 bits, SGTIN-198 padded
    for epc, tag in fleet.world.tags.items():
        assert told[epc].tid == tag.tid
        assert -95 < told[epc].rssi_dbm < -25
        assert abs(told[epc].last_seen_us / 1e6 - time.time()) < 2 * DEADLINE_S


def is_alone(tag, tags):
    """llrpkit gives the EPC as its own mask, so that it means every tag that has these bits set and perhaps more."""
    bits = int.from_bytes(tag.epc)
    return all(other is tag or int.from_bytes(other.epc) & bits != bits for other in tags)


async def test_it_writes_reads_locks_and_kills():
    fleet = fleet_of(tags=20, odd_share=0.0)
    port_of = serving(fleet)
    async with asyncio.timeout(DEADLINE_S), port_of as ports, Client("127.0.0.1", ports.readers[0]) as client:
        tag = next(tag for tag in fleet.world.items if tag.hit == 1.0 and is_alone(tag, fleet.world.items))
        old, new = tag.epc, bytes.fromhex("3034257BF7194E4000001A85")
        assert (await client.write_epc(new, target_epc=old)).ok
        assert (tag.epc, fleet.world.tags[new]) == (new, tag)
        assert old not in fleet.world.tags
        assert (await client.write_memory(bank="reserved", data="0000BEEF0000CAFE", target_epc=new)).ok
        assert (await client.read_memory(bank="tid", target_epc=new)).data == tag.tid
        wrong = await client.kill_tag(kill_password=1, target_epc=new)
        assert (wrong.status, tag.killed) == ("Nonspecific_Tag_Error", False)
        open_write = await client.write_memory(bank="user", data="0102", target_epc=new)
        assert open_write.ok  # a password protects nothing that is not locked
        assert (await client.kill_tag(kill_password=0xBEEF, target_epc=new)).ok
        assert tag.killed
        told = [one.epc async for one in client.inventory(duration=0.4)]
        assert told
        assert new not in told


async def test_a_second_client_is_told_that_the_place_is_taken():
    fleet = fleet_of(tags=1)
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports:
        async with LLRPClient("127.0.0.1", ports.readers[0]) as first:
            with pytest.raises(LLRPConnectionError, match="Failed_A_Client_Initiated_Connection_Already_Exists"):
                await LLRPClient("127.0.0.1", ports.readers[0]).connect()
            event = (await first.events.get()).reader_event_notification_data.connection_attempt_event
            assert event.status == enums.ConnectionAttemptStatusType.Another_Connection_Attempted
        async with LLRPClient("127.0.0.1", ports.readers[0]) as again:
            assert again.connected
    assert fleet.readers[0].refused == 1


async def test_it_refuses_what_it_did_not_offer():
    fleet = fleet_of(tags=1)
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports, Client("127.0.0.1", ports.readers[0]) as client:
        for wrong in ({"antennas": [9]}, {"transmit_power_index": 999}, {"mode_index": 77}):
            with pytest.raises(LLRPStatusError) as refused:
                check_status(await client.client.transact(messages.ADD_ROSPEC(ro_spec=build_rospec(**wrong))))
            assert refused.value.status_code == enums.StatusCode.A_OutOfRange


async def test_it_tells_its_settings_back():
    fleet = fleet_of(tags=1)
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports, Client("127.0.0.1", ports.readers[0]) as client:
        await client.set_keepalive(30)
        await client.set_gpo(2, state=True)
        await client.set_gpi_enabled(3, enabled=False)
        state = await client.get_gpio()
        assert state.gpos == {1: False, 2: True, 3: False, 4: False}
        assert state.gpis[3] == "disabled"
        config = await client.get_config()
        assert config.keepalive_spec.periodic_trigger_value == 30
        assert len(config.antenna_properties) == 4
        with pytest.raises(LLRPStatusError):
            await client.set_gpo(9, state=True)
        await fleet_says(lambda: fleet.readers[0].acknowledged >= 3)
    assert isinstance(config.ro_report_spec, params.ROReportSpec)
    assert isinstance(config, messages.GET_READER_CONFIG_RESPONSE)
