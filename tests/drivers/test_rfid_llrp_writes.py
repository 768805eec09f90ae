"""Writing tags: one tag in the field, checked before and after, off by default, and no password anywhere."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from llrpkit.protocol import enums, messages

from drivers import _llrp_reader, _llrp_session, _llrp_write
from drivers._llrp_specs import LOOK_ID, ROSPEC_ID
from gateway.driver import TagOrder
from gateway.errors import LinkDown, Rejected
from gateway.supervisor import verdict
from tests.drivers.llrp_shop import Compat, Gateway, config, running, tags, until

OLD, NEW = "300000000000000000000000", "3074257BF7194E4000001A85"
ACCESS, KILL = 0x1234ABCD, 0x0BADF00D


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_reader, "HEARD_S", 0.05)
    monkeypatch.setattr(_llrp_write, "LOOK_S", 0.1)
    monkeypatch.setattr(_llrp_write, "WRITE_S", 1.0)


@pytest.fixture
async def reader() -> AsyncIterator[Compat]:
    async with Compat(tags=tags(1, antennas=(1,)), reads_per_sec=1000) as emulator:
        yield emulator


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Any]:
    for name, value in (("access", ACCESS), ("kill", KILL)):
        (tmp_path / name).write_text(f"{value:08x}\n")
    return {
        "allow_writes": True,
        "access_password_file": tmp_path / "access",
        "kill_password_file": tmp_path / "kill",
    }


async def write(reader: Compat, order: TagOrder, **fields: Any) -> Gateway:
    gateway = Gateway()
    async with running(gateway, config(reader.port, **fields)) as (driver, task):
        await until(lambda: driver._reader is not None and driver._reader.plan is not None, task=task)
        try:
            await driver.write_tag(order)
        finally:
            before = len(gateway.reads)
            if reader.tags:
                await until(lambda: len(gateway.reads) > before, task=task)  # the inventory goes on
            assert LOOK_ID not in reader._rospecs
            assert reader._accessspecs == {}
    return gateway


async def test_off_unless_allowed(reader: Compat) -> None:
    with pytest.raises(Rejected, match="allow_writes"):
        await write(reader, TagOrder("encode", OLD, 1, NEW))


async def test_not_connected() -> None:
    from drivers.rfid_llrp import Driver

    with pytest.raises(Rejected, match="not connected"):
        await Driver(config(1, allow_writes=True), Gateway().services).write_tag(TagOrder("encode", OLD, 1, NEW))


async def test_encode_is_read_back_and_the_look_is_no_inventory(reader: Compat) -> None:
    gateway = await write(reader, TagOrder("encode", OLD, 1, NEW), allow_writes=True)
    assert reader.tags[0].epc.hex().upper() == NEW
    assert {read.epc for read in gateway.reads} <= {OLD, NEW}
    looks = [one.ro_spec for one in reader.asked if isinstance(one, messages.ADD_ROSPEC)][1:]
    assert [spec.spec_parameters[0].antenna_ids for spec in looks] == [[1]]


@pytest.mark.parametrize("action", ["encode", "kill"])
async def test_an_answer_that_was_lost(
    reader: Compat, secrets: dict[str, Any], monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    """Of an encoding the look tells; a kill that nobody confirms is no kill."""
    act = reader._run_access_op
    monkeypatch.setattr(reader, "_run_access_op", lambda op, tag: act(op, tag) and None)
    reader.set_tag_passwords(bytes.fromhex(OLD), access=ACCESS, kill=KILL)
    order = TagOrder(action, OLD, 1, NEW if action == "encode" else None)
    if action == "encode":
        await write(reader, order, **secrets)
        assert reader.tags[0].epc.hex().upper() == NEW
    else:
        with pytest.raises(Rejected, match="did not answer"):
            await write(reader, order, **secrets)


async def test_a_write_that_did_not_hold_is_found_out(reader: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_replace_tag_epc", lambda _tag, _epc: None)
    with pytest.raises(Rejected, match="after the write another tag"):
        await write(reader, TagOrder("encode", OLD, 1, NEW), allow_writes=True)


@pytest.mark.parametrize(
    ("count", "order", "says"),
    [
        (0, TagOrder("encode", OLD, 1, NEW), "before the write no tag"),
        (2, TagOrder("encode", OLD, 1, NEW), "before the write 2 tags"),
        (1, TagOrder("encode", NEW, 1, OLD), "before the write another tag"),
        (1, TagOrder("encode", OLD, 2, NEW), "no tag"),
        (1, TagOrder("encode", OLD, 9, NEW), "antenna 9"),
        (1, TagOrder("encode", OLD, 1), "new EPC"),
        (1, TagOrder("encode", OLD, 1, "30742"), "new EPC"),
        (1, TagOrder("lock", OLD, 1), "access_password_file"),
        (1, TagOrder("kill", OLD, 1), "kill_password_file"),
        (1, TagOrder("encode", OLD, 1, NEW + "0000"), "refused"),  # the emulator's tags have 96 bits
    ],
)
async def test_refused_with_the_reason_and_nothing_done(reader: Compat, count: int, order: TagOrder, says: str) -> None:
    reader.tags = tags(count, antennas=(1,))
    with pytest.raises(Rejected, match=says):
        await write(reader, order, allow_writes=True)
    assert [tag.epc for tag in reader.tags] == [tag.epc for tag in tags(count)]


async def test_lock_gives_a_new_tag_the_password_first(reader: Compat, secrets: dict[str, Any]) -> None:
    await write(reader, TagOrder("lock", OLD, 1), **secrets)
    assert reader._access_password_of(bytes.fromhex(OLD)) == ACCESS
    assert reader.locks == 2


async def test_kill_leaves_nothing_in_the_field(reader: Compat, secrets: dict[str, Any]) -> None:
    reader.set_tag_passwords(bytes.fromhex(OLD), access=ACCESS)
    await write(reader, TagOrder("kill", OLD, 1), **secrets)
    assert reader.tags == []


async def test_a_tag_with_another_password_refuses(
    reader: Compat, secrets: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    reader.set_tag_passwords(bytes.fromhex(OLD), access=0x55555555)
    with caplog.at_level(logging.DEBUG), pytest.raises(Rejected, match="Nonspecific_Tag_Error") as refused:
        await write(reader, TagOrder("encode", OLD, 1, NEW), **secrets)
    everything = (caplog.text + str(refused.value)).lower()
    for password in (ACCESS, KILL):
        assert f"{password:x}" not in everything
        assert str(password) not in everything


@pytest.mark.parametrize("content", ["", "12345", "not hex!", "123456789"])
async def test_a_password_that_is_none_is_not_shown(reader: Compat, tmp_path: Path, content: str) -> None:
    (tmp_path / "access").write_text(content)
    with pytest.raises(Rejected, match="8 hex digits") as refused:
        await write(reader, TagOrder("lock", OLD, 1), allow_writes=True, access_password_file=tmp_path / "access")
    assert not content or content not in str(refused.value)
    with pytest.raises(Rejected, match="cannot be read"):
        await write(reader, TagOrder("lock", OLD, 1), allow_writes=True, access_password_file=tmp_path / "none")


def failing(reader: Compat, kind: type[Any], number: int, *, silent: bool) -> Any:
    """What handles messages of a reader that refuses, or never answers, those of a kind about a ROSpec."""
    handle = reader._handle_message
    no = messages.ERROR_MESSAGE(llrp_status=reader._status_error(enums.StatusCode.M_ParameterError, "busy"))

    async def fail(message: Any) -> None:
        if not isinstance(message, kind) or message.ro_spec_id != number:
            await handle(message)
        elif not silent:
            await reader._send(no, message_id=message.message_id)

    return fail


@pytest.mark.parametrize("gpi", [None, 2], ids=["always", "gpi"])
@pytest.mark.parametrize(
    ("fails", "silent"), [("delete", True), ("resume", True), ("resume", False)], ids=["delete", "mute", "refusal"]
)
async def test_a_reader_that_does_not_read_on_is_given_up(
    reader: Compat, monkeypatch: pytest.MonkeyPatch, fails: str, gpi: int | None, *, silent: bool
) -> None:
    """Else it would be deaf for good; who ordered is told, though the tag was written."""
    monkeypatch.setattr(_llrp_session.Session.ask, "__defaults__", (0.3,))
    resume = messages.START_ROSPEC if gpi is None else messages.ENABLE_ROSPEC
    kind, number = (messages.DELETE_ROSPEC, LOOK_ID) if fails == "delete" else (resume, ROSPEC_ID)
    async with running(Gateway(), config(reader.port, allow_writes=True, gpi_start=gpi)) as (driver, task):
        await until(lambda: driver._reader is not None and driver._reader.plan is not None, task=task)
        monkeypatch.setattr(reader, "_handle_message", failing(reader, kind, number, silent=silent))
        with pytest.raises(LinkDown, match="look at the tag"):
            await driver.write_tag(TagOrder("encode", OLD, 1, NEW))
        assert reader.tags[0].epc.hex().upper() == NEW
        await until(task.done)
        assert "does not read any more" in str(verdict(task.exception()))  # type: ignore[arg-type]
