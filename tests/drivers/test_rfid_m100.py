"""The driver `rfid_m100` against a peer that speaks the whole protocol: in virtual time, over TCP, over a pty."""

import asyncio
from typing import Any

import pytest

from drivers import rfid_m100
from gateway.driver import TagOrder
from gateway.errors import ConfigError, LinkDown, Rejected
from gateway.messages.tags import ReaderHeard, TagReads
from tests.drivers.gen2_chip import Chip
from tests.drivers.m100_peer import NO_TAG, Peer, frame
from tests.drivers.serial_pipes import Pipe, Rig
from tests.virtual_time import VirtualClock, run, stopped

SHIRT, JEANS, SOCKS = (bytes.fromhex(f"3034257BF7194E400000{number:04X}") for number in (0x1A85, 0xBB7E, 3))


def chips(*epcs: bytes) -> list[Chip]:
    return [Chip(epc) for epc in epcs]


def names(*epcs: bytes) -> set[str]:
    return {epc.hex().upper() for epc in epcs}


def rig(peer: Peer, pipe: Pipe | None = None, **settings: Any) -> Rig:
    return Rig(rfid_m100, peer, pipe, **settings)


def test_it_reads_stamps_and_says_that_it_listens() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT, JEANS)))
        await shop.run_for(20)
        assert shop.epcs == names(SHIRT, JEANS)
        first = shop.reads[0]
        assert (first.antenna, first.rssi_cdbm, first.seen) == (1, -5500, 1)
        start_us = int(VirtualClock().epoch_s * 1e6)
        stamps = [read.at_us - start_us for read in shop.reads]
        assert stamps == sorted(stamps)
        assert 0 < stamps[0] < 1_000_000
        assert stamps[-1] == pytest.approx(20e6, abs=300_000)
        assert len(shop.reads) == pytest.approx(2 * 20 / 0.05, rel=0.05)
        assert 8 <= len(shop.heard) <= 10
        assert {heard.antennas for heard in shop.heard} == {(1,)}
        state, reason, evidence, _ = shop.health[-1]
        assert (state, reason) == ("online", "reading")
        assert evidence.startswith("M100 26dBm V1.0 V2.3.5 MagicRF; ")

    run(main)


def test_what_was_heard_comes_before_the_word_that_no_more_was() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT)))
        await shop.run_for(10)
        latest_us = 0
        for message in shop.messages:
            if isinstance(message, TagReads):
                latest_us = message.reads[-1].at_us
            elif isinstance(message, ReaderHeard):
                assert message.at.timestamp() * 1e6 - latest_us < 100_000

    run(main)


def test_the_polling_is_begun_again_before_its_count_is_over() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT))
        shop = rig(peer)
        await shop.run_for(70)
        assert peer.asked.count(0x27) == 3
        gaps = [b.at_us - a.at_us for a, b in zip(shop.reads, shop.reads[1:], strict=False)]
        assert max(gaps) < 500_000

    run(main)


@pytest.mark.parametrize("quiet", [False, True], ids=["tells empty polls", "keeps quiet"])
def test_an_empty_shop_is_heard_too(*, quiet: bool) -> None:
    async def main() -> None:
        shop = rig(Peer(quiet=quiet))
        await shop.run_for(30)
        assert shop.reads == []
        assert len(shop.heard) >= 10
        assert shop.health[-1][0] == "online"
        assert "no tag yet" in shop.health[-1][2]

    run(main)


def test_a_mute_module_is_a_link_that_is_down() -> None:
    async def main() -> None:
        shop = rig(Peer(mute=True))
        with pytest.raises(LinkDown, match="no answer to command 28"):
            await shop.run_for(30)
        assert shop.health[-1][:2] == ("offline", "reader_unreachable")

    run(main)


def test_it_falls_silent_in_the_middle() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT)))
        asyncio.get_running_loop().call_later(10, lambda: setattr(shop.peer, "mute", True))
        with pytest.raises(LinkDown):
            await shop.run_for(60)
        assert asyncio.get_running_loop().time() < 16
        assert shop.heard[-1].at.timestamp() <= VirtualClock().epoch_s + 10.1

    run(main)


def test_a_radio_that_hears_nothing_is_no_empty_shop() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT), deaf_radio=True))
        with pytest.raises(LinkDown, match="its radio does not"):
            await shop.run_for(60)
        assert shop.heard == []

    run(main)


def test_no_tag_that_is_on_its_way_answers_no_question() -> None:
    class Racing(Peer):
        def _obey(self, command: int, given: bytes) -> bytes:
            return NO_TAG + super()._obey(command, given)

    async def main() -> None:
        shop = rig(Racing(), power_dbm=20, session=1)
        await shop.run_for(40)
        assert len(shop.heard) >= 15

    run(main)


def test_settings_are_set_and_read_back() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT))
        await rig(peer, region="eu", power_dbm=20.5, session=1, q=6).run_for(5)
        assert (peer.region, peer.cdbm, peer.query) == (3, 2050, 0x1130)

    run(main)


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT))
        shop = rig(peer, Pipe(delay_s=(0.6, 0.6)), session=1)  # else Rejected: it still says session 0
        await shop.run_for(60)
        assert peer.query == 0x1120
        assert shop.epcs == names(SHIRT)

    run(main)


def test_nothing_is_set_that_is_not_configured() -> None:
    async def main() -> None:
        peer = Peer(chips(SHIRT))
        await rig(peer).run_for(40)
        assert set(peer.asked) == {0x28, 0x03, 0x27}

    run(main)


def test_a_power_that_is_not_taken_needs_a_person() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="power_dbm 30 was not taken, the module keeps 26"):
            await rig(Peer(), power_dbm=30).run_for(5)

    run(main)


def test_ghosts_are_counted_and_not_told() -> None:
    class Ghostly(Peer):
        def _round(self, command: int) -> bytes:
            good = super()._round(command)
            body = bytearray(good[1:-2])
            body[10] ^= 1
            return good + b"\xbb" + bytes(body) + bytes((sum(body) % 256,)) + b"\x7e"

    async def main() -> None:
        shop = rig(Ghostly(chips(SHIRT)))
        await shop.run_for(12)
        assert shop.epcs == names(SHIRT)
        assert "garbled tags left out" in shop.health[-1][2]

    run(main)


async def write(shop: Rig, order: TagOrder) -> str:
    """Run the driver, give it one order; return why it was refused, nothing when it was done."""
    task = asyncio.create_task(shop.driver.run(shop.emit))
    await asyncio.sleep(2)
    try:
        await shop.driver.write_tag(order)
    except Rejected as error:
        return str(error)
    finally:
        await stopped(task)
    return ""


def test_while_a_tag_is_written_tags_answer_every_poll() -> None:
    said = list[tuple[int, int]]()

    class Noting(Peer):
        def _obey(self, command: int, given: bytes) -> bytes:
            said.append((command, self.query))
            return super()._obey(command, given)

    async def main() -> None:
        peer = Noting(chips(SHIRT))
        new_epc = JEANS.hex().upper()
        assert (
            await write(rig(peer, session=2, allow_writes=True), TagOrder("encode", SHIRT.hex().upper(), 1, new_epc))
            == ""
        )
        before = [query for command, query in said[: [command for command, _ in said].index(0x49)] if command == 0x22]
        assert before == 8 * [0x1020]
        assert peer.query == 0x1220

    run(main)


def test_a_tag_that_answers_for_another_is_found_out() -> None:
    class Mistaken(Peer):
        def _access(self, command: int, *_: bytes) -> bytes:
            named = bytes((14,)) + b"\x30\x00" + SOCKS
            return frame(1, command, named + b"\0")

    async def main() -> None:
        order = TagOrder("encode", SHIRT.hex().upper(), 1, JEANS.hex().upper())
        reason = await write(rig(Mistaken(chips(SHIRT)), allow_writes=True), order)
        assert reason == f"another tag answered: {SOCKS.hex().upper()}"

    run(main)
