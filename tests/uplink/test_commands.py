"""Orders over a real broker: acknowledged after the commit, answered with the reason, never redelivered for ever."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from drivers._mqtt_wire import publish_packet
from gateway import messages as m
from gateway.errors import StoreError
from gateway.uplink.commands import FACTS_IN_ANSWER, answer_body
from tests.mosquitto import Mosquitto, until
from tests.uplink.uplink_kit import AT, TOPICS, HeadOffice, Rig, gateway

COMMAND = {"id": "cmd-9", "issued_at": "2026-11-22T08:00:00Z", "issuer": "hq/anna", "args": {}}


class Obey:
    """A rule that answers every command; `bug` makes it fail as a broken rule would."""

    hears = (m.Request,)

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.bug = False

    def feed(self, message: m.Message) -> list[m.Message]:
        assert isinstance(message, m.Request)
        self.seen.append(message.id)
        if self.bug:
            raise ZeroDivisionError
        return [m.CommandDone(at=AT, source=m.GATEWAY, cause=message.id, command=message.id, name=message.name)]


def order(office: HeadOffice, kind: str, body: Any, *, answer: str | None = "answers/7") -> None:
    """Send an order, as head office would with MQTT 5."""
    assert office.link is not None
    properties = Properties(PacketTypes.PUBLISH)
    if answer is not None:
        properties.ResponseTopic = answer
        properties.CorrelationData = b"\x00seven"
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    packed = properties.pack()  # type: ignore[no-untyped-call]
    packet = publish_packet(TOPICS.down + kind, payload, 60_000, packed, qos=1, retain=False)
    office.link._socket.publish(packet)  # type: ignore[union-attr]


async def answers(office: HeadOffice, count: int = 1) -> list[dict[str, Any]]:
    await until(lambda: len(office.answers) >= count)
    assert all(message.correlation == b"\x00seven" for message in office.answers)
    return [json.loads(message.payload) for message in office.answers]


async def online(rig: Rig) -> None:
    await until(lambda: rig.reports.online() >= 1)


async def test_a_command_is_carried_out_and_answered(tmp_path: Path, broker: Mosquitto):
    office, rule = HeadOffice(), Obey()
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url, rules=[rule]) as rig:
        await online(rig)
        order(office, "commands/ping", COMMAND)
        (answer,) = await answers(office)
        assert (answer["outcome"], answer["reason"], answer["more"]) == ("taken", None, 0)
        assert answer["facts"][0]["type"] == "aisled.command.done.v1"
        await until(lambda: office.arrived["business"] == [1])
    assert office.bodies[0]["cause"] == "cmd-9"


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("commands/ping", b"{", "not JSON"),
        ("prices", {"id": "w"}, "issued_at is missing"),
        ("nonsense", b"", "this gateway takes no such order"),
        ("products", b"\xff", "not JSON"),
    ],
)
async def test_a_bad_order_is_answered_logged_once_and_gone(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture, kind: str, body: Any, reason: str
):
    office = HeadOffice()
    async with office.at(broker.url):
        async with gateway(tmp_path / "gw", broker.url) as rig:
            await online(rig)
            order(office, kind, body)
            (answer,) = await answers(office)
        async with gateway(tmp_path / "gw", broker.url) as again:  # the same session: it would come again now
            await online(again)
            order(office, "nonsense", b"")
            await answers(office, 2)
    assert answer["outcome"] == "refused"
    assert answer["reason"].startswith(reason)
    assert sum(getattr(record, "reason", "").startswith(reason) for record in caplog.records) == 1 + (
        kind == "nonsense"
    )


async def test_what_is_not_taken_yet_is_said_upstream_and_in_the_log(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
):
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url) as rig:
        await online(rig)
        order(office, "config", {"sequence": 1}, answer=None)
        await until(lambda: office.arrived["business"] == [1])
    assert office.bodies[0]["type"] == "aisled.command.refused.v1"
    assert office.bodies[0]["data"]["name"] == "config"
    reason = "this gateway does not take config from head office yet; nothing was changed"
    assert office.bodies[0]["data"]["reason"] == reason
    assert [record.reason for record in caplog.records if hasattr(record, "reason")] == [reason]


async def test_a_master_item_refused_is_said_upstream(tmp_path: Path, broker: Mosquitto):
    office = HeadOffice()
    items = [{"gtin": "06901234567895", "name": {"en": "juice"}}]
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url) as rig:
        await online(rig)
        order(office, "products", {"sequence": 1, "products": items}, answer=None)
        await until(lambda: office.arrived["business"] == [1])
    assert office.bodies[0]["type"] == "aisled.master.refused.v1"
    assert office.bodies[0]["data"]["reason"] == "check digit is 5, should be 2"
    assert office.answers == []


async def test_orders_sent_while_we_were_away_arrive(tmp_path: Path, broker: Mosquitto):
    office, rule = HeadOffice(), Obey()
    async with office.at(broker.url):
        async with gateway(tmp_path / "gw", broker.url, rules=[rule]) as rig:
            await online(rig)
        for number in range(30):
            order(office, "commands/ping", {**COMMAND, "id": f"cmd-{number}"})
        async with gateway(tmp_path / "gw", broker.url, rules=[rule]):
            await answers(office, 30)
    assert rule.seen == [f"cmd-{number}" for number in range(30)]


async def test_what_was_not_kept_is_not_acknowledged(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
):
    """The disk takes nothing: no answer, no PUBACK; after a restart the broker sends the order again."""
    office, rule = HeadOffice(), Obey()
    async with office.at(broker.url):
        async with gateway(tmp_path / "gw", broker.url, rules=[rule]) as rig:
            await online(rig)
            refuse = _refuse_with(StoreError("disk full"))
            monkeypatch.setattr(rig.uplink._orders, "_submit", refuse)
            order(office, "commands/ping", COMMAND)
            await until(lambda: refuse.calls > 0)  # type: ignore[attr-defined]
        assert office.answers == []
        async with gateway(tmp_path / "gw", broker.url, rules=[rule]):
            (answer,) = await answers(office)
    assert answer["outcome"] == "taken"


def _refuse_with(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def refuse(*_: Any) -> Any:
        refuse.calls += 1  # type: ignore[attr-defined]
        raise error

    refuse.calls = 0  # type: ignore[attr-defined]
    return refuse


async def test_an_order_that_breaks_a_rule_is_refused_and_the_next_is_taken(tmp_path: Path, broker: Mosquitto):
    office, rule = HeadOffice(), Obey()
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url, rules=[rule]) as rig:
        await online(rig)
        rule.bug = True
        order(office, "commands/ping", COMMAND)
        await answers(office)
        rule.bug = False
        order(office, "commands/ping", {**COMMAND, "id": "cmd-10"})
        first, second = await answers(office, 2)
    assert (first["outcome"], second["outcome"]) == ("refused", "taken")
    assert first["reason"].startswith("internal error")
    assert first["facts"][0]["data"]["command"] == "cmd-9"


async def test_no_answer_goes_back_into_our_own_orders(tmp_path: Path, broker: Mosquitto):
    office, rule = HeadOffice(), Obey()
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url, rules=[rule]) as rig:
        await online(rig)
        order(office, "commands/ping", COMMAND, answer=TOPICS.down + "commands/loop")
        order(office, "commands/ping", {**COMMAND, "id": "cmd-10"})
        await answers(office)
        await asyncio.sleep(0)
    assert rule.seen == ["cmd-9", "cmd-10"]


def test_a_long_answer_is_cut_and_says_so():
    facts = [m.AlarmCleared(at=AT, source=m.GATEWAY, alarm=str(number)) for number in range(FACTS_IN_ANSWER + 5)]
    answer = json.loads(answer_body(facts, None))
    assert (len(answer["facts"]), answer["more"]) == (FACTS_IN_ANSWER, 5)
