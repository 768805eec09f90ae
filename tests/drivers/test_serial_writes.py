"""Encode, lock and kill with both serial families: one tag in the field, the act, the proof; passwords stay secret."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers._serial_writes import password_of
from gateway.errors import Rejected
from tests.drivers.gen2_chip import Chip
from tests.drivers.serial_pipes import Rig
from tests.drivers.write_kit import ACCESS, FAMILIES, KILL, LONG, NEW, OLD, chip, order, told

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


def test_encode(family: str, secrets: dict[str, Any]) -> None:
    tag = chip()
    assert told(family, [tag], order("encode", new_epc=NEW), **secrets) == ""
    assert tag.epc.hex().upper() == NEW


@pytest.mark.parametrize("new", [LONG, "ABCD"])
def test_encode_an_epc_of_another_length(family: str, new: str, secrets: dict[str, Any]) -> None:
    tag = chip()
    assert told(family, [tag], order("encode", new_epc=new), **secrets) == ""
    assert tag.epc.hex().upper() == new


def test_encode_a_locked_tag_takes_the_access_password(family: str, secrets: dict[str, Any]) -> None:
    tag = chip(access=ACCESS, locked=True)
    assert told(family, [tag], order("encode", new_epc=NEW), **secrets) == ""
    assert tag.epc.hex().upper() == NEW
    stranger = chip(access=KILL, locked=True)
    assert "does not accept the access password" in told(family, [stranger], order("encode", new_epc=NEW), **secrets)
    assert stranger.epc.hex().upper() == OLD


def test_a_fresh_tag_gets_our_passwords_and_is_locked(family: str, secrets: dict[str, Any]) -> None:
    tag = chip()
    assert told(family, [tag], order("lock"), **secrets) == ""
    assert (tag.locked, tag.access, tag.kill) == (True, ACCESS, KILL)
    assert told(family, [tag], order("lock"), **secrets) == ""  # once more does no harm


def test_kill(family: str, secrets: dict[str, Any]) -> None:
    tag = chip(kill=KILL)
    assert told(family, [tag], order("kill"), **secrets) == ""
    assert tag.killed


def test_lock_then_kill(family: str, secrets: dict[str, Any]) -> None:
    tag = chip()
    assert told(family, [tag], order("lock"), order("kill"), **secrets) == ""
    assert tag.killed


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("encode", f"written, but what answers now is {OLD}"),
        ("lock", "its passwords can still be read"),
        ("kill", "it still answers"),
    ],
)
def test_a_tag_that_only_says_yes(family: str, action: str, reason: str, secrets: dict[str, Any]) -> None:
    tag = chip(kill=KILL, access=ACCESS, stubborn=True)
    assert reason in told(family, [tag], order(action, new_epc=NEW), **secrets)


def test_wrong_passwords_are_told_and_not_shown(family: str, secrets: dict[str, Any]) -> None:
    killed = told(family, [chip(kill=ACCESS)], order("kill"), **secrets)
    locked = told(family, [chip(access=KILL, locked=True)], order("lock"), **secrets)
    assert "password" in killed
    assert "password" in locked
    none = told(family, [chip()], order("kill"), **secrets)
    assert "the tag refuses" in none
    for text in (killed, locked, none):
        assert not {ACCESS.hex(), KILL.hex()} & {text.lower()[at : at + 8] for at in range(len(text))}


WRONG_FIELD: dict[str, tuple[Callable[[], list[Chip]], str]] = {
    "nobody": (list, "no tag answers"),
    "two": (lambda: [chip(), chip(NEW)], "2 tags answer: take all but one away"),
    "another": (lambda: [chip(NEW)], f"the tag that answers is {NEW}, not {OLD}"),
}


@pytest.mark.parametrize("field", WRONG_FIELD)
@pytest.mark.parametrize("action", ["encode", "lock", "kill"])
def test_exactly_one_tag_must_be_there(family: str, field: str, action: str, secrets: dict[str, Any]) -> None:
    chips, reason = WRONG_FIELD[field]
    tags = chips()
    before = [(tag.epc, tag.access, tag.kill, tag.locked, tag.killed) for tag in tags]
    assert reason in told(family, tags, order(action, new_epc=LONG), **secrets)
    assert [(tag.epc, tag.access, tag.kill, tag.locked, tag.killed) for tag in tags] == before


def test_the_antenna_must_be_the_one_of_the_order(family: str, secrets: dict[str, Any]) -> None:
    reason = told(family, [chip(kill=KILL)], order("kill", antenna=2), **secrets)
    assert reason == "the tag answers antenna 1, not 2"


def test_writing_is_off_unless_it_is_allowed(family: str, secrets: dict[str, Any]) -> None:
    tag = chip(kill=KILL)
    assert "writing is off" in told(family, [tag], order("kill"), **secrets | {"allow_writes": False})
    assert not tag.killed


@pytest.mark.parametrize("new", ["", "30", "303", "30342G", "3034 257B", "3034257b", "AB" * 64])
def test_an_epc_that_is_none(family: str, new: str, secrets: dict[str, Any]) -> None:
    tag = chip()
    assert "whole words" in told(family, [tag], order("encode", new_epc=new), **secrets)
    assert tag.epc.hex().upper() == OLD


def test_passwords_must_be_configured_and_be_some(family: str, secrets: dict[str, Any], tmp_path: Path) -> None:
    del secrets["access_password_file"]
    assert told(family, [chip()], order("lock"), **secrets) == "access_password_file is not configured"
    for text in ("", "00000000", "5EC2E7", "5EC2E7A1 DEADC0DE", "top secret", "\xff"):
        (tmp_path / "kill").write_text(text, "latin-1")
        reason = told(family, [chip(kill=KILL)], order("kill"), **secrets)
        assert str(tmp_path / "kill") in reason
        assert not text or text not in reason
    (tmp_path / "kill").unlink()
    assert "No such file" in told(family, [chip(kill=KILL)], order("kill"), **secrets)


async def test_check_looks_at_the_passwords_too(family: str, secrets: dict[str, Any], tmp_path: Path) -> None:
    module, kind = FAMILIES[family]
    (tmp_path / "access").write_text("not one")
    with pytest.raises(Rejected, match="8 hex digits"):
        await Rig(module, kind([]), **secrets).driver.check()
    assert password_of(tmp_path / "kill") == KILL
