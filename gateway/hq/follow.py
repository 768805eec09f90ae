"""`aisled hq follow`: prints what a shop reports, as it comes; a line for people, or the event itself as JSON."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import Any

from gateway.errors import BadFrame
from gateway.hq.line import Broker, listen
from gateway.hq.money import written
from gateway.hq.wire import Event, parse_batch, stream_of, up

CLIENT_ID = ""  # the broker gives one: two people may follow the same shop


async def follow(
    broker: Broker, store: str, streams: Sequence[str], types: Sequence[str], *, seconds: float | None, as_json: bool
) -> None:
    """Print until the time is over or the reader stops it. Keeps nothing: who must miss nothing uses `verify`."""
    options = broker.options(CLIENT_ID, [up(store, stream) for stream in streams])
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(listen(options)) as arriving:
            async for link, messages in arriving:
                for message in messages:
                    _print(message.topic, message.payload, types, as_json=as_json)
                sys.stdout.flush()
                link.ack(*messages)


def _print(topic: str, payload: bytes, types: Sequence[str], *, as_json: bool) -> None:
    try:
        events = parse_batch(payload, stream_of(topic)[1])
    except BadFrame as error:
        sys.stderr.write(f"{topic}: {error}\n")
        return
    for event in events:
        if not types or event.type in types:
            sys.stdout.write((json.dumps(event.raw, ensure_ascii=False) if as_json else sentence(event)) + "\n")


def sentence(event: Event) -> str:
    """Return an event as one line that a person reads."""
    parts = [f"{event.at:%H:%M:%S}", f"{event.gateway}/{event.device}", event.type]
    return " ".join([*parts, *_words(event.data)])


def _words(data: dict[str, Any]) -> list[str]:
    """Money with its currency; empty members and digests (long, for programs) are left out."""
    currency = data.get("currency")
    words = []
    for name, value in data.items():
        if name in {"currency", "digest"} or value in (None, "", [], {}):
            continue
        if name.endswith("_minor"):
            words.append(f"{name.removesuffix('_minor')}={written(value, currency)} {currency or ''}".rstrip())
        else:
            words.append(f"{name}={value if isinstance(value, str | int | float) else json.dumps(value)}")
    return words
