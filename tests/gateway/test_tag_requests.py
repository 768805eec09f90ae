"""Changing tags: only who may, audited before the act, one at a time, and no password anywhere."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway import messages as m
from gateway.driver import TagOrder
from gateway.errors import DeviceError, Refused, Rejected
from gateway.tag_requests import DEADLINE_S, TagRequests
from tests import virtual_time

AT = datetime(2026, 11, 22, tzinfo=UTC)
EPC = "3074257BF7194E4000001A85"
NEW = "3074257BF7194E4000001A86"


class Rig:
    """A reader that obeys, and a core that keeps everything in order."""

    def __init__(self, fault: Exception | None = None, *, hangs: bool = False) -> None:
        self.happened: list[object] = []
        self.fault, self.hangs = fault, hangs
        self.busy = self.most_busy = 0
        self.requests = TagRequests(self._submit, {"desk": self}, ["hq/anna"])

    async def _submit(self, *messages: m.Message) -> list[m.Fact]:
        self.happened += messages
        return []

    async def run(self, emit: object) -> None:
        raise NotImplementedError

    async def write_tag(self, order: TagOrder) -> None:
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        self.happened.append(order)
        await (asyncio.Event().wait() if self.hangs else asyncio.sleep(0))
        self.busy -= 1
        if self.fault is not None:
            raise self.fault

    async def ask(
        self, name: str = "tag_kill", issuer: str = "hq/anna", id_: str = "c1", **args: Any
    ) -> dict[str, Any]:
        args = {"device": "desk", "epc": EPC} | args
        request = m.Request(at=AT, source="hq", id=id_, name=name, issuer=issuer, issued_at=AT, args=args)
        return await self.requests.carry_out(request)


async def test_the_audit_entry_is_kept_before_the_reader_is_told():
    rig = Rig()
    assert await rig.ask("tag_encode", new_epc=NEW, antenna=2) == {"device": "desk", "epc": NEW}
    audit, request, order, written = rig.happened
    assert isinstance(request, m.Request)  # kept with the audit entry: so that a repeated order is known
    assert (audit.actor, audit.action, audit.subject) == ("hq/anna", "tag_encode", f"{EPC} at desk:2")
    assert order == TagOrder("encode", EPC, 2, NEW)
    assert (written.action, written.result, written.new_epc, written.actor) == ("encode", "done", NEW, "hq/anna")


@pytest.mark.parametrize(
    ("name", "issuer", "args", "said"),
    [
        ("tag_kill", "hq/bob", {}, "hq/bob may not change tags"),
        ("tag_kill", "hq/anna", {"device": "door"}, "there are: desk"),
        ("tag_kill", "hq/anna", {"new_epc": NEW}, "belongs to tag_encode"),
        ("tag_encode", "hq/anna", {}, "belongs to tag_encode"),
        ("tag_encode", "hq/anna", {"new_epc": "30742"}, "args.new_epc"),
        ("tag_encode", "hq/anna", {"new_epc": "307425"}, "whole words"),
        ("tag_lock", "hq/anna", {"password": "0BADF00D"}, "args.password: Extra inputs are not permitted"),
        ("tag_lock", "hq/anna", {"epc": "x"}, "args.epc"),
        ("tag_lock", "hq/anna", {"antenna": 0}, "args.antenna"),
    ],
)
async def test_what_may_not_be_never_reaches_a_reader(name, issuer, args, said):
    rig = Rig()
    with pytest.raises(Refused, match=said) as refused:
        await rig.ask(name, issuer, **args)
    assert "0BADF00D" not in str(refused.value)
    assert rig.happened == []


async def test_the_readers_no_is_told_and_kept():
    rig = Rig(Rejected("2 tags are in the field; leave only one"))
    with pytest.raises(Rejected, match="leave only one"):
        await rig.ask()
    assert (rig.happened[-1].result, rig.happened[-1].reason) == ("failed", "2 tags are in the field; leave only one")


def test_a_reader_that_never_answers_is_given_up_and_the_person_told_to_look():
    async def main() -> None:
        rig = Rig(hangs=True)
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeviceError, match="look at the tag"):
            await rig.ask()
        assert asyncio.get_running_loop().time() - began == DEADLINE_S
        assert rig.happened[-1].result == "failed"

    virtual_time.run(main)


async def test_tags_are_changed_one_at_a_time():
    rig = Rig()
    await asyncio.gather(*(rig.ask(id_=f"c{number}") for number in range(5)))
    assert rig.most_busy == 1


async def test_an_order_that_comes_again_is_not_carried_out_again_also_after_a_restart():
    rig = Rig()
    await rig.ask()
    happened = len(rig.happened)
    with pytest.raises(Refused, match="given before"):
        await rig.ask()
    rig.requests = TagRequests(rig._submit, {"desk": rig}, ["hq/anna"], known=["c1"])
    with pytest.raises(Refused, match="given before"):
        await rig.ask()
    assert len(rig.happened) == happened
