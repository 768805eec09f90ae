"""Fuzz for codecs that cut a stream into frames: mutated frames in, and a good one that must come out each time."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from drivers._serial_cutter import Cutter


def fuzz(
    taken: Cutter[Any], pool: Sequence[bytes], marker: bytes, read: Callable[[Any], None], most_held: int, count: int
) -> None:
    """Feed `count` mutated frames: no crash, no growth, and the marker comes out after every hundred.

    A check of 8 or 16 bits has accidents: rubbish and the beginning of a marker may look like a good frame. Then the
    very next marker must come out, and it must be rare.
    """
    rng, accidents = random.Random(count), 0
    (wanted,) = taken.feed(marker)
    for number in range(1, count + 1):
        for got in taken.feed(mutated(rng, pool)):
            read(got)
        assert taken.held <= most_held
        if number % 100 == 0:
            accident = wanted not in taken.feed(marker) + taken.idle()
            assert not accident or wanted in taken.feed(marker) + taken.idle()
            accidents += accident
    assert accidents <= count / 100 / 1000


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
