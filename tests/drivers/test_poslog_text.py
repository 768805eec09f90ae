"""The bytes of a till's document become text: wherever the pieces are cut, all before a wrong byte is read."""

import pytest

from drivers._poslog_text import Utf8

START = '<?xml version="1.0" encoding="{}"?><a>'
TEXT = "日本日本"


def read(data: bytes, size: int) -> tuple[bytes, str]:
    """Return what is read in pieces of that size, and what is wrong."""
    reading, out = Utf8(), b""
    for at in range(0, len(data), size):
        if reading.error is None:
            out += reading.feed(data[at : at + size])
    if reading.error is None:
        out += reading.close()
    return out, str(reading.error)


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "shift_jis", "euc-kr", "utf-16"])
@pytest.mark.parametrize("wrong", [b"\xff", b"\x80", b"\xff\xdf"], ids=bytes.hex)
@pytest.mark.parametrize("after", range(len(TEXT) + 1))
def test_all_before_a_wrong_byte_is_read_however_it_is_cut(encoding: str, wrong: bytes, after: int) -> None:
    start = START.format(encoding)
    right = (start + TEXT[:after]).encode(encoding)
    data = right + wrong + TEXT[after:].encode(encoding)
    said = read(data, len(data))
    assert said[0].startswith(start.encode())
    assert all(read(data, size) == said for size in range(1, 8))
