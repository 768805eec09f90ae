"""Fuzz for codecs that cut a stream into frames: mutated frames in, and a good one that must come out each time."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from drivers._serial_cutter import Cutter


def fuzz(
    taken: Cutter[Any], pool: Sequence[bytes], marker: bytes, read: Callable[[Any], None], most_held: int, count: int
) -> None:
    """Feed `count` mutated frames: no crash, no growth, and the marker comes out after every hundred."""
    rng = random.Random(count)
    (wanted,) = taken.feed(marker)
    for number in range(1, count + 1):
        for got in taken.feed(mutated(rng, pool)):
            read(got)
        assert taken.held <= most_held
        if number % 100 == 0:
            assert wanted in taken.feed(marker) + taken.idle()


def mutated(rng: random.Random, pool: Sequence[bytes]) -> bytes:
    data = bytearray(rng.choice(pool))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = b""
            case 1:
                data[at:at] = rng.randbytes(rng.randrange(1, 4))
            case 2 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case _:
                data[at:] = b""
    return bytes(data)
