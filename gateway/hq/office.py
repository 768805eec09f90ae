"""`aisled hq`: carries out one sub-command. Reads the files, sends the orders, prints the answers.

The listening ones have files of their own: `watch.py`, `verify.py`, `follow.py`.
"""

import argparse
import asyncio
import hashlib
import json
import secrets
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drivers._mqtt import Incoming, MqttLink
from gateway.errors import ConfigError, Refused
from gateway.hq import orders, tables, when
from gateway.hq.follow import follow
from gateway.hq.line import Broker, listen, read_password, send
from gateway.hq.verify import verify
from gateway.hq.watch import watch, watch_options
from gateway.hq.wire import down, parse_batch, stream_of, up
from gateway.messages import Binding, Facing, Product

BAD_LINES_SHOWN = 50
Arriving = AsyncGenerator[tuple[MqttLink, list[Incoming]]]
MASTER: dict[str, tuple[Callable[[Path, str], Any], Callable[..., list[bytes]]]] = {
    "products": (tables.read_products, orders.products),
    "bindings": (tables.read_bindings, orders.bindings),
    "planogram": (tables.read_planogram, orders.planogram),
}


def run(arguments: argparse.Namespace) -> int:
    """Carry out one sub-command and return the exit code."""
    broker = Broker(
        url=arguments.url,
        username=arguments.username,
        password=read_password(arguments.password_file),
        ca_file=arguments.ca_file,
        cert_file=arguments.cert_file,
        key_file=arguments.key_file,
    )
    return asyncio.run(_dispatch(broker, arguments))


async def _dispatch(broker: Broker, arguments: argparse.Namespace) -> int:
    words: dict[str, Callable[[Broker, argparse.Namespace], Awaitable[int]]] = {
        "push": _push,
        "cancel": _cancel,
        "watch": _watch,
        "verify": _verify,
        "follow": _follow,
        "command": _command,
        **dict.fromkeys(MASTER, _master),
    }
    return await words[arguments.word](broker, arguments)


async def _watch(broker: Broker, arguments: argparse.Namespace, wave: str | None = None) -> int:
    return await watch(
        broker, arguments.store, wave or arguments.wave, timeout_s=arguments.timeout, as_json=arguments.json
    )


async def _verify(broker: Broker, arguments: argparse.Namespace) -> int:
    return await verify(
        broker,
        arguments.store,
        arguments.session,
        seconds=arguments.seconds,
        state=arguments.state,
        as_json=arguments.json,
    )


async def _follow(broker: Broker, arguments: argparse.Namespace) -> int:
    streams = ["business", "telemetry"] if arguments.telemetry else ["business"]
    await follow(broker, arguments.store, streams, arguments.type, seconds=arguments.seconds, as_json=arguments.json)
    return 0


async def _push(broker: Broker, arguments: argparse.Namespace) -> int:
    now, zone = datetime.now(UTC), when.zone(arguments.timezone)
    table = _good(arguments, tables.read_prices(arguments.file, arguments.encoding))
    effective_at = when.instant(arguments.at, zone, now)
    expires_at = when.instant(arguments.expires, zone, effective_at) if arguments.expires else None
    if expires_at and expires_at <= effective_at:
        raise ConfigError(f"--expires {arguments.expires} is not after --at {arguments.at}")
    head = orders.WaveHead(
        id=arguments.id or orders.new_id(now),
        issuer=arguments.issuer,
        issued_at=now,
        sequence=orders.new_sequence(now),
        effective_at=effective_at,
        expires_at=expires_at,
        supersedes=arguments.supersedes,
    )
    bodies = list(orders.change(head, table))
    if not arguments.dry_run:
        # The session that `watch` will use is opened first, so that the answers wait there for whoever looks.
        async with MqttLink(watch_options(broker, arguments.store, head.id)) as link:
            await send(link, down(arguments.store, "prices"), bodies)
    local = effective_at.astimezone(zone).isoformat(timespec="minutes")
    sent = {"wave": head.id, "lines": len(table), "parts": len(bodies), "effective_at": local}
    _say(arguments, sent | {"sent": not arguments.dry_run})
    if arguments.watch and not arguments.dry_run:
        return await _watch(broker, arguments, head.id)
    return 0


async def _cancel(broker: Broker, arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    head = orders.WaveHead(
        id=f"cancel-{orders.new_id(now)}",
        issuer=arguments.issuer,
        issued_at=now,
        sequence=orders.new_sequence(now),
        effective_at=now,
        supersedes=arguments.wave,
    )
    async with MqttLink(watch_options(broker, arguments.store, head.id)) as link:
        await send(link, down(arguments.store, "prices"), [orders.cancel(head)])
    _say(arguments, {"wave": head.id, "cancels": arguments.wave, "sent": True})
    return 0


async def _master(broker: Broker, arguments: argparse.Namespace) -> int:
    read, body = MASTER[arguments.word]
    items: Sequence[Product | Binding | Facing] = _good(arguments, read(arguments.file, arguments.encoding))
    sequence = orders.new_sequence(datetime.now(UTC))
    bodies = body(items, sequence, full=arguments.full)
    if not arguments.dry_run:
        async with MqttLink(broker.options(_client_id())) as link:
            await send(link, down(arguments.store, arguments.word), bodies)
    _say(arguments, {arguments.word: len(items), "sequence": sequence, "sent": not arguments.dry_run})
    return 0


async def _command(broker: Broker, arguments: argparse.Namespace) -> int:
    """Send a command and wait for its fact. `command.done` = 0, `command.refused` or silence = 1."""
    now = datetime.now(UTC)
    command_id = f"cmd-{orders.new_sequence(now)}-{secrets.token_hex(2)}"
    body = orders.command(command_id, arguments.issuer, now, _key_values(arguments.args))
    options = broker.options(_client_id(), [up(arguments.store, "business")])
    try:
        async with (
            asyncio.timeout(arguments.timeout),
            aclosing(listen(options)) as arriving,
            MqttLink(broker.options(_client_id())) as sender,
        ):
            listening = asyncio.create_task(_answer(arriving, command_id), name="answer")
            await send(sender, down(arguments.store, f"commands/{arguments.name}"), [body])
            answer = await listening
    except TimeoutError:
        _say(arguments, {"command": command_id, "answer": None, "reason": f"no answer in {arguments.timeout:g} s"})
        return 1
    _say(arguments, answer)
    return 0 if answer["type"] == "command.done" else 1


async def _answer(arriving: Arriving, command_id: str) -> dict[str, Any]:
    async for link, messages in arriving:
        for message in messages:
            for event in parse_batch(message.payload, stream_of(message.topic)[1]):
                if event.type in {"command.done", "command.refused"} and event.data["command"] == command_id:
                    return {"type": event.type, "gateway": event.gateway, **event.data}
        link.ack(*messages)
    raise AssertionError("listen never ends")


def _key_values(pairs: list[str]) -> dict[str, Any]:
    """Return `seconds=20 label=0021` as arguments; whole numbers, true, false and JSON are told as such."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise ConfigError(f'"{pair}": write KEY=VALUE, for example seconds=20')
        plain_number = (
            text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0")) and len(text) < 14
        )
        found[key] = _json(pair, text) if plain_number or text in {"true", "false"} or text[:1] in ("[", "{") else text
    return found


def _json(pair: str, text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'"{pair}": the value begins like JSON and is none: {error}') from None


def _good(arguments: argparse.Namespace, table: tables.Table[Any]) -> list[Any]:
    """Return the items of a file, or refuse it and name its bad lines."""
    for number, why in table.bad[:BAD_LINES_SHOWN]:
        sys.stderr.write(f"{arguments.file}: line {number}: {why}\n")
    if len(table.bad) > BAD_LINES_SHOWN:
        sys.stderr.write(f"{arguments.file}: and {len(table.bad) - BAD_LINES_SHOWN} more bad lines\n")
    if table.bad and not arguments.skip_bad:
        raise Refused(f"{arguments.file}: {len(table.bad)} bad lines, nothing was sent (--skip-bad sends the others)")
    if not table.items:
        raise Refused(f"{arguments.file}: no good line, nothing was sent")
    return table.items


def _client_id() -> str:
    return "aisled-hq-" + hashlib.sha256(secrets.token_bytes(16)).hexdigest()[:12]


def _say(arguments: argparse.Namespace, facts: dict[str, Any]) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("  ".join(f"{key} {value}" for key, value in facts.items()) + "\n")
    sys.stdout.flush()
