"""Bytes of an XML document -> its UTF-8, piece by piece: byte order mark, declaration, incremental decoding. Pure.

expat itself knows no GB18030 and no Windows code pages, so every document is turned into UTF-8 before it sees it.
Not for what the text says (`_poslog_xml.py`). Source: XML 1.0, appendix F (detection of encodings).
"""

import codecs
import re

from gateway.errors import BadFrame

MAX_DECLARATION = 512

# Declared name -> codec. GB18030 holds all of GBK and GB2312; names that are not here are refused, never looked up.
_CODECS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    **dict.fromkeys(("gb18030", "gbk", "gb2312", "gb_2312-80", "cp936", "windows-936"), "gb18030"),
    **dict.fromkeys(("iso-8859-1", "latin1"), "iso-8859-1"),
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
    "windows-1251": "cp1251",
    "big5": "big5",
    "shift_jis": "shift_jis",
    "euc-kr": "euc-kr",
}
_MARKS = (
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\x00?\x00", "utf-16-le"),
    (b"\x00<\x00?", "utf-16-be"),
)
_declared = re.compile(rb"""<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""").match


class Utf8:
    """Turns a document into UTF-8; `feed` and `close` return what is certain so far, and all before an `error`."""

    def __init__(self) -> None:
        self.error: BadFrame | None = None
        self._start: bytes | None = b""  # until the encoding is known
        self._decoder: codecs.IncrementalDecoder | None = None  # None: it is UTF-8 already, expat looks at it

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the document."""
        if self._start is None:
            return self._decode(data, final=False)
        self._start += data
        return self._begin() if _enough(self._start) else b""

    def close(self) -> bytes:
        """Return the rest."""
        return (b"" if self._start is None else self._begin()) + self._decode(b"", final=True)

    def _begin(self) -> bytes:
        start, self._start = self._start or b"", None
        try:
            name = _encoding(start)
        except BadFrame as error:
            self.error = error
            return b""
        if name != "utf-8":
            self._decoder = codecs.getincrementaldecoder(name)()
        return self._decode(start, final=False)

    def _decode(self, data: bytes, *, final: bool) -> bytes:
        if self._decoder is None:
            return data
        before = self._decoder.getstate()
        try:
            return self._decoder.decode(data, final).encode()
        except UnicodeDecodeError as error:  # it counts from the bytes that wait in the decoder, and has lost them now
            self.error = BadFrame("the text is not in the encoding that it declares")
            self._decoder.setstate(before)
            return self._decoder.decode(data[: max(0, error.start - len(before[0]))]).encode()


def _enough(start: bytes) -> bool:
    if len(start) < 5 or len(start) >= MAX_DECLARATION:
        return len(start) >= MAX_DECLARATION
    return not start.startswith(b"<?xml") or b"?>" in start


def _encoding(start: bytes) -> str:
    for mark, name in _MARKS:
        if start.startswith(mark):
            if name == "utf-32":
                raise BadFrame("UTF-32 is not read")
            return name
    found = _declared(start)
    if found is None:
        return "utf-8"
    declared = found[1].decode("ascii").lower()
    if declared not in _CODECS:
        raise BadFrame(f"the encoding {declared[:40]} is not read")
    return _CODECS[declared]
