"""Commands that need a driver, the clock or the supervisor: carried out, audited, refused with a reason in time."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from gateway import messages as m
from gateway.errors import Rejected
from gateway.requests import Requests
from gateway.tag_requests import TagRequests
from tests import virtual_time

AT = datetime(2026, 11, 22, tzinfo=UTC)
LABEL = "00000000000A0001"


class Rig:
    def __init__(self, blink=None) -> None:
        self.blinked: list[tuple[str, int]] = []
        self.confirmed = 0
        self.plain: list[m.Message] = []
        driver = SimpleNamespace(blink=blink or self._blink)
        sync = SimpleNamespace(route=lambda label: SimpleNamespace(via="ap-1") if label == LABEL else None)
        resume = lambda device: device == "ap-1"  # noqa: E731
        tags = TagRequests(self._submit, {}, ())
        self.requests = Requests(self._submit, sync, {"ap-1": driver}, resume, self._confirm, tags)

    async def _blink(self, label: str, seconds: int) -> None:
        self.blinked.append((label, seconds))

    def _confirm(self) -> None:
        self.confirmed += 1

    async def _submit(self, *messages: m.Message) -> list[m.Fact]:
        self.plain += messages
        return [message for message in messages if isinstance(message, m.Fact)]

    async def ask(self, name: str, **args: object) -> list[m.Fact]:
        request = m.Request(at=AT, source="hq", id="c1", name=name, issuer="hq/anna", issued_at=AT, args=args)
        return await self.requests.submit(request)


async def test_blink_goes_to_the_access_point_that_heard_the_label():
    rig = Rig()
    (done,) = await rig.ask("blink", label=LABEL.lower(), seconds=30)
    assert rig.blinked == [(LABEL, 30)]
    assert done.result == {"label": LABEL, "via": "ap-1", "seconds": 30}


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({}, "args.label"),
        ({"label": 7}, "args.label"),
        ({"label": LABEL, "seconds": 0}, "args.seconds"),
        ({"label": LABEL, "seconds": "9"}, "args.seconds"),
        ({"label": "00000000000A0002"}, "no access point has heard"),
    ],
)
async def test_a_blink_that_cannot_be_is_refused(args, reason):
    (refused,) = await Rig().ask("blink", **args)
    assert reason in refused.reason


async def test_what_the_device_says_no_to_comes_back_as_its_reason():
    async def busy(_label: str, _seconds: int) -> None:
        raise Rejected("an image is on its way")

    (refused,) = await Rig(busy).ask("blink", label=LABEL)
    assert refused.reason == "an image is on its way"


def test_a_device_that_never_answers_is_given_up():
    async def main() -> None:
        (refused,) = await Rig(lambda *_: asyncio.Event().wait()).ask("blink", label=LABEL)
        assert "did not answer" in refused.reason

    virtual_time.run(main)


async def test_confirm_time_and_resume_are_audited():
    rig = Rig()
    audit, done = await rig.ask("confirm_time")
    assert rig.confirmed == 1
    assert (audit.actor, audit.action, done.name) == ("hq/anna", "confirm_time", "confirm_time")
    audit, _ = await rig.ask("resume", device="ap-1")
    assert audit.subject == "ap-1"
    (refused,) = await rig.ask("resume", device="ap-9")
    assert "parked" in refused.reason


async def test_everything_else_is_the_cores():
    rig = Rig()
    await rig.ask("force", gtin="x")
    assert [type(message).__name__ for message in rig.plain] == ["Request"]
