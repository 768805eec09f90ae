"""The driver `rfid_uhf288` against a peer that speaks the whole protocol: in virtual time, over TCP, over a pty."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from drivers import rfid_uhf288
from gateway.driver import TagOrder
from gateway.errors import ConfigError, LinkDown, Rejected
from tests.drivers.gen2_chip import Chip
from tests.drivers.serial_pipes import Pipe, Rig
from tests.drivers.uhf288_peer import Peer, answer
from tests.virtual_time import VirtualClock, run, stopped

EPCS = [bytes.fromhex(f"3034257BF7194E400000{number:04X}") for number in range(20)]
SHIRT, JEANS, SOCKS = EPCS[:3]


def chips(*epcs: bytes, antenna: int = 1) -> list[Chip]:
    return [Chip(epc, rssi=0x50, antenna=antenna) for epc in epcs]


def names(*epcs: bytes) -> set[str]:
    return {epc.hex().upper() for epc in epcs}


def rig(peer: Peer, pipe: Pipe | None = None, **settings: Any) -> Rig:
    return Rig(rfid_uhf288, peer, pipe, **settings)


def test_it_reads_antenna_by_antenna() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(*EPCS[:8]) + chips(*EPCS[8:], antenna=2), mask=0b0011))
        await shop.run_for(20)
        assert shop.epcs == names(*EPCS)
        assert {(read.epc, read.antenna) for read in shop.reads} == {
            (epc.hex().upper(), 1 if at < 8 else 2) for at, epc in enumerate(EPCS)
        }
        assert {read.rssi_cdbm for read in shop.reads} == {None}  # raw figures are no power
        assert 6 <= len(shop.heard) <= 10
        assert {heard.antennas for heard in shop.heard[1:]} == {(1, 2)}
        assert shop.health[-1][:2] == ("online", "reading")
        assert shop.health[-1][2].startswith("type 0C version 0.22, 30 dBm; ")

    run(main)


def test_a_measured_offset_makes_power_of_the_raw_figure() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT)), rssi_offset_db=-130)
        await shop.run_for(3)
        assert {read.rssi_cdbm for read in shop.reads} == {-5000}

    run(main)


@pytest.mark.parametrize("ports", [4, 16])
def test_the_antennas_of_the_configuration_win(ports: int) -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT, antenna=3), ports=ports)
        shop = rig(peer, antennas=(3, 4), ports=ports, q=6, session=1, scan_time_s=0.3)
        await shop.run_for(5)
        assert {read.antenna for read in shop.reads} == {3}
        asked = {given for command, given in peer.asked if command == 0x01}
        assert asked == {bytes((6, 1, 0, 0x82, 3)), bytes((6, 1, 0, 0x83, 3))}

    run(main)


def test_tags_that_rest_are_asked_for_the_other_target() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT, JEANS)), session=2)
        await shop.run_for(20)
        assert len([read for read in shop.reads if read.epc in names(SHIRT)]) > 5

    run(main)


def test_an_old_reader_tells_neither_antenna_nor_power() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT, JEANS, SOCKS), kind=9)
        shop = rig(peer, rssi_offset_db=-130)
        await shop.run_for(8)
        assert shop.epcs == names(SHIRT, JEANS, SOCKS)
        assert {(read.antenna, read.rssi_cdbm) for read in shop.reads} == {(1, None)}
        assert {given for command, given in peer.asked if command == 0x01} == {b""}

    run(main)


def test_an_empty_shop_is_heard_too() -> None:
    async def main() -> None:
        shop = rig(Peer())
        await shop.run_for(20)
        assert shop.reads == []
        assert len(shop.heard) >= 6
        assert shop.health[-1][0] == "online"

    run(main)


def test_a_torn_antenna_is_named_and_not_heard_with() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT), mask=0b0101, torn={3}))
        await shop.run_for(15)
        assert {heard.antennas for heard in shop.heard} == {(1,)}
        state, reason, evidence, _ = shop.health[-1]
        assert (state, reason) == ("degraded", "antenna_down")
        assert evidence.startswith("antenna 3: the antenna is not connected")

    run(main)


def test_an_inventory_that_is_refused_is_no_empty_shop() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT), status=0xFF))
        await shop.run_for(15)
        assert shop.heard == []
        assert shop.health[-1][:2] == ("degraded", "inventory_refused")
        assert "a parameter is wrong" in shop.health[-1][2]

    run(main)


def test_a_reader_that_pushes_is_listened_to() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT) + chips(JEANS, antenna=2), pushing=True, mask=0b0011))
        await shop.run_for(30)
        assert {(read.epc, read.antenna) for read in shop.reads} == {(SHIRT.hex().upper(), 1), (JEANS.hex().upper(), 2)}
        assert len(shop.reads) > 1000
        assert len(shop.heard) >= 10
        assert {heard.antennas for heard in shop.heard} == {(1, 2)}

    run(main)


def test_heartbeats_of_a_pushing_reader_keep_it_heard() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT), pushing=True)
        shop = rig(peer)
        asyncio.get_running_loop().call_later(10, peer.chips.clear)
        await shop.run_for(300)
        assert len([heard for heard in shop.heard if heard.at.timestamp() > VirtualClock().epoch_s + 20]) == 9
        assert shop.health[-1][0] == "online"

    run(main)


def test_a_pushing_reader_without_heartbeat_cannot_prove_that_it_reads() -> None:
    async def main() -> None:
        shop = rig(Peer(pushing=True, beats=False))
        with pytest.raises(LinkDown, match="switch its heartbeat on"):
            await shop.run_for(100)
        assert shop.heard == []

    run(main)


def test_settings_lie_in_eeprom_and_are_written_only_when_they_differ() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT))
        await rig(peer, region="china_900", power_dbm=26).run_for(3)
        assert (peer.power, peer.band) == (26, bytes((0x13, 0x40)))
        peer.asked.clear()
        await rig(peer, region="china_900", power_dbm=26).run_for(3)
        assert {command for command, _ in peer.asked} == {0x21, 0x01}

    run(main)


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT))
        await rig(peer, Pipe(delay_s=(0.6, 0.6)), power_dbm=20).run_for(20)  # else ConfigError: it still says 30
        assert peer.power == 20

    run(main)


@pytest.mark.parametrize(("setting", "value"), [("power_dbm", 20), ("region", "us")])
def test_a_setting_that_is_not_taken_needs_a_person(setting: str, value: Any) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=f"{setting} {value} was not taken"):
            await rig(Peer(stuck=True), **{setting: value}).run_for(5)

    run(main)


def test_a_mute_reader_is_a_link_that_is_down() -> None:
    async def main() -> None:
        shop = rig(Peer(mute=True))
        with pytest.raises(LinkDown, match="no answer to command 21, asked 6 times; not a single byte came"):
            await shop.run_for(30)
        assert shop.health[-1][:2] == ("offline", "reader_unreachable")

    run(main)


def test_it_falls_silent_in_the_middle() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT)))
        asyncio.get_running_loop().call_later(10, lambda: setattr(shop.peer, "mute", True))
        with pytest.raises(LinkDown):
            await shop.run_for(60)
        assert asyncio.get_running_loop().time() < 20
        assert shop.heard[-1].at.timestamp() <= VirtualClock().epoch_s + 10.1

    run(main)


class Unending(Peer):
    """A reader whose inventories lose their last frame, and one of two tags with it."""

    def _inventory(self, given: bytes) -> None:
        super()._inventory(given)
        self._later = answer(0x01, 0x03, b"\x01\x01" + self._block(self.chips[0]))


def long(epc: bytes) -> list[Chip]:
    return [Chip((epc * 3)[:32], kill=b"kill")]


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (
            Peer([Chip(SHIRT, kill=b"kill")], pushing=True),
            "the reader is in real time mode: it takes no orders about tags",
        ),
        (Peer(long(SHIRT)), "the reader can name EPCs of up to 15 words, this one has 16"),
        (Unending([Chip(SHIRT, kill=b"kill"), Chip(JEANS)]), "the reader does not end its inventories"),
    ],
    ids=["pushing", "long EPC", "unending"],
)
def test_no_order_that_this_reader_cannot_do_for_sure(peer: Peer, reason: str, tmp_path: Path) -> None:
    (tmp_path / "kill").write_text(b"kill".hex())

    async def main() -> None:
        shop = rig(peer, allow_writes=True, kill_password_file=tmp_path / "kill")
        task = asyncio.create_task(shop.driver.run(shop.emit))
        await asyncio.sleep(1)
        with pytest.raises(Rejected, match=reason):
            await shop.driver.write_tag(TagOrder("kill", peer.chips[0].epc.hex().upper(), 1))
        assert not peer.chips[0].killed
        await stopped(task)

    run(main)
