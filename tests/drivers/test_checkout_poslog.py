"""The watched folder: documents of captures become sales once, files are put away, a damaged one stops nobody."""

import asyncio
import shutil
from pathlib import Path

import pytest

from drivers.checkout_poslog import Config, Driver
from gateway import messages as m
from gateway.driver import Services
from gateway.errors import DeviceError
from tests.drivers.test_checkout_upload import HEAD, TAIL, transaction
from tests.gateway.desk_rig import SHOP, DeskRig

CAPTURES = Path(__file__).parent / "captures" / "poslog"


class Watched:
    """A driver on a folder, before the real desk."""

    def __init__(self, rig, folder):
        self.rig, self.folder, self.said = rig, folder, []
        config = Config(id="poslog", driver="checkout_poslog", folder=folder, look_s=0.1)
        report = lambda *said: self.said.append(said)  # noqa: E731
        self.driver = Driver(config, Services(clock=rig, report=report, tills=rig.desk, shop=SHOP))

    async def work(self, documents):
        """Run until this many documents were imported."""
        before = len(self.rig.of(m.PoslogImported))
        task = asyncio.create_task(self.driver.run(self.rig.core.emit))
        async with asyncio.timeout(30):
            while len(self.rig.of(m.PoslogImported)) < before + documents or [*self.folder.glob("*.xml")]:
                await asyncio.sleep(0.01)
                assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        return self.rig.of(m.PoslogImported)[before:]


@pytest.fixture
async def watched(tmp_path):
    folder = tmp_path / "poslog"
    folder.mkdir()
    async with DeskRig(tmp_path) as rig:
        yield Watched(rig, folder)


@pytest.mark.parametrize("capture", ["sales_2.xml", "sales_6.xml", "chinese_gb18030.xml", "wide_utf16.xml"])
async def test_a_document_becomes_sales_once_however_often_it_comes(watched, capture):
    shutil.copy(CAPTURES / capture, watched.folder)
    (first,) = await watched.work(1)
    assert first.transactions > 0
    assert (first.refused, first.duplicates) == (0, 0)
    lines = len(watched.rig.of(m.SaleLine))
    baskets = [fact.amount_minor for fact in watched.rig.of(m.SaleBasket)]
    assert sum(baskets) == sum(fact.amount_minor for fact in watched.rig.of(m.SaleLine))
    shutil.copy(CAPTURES / capture, watched.folder)
    await watched.rig.restart()
    again = Watched(watched.rig, watched.folder)
    (second,) = await again.work(1)
    assert (second.transactions, second.duplicates) == (0, first.transactions)
    assert len(watched.rig.of(m.SaleLine)) == lines
    assert sorted(path.name for path in (watched.folder / "done").iterdir()) == [
        f"{Path(capture).stem}.2.xml",
        capture,
    ]


async def test_a_commit_is_small_so_that_tills_are_answered_in_between(watched, monkeypatch):
    keep, commits = watched.rig.desk.import_sales, []

    async def count(sales):
        commits.append([len(sale.lines) for sale in sales])
        return await keep(sales)

    monkeypatch.setattr(watched.rig.desk, "import_sales", count)
    body = HEAD + b"".join(transaction(number, 20) for number in range(60)) + TAIL
    (watched.folder / "long.xml").write_bytes(body)
    (fact,) = await watched.work(1)
    assert (fact.transactions, fact.lines) == (60, 1200)
    assert commits == [[20] * 25, [20] * 25, [20] * 10]


async def test_voids_and_returns_take_back_what_was_sold(watched):
    shutil.copy(CAPTURES / "returns_and_voids_2.xml", watched.folder)
    (fact,) = await watched.work(1)
    assert fact.refused == 0
    assert any(line.amount_minor < 0 for line in watched.rig.of(m.SaleLine))
    assert all(line.origin == "poslog" for line in watched.rig.of(m.SaleLine))


async def test_a_damaged_document_gives_what_it_has_and_is_put_aside_with_the_reason(watched):
    for capture in ("damaged_middle.xml", "cut_off.xml", "sales_2.xml"):
        shutil.copy(CAPTURES / capture, watched.folder)
    facts = {fact.document: fact for fact in await watched.work(3)}
    assert facts["sales_2.xml"].refused == 0
    for name in ("damaged_middle.xml", "cut_off.xml"):
        assert facts[name].refused > 0
        reason = (watched.folder / "refused" / name).with_suffix(".reason.txt").read_text("utf-8").strip()
        assert reason == facts[name].first_refusal
        assert facts[name].transactions > 0


async def test_what_is_no_document_is_refused_and_the_next_one_read(watched):
    (watched.folder / "a.xml").write_bytes(b"\x00\xffnonsense" * 1000)
    (watched.folder / "b.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "utf-8")
    (watched.folder / "c.xml").write_bytes(b"")
    shutil.copy(CAPTURES / "sales_6.xml", watched.folder / "d.xml")
    facts = await watched.work(4)
    assert [fact.refused > 0 for fact in facts] == [True, True, True, False]


async def test_a_file_that_still_grows_is_left_alone(tmp_path):
    folder = tmp_path / "poslog"
    folder.mkdir()
    driver = Driver(
        Config(id="poslog", driver="checkout_poslog", folder=folder),
        Services(clock=None, report=lambda *_: None),  # type: ignore[arg-type]
    )
    path = folder / "a.xml"
    path.write_text("<POSLog>", "utf-8")
    assert driver._look() == []
    path.write_text("<POSLog></POSLog>", "utf-8")
    assert driver._look() == []
    assert driver._look() == [path]


async def test_a_folder_that_is_not_there_is_said(tmp_path):
    driver = Driver(
        Config(id="poslog", driver="checkout_poslog", folder=tmp_path / "missing"),
        Services(clock=None, report=lambda *_: None),  # type: ignore[arg-type]
    )
    with pytest.raises(DeviceError, match="missing"):
        await driver.check()
