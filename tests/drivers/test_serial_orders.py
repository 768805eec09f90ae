"""Orders to write tags when the way fails: nothing is told as done that is not, nothing is done twice."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from drivers._m100_pen import ModulePen
from drivers._m100_talk import Module
from drivers._serial_writes import Pen, TagRefused
from drivers._uhf288_pen import ReaderPen
from drivers._uhf288_talk import Reader
from gateway.errors import LinkDown
from tests.drivers.gen2_chip import LOCKED, NONE, Chip, RefusedError
from tests.drivers.serial_pipes import Pipe, Rig, VirtualLine
from tests.drivers.write_kit import ACCESS, FAMILIES, KILL, NEW, OLD, chip, order, refusal, told
from tests.virtual_time import run, stopped

pytestmark = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Any]:
    for name, password in (("access", ACCESS), ("kill", KILL)):
        (tmp_path / name).write_text(password.hex() + "\n")
    return {
        "allow_writes": True,
        "access_password_file": tmp_path / "access",
        "kill_password_file": tmp_path / "kill",
    }


def test_orders_before_and_after_a_connection_are_refused(family: str, secrets: dict[str, Any]) -> None:
    module, kind = FAMILIES[family]

    async def main() -> None:
        shop = Rig(module, kind([chip(kill=KILL)]), **secrets)
        assert await refusal(shop.driver.write_tag(order("kill"))) == "the reader is not connected"
        task = asyncio.create_task(shop.driver.run(shop.emit))
        await asyncio.sleep(2)
        waiting = [asyncio.create_task(refusal(shop.driver.write_tag(order("kill")))) for _ in range(6)]
        await asyncio.sleep(0.2)
        assert shop.line is not None
        shop.line.unplug()
        reasons = await asyncio.gather(*waiting)
        assert [reason for reason in reasons if "orders wait already" in reason] != []
        assert all(reasons)
        assert not shop.peer.chips[0].killed or "look at the tag" in reasons[0]
        await asyncio.wait({task})
        assert task.exception() is not None

    run(main)


def test_an_order_whose_sender_gave_up_is_not_done(family: str, secrets: dict[str, Any]) -> None:
    module, kind = FAMILIES[family]

    async def main() -> None:
        shop = Rig(module, kind([chip(kill=KILL)]), **secrets)
        task = asyncio.create_task(shop.driver.run(shop.emit))
        await asyncio.sleep(2)
        giving_up = asyncio.create_task(shop.driver.write_tag(order("kill")))
        await asyncio.sleep(0)
        giving_up.cancel()
        await asyncio.sleep(20)
        assert not shop.peer.chips[0].killed
        await stopped(task)

    run(main)


def test_a_bad_line_never_writes_the_wrong_thing(family: str, secrets: dict[str, Any]) -> None:
    """Whatever gets lost: what is told as done is done, and no tag gets an EPC that nobody asked for."""
    outcomes = []
    for seed in range(12):
        tag = chip()
        pipe = Pipe(lose=0.01, noise=0.1)
        pipe.rng.seed(seed)
        outcomes.append(reason := told(family, [tag], order("encode", new_epc=NEW), pipe=pipe, **secrets))
        assert tag.epc.hex().upper() in {OLD, NEW}
        if not reason:
            assert tag.epc.hex().upper() == NEW
    assert "" in outcomes


def test_a_write_whose_answer_got_lost_is_found_out(family: str, secrets: dict[str, Any]) -> None:
    module, kind = FAMILIES[family]

    class LosesOneAnswer(kind):  # type: ignore[misc, valid-type]
        def feed(self, data: bytes) -> bytes:
            before = self.chips[0].epc
            out: bytes = super().feed(data)
            return out if self.chips[0].epc == before else b""

    async def main() -> None:
        shop = Rig(module, LosesOneAnswer([chip()]), **secrets)
        task = asyncio.create_task(shop.driver.run(shop.emit))
        await asyncio.sleep(2)
        assert await refusal(shop.driver.write_tag(order("encode", new_epc=NEW))) == ""
        await stopped(task)

    run(main)


def test_a_kill_is_not_repeated_blindly(family: str, secrets: dict[str, Any]) -> None:
    module, kind = FAMILIES[family]
    command = {"m100": 0x65, "uhf288": 0x05}[family]

    class SaysNothing(kind):  # type: ignore[misc, valid-type]
        def _obey(self, asked: int, given: bytes) -> bytes:
            out: bytes = super()._obey(asked, given)
            return b"" if asked == command else out

    async def main() -> None:
        shop = Rig(module, SaysNothing([chip(kill=KILL)]), **secrets)
        task = asyncio.create_task(shop.driver.run(shop.emit))
        await asyncio.sleep(2)
        assert "look at the tag before you try again" in await refusal(shop.driver.write_tag(order("kill")))
        asked = [one if isinstance(one, int) else one[0] for one in shop.peer.asked]
        assert asked.count(command) == 1
        await asyncio.wait({task})
        assert isinstance(task.exception(), LinkDown)

    run(main)


def test_a_late_yes_to_one_write_is_no_yes_to_the_next(family: str) -> None:
    """On a slow way a question is asked twice, and its second answer comes when the next one is asked already."""

    class Half(Chip):
        def write(self, bank: int, word: int, data: bytes, password: bytes) -> None:
            if word == 0:
                raise RefusedError(LOCKED)
            super().write(bank, word, data, password)

    _, kind = FAMILIES[family]

    async def main() -> None:
        line = VirtualLine(kind([Half(bytes.fromhex(OLD))]), Pipe(delay_s=(2.1, 2.1)))
        pen: Pen = (
            ModulePen(Module(line))
            if family == "m100"
            else ReaderPen(Reader(line, 0), (1,), 4, plain=False, scan_time=5)
        )
        await pen.write(bytes.fromhex(OLD), 0, 2, ACCESS, NONE)
        with pytest.raises(TagRefused, match="memory is locked"):
            await pen.write(bytes.fromhex(OLD), 0, 0, KILL, NONE)

    run(main)


def test_no_password_is_logged(family: str, secrets: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told(family, [chip()], order("lock"), order("kill"), **secrets)
    told(family, [chip(access=KILL, locked=True)], order("lock"), **secrets)
    for spelling in (ACCESS.hex(), KILL.hex(), repr(ACCESS), repr(KILL)):
        assert spelling.lower() not in caplog.text.lower()
    assert NONE.hex() not in caplog.text
