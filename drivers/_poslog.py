"""POSLog sales documents of tills, ARTS 2.x and OMG 6: bytes in, transactions out, in bounded memory. Pure, no I/O.

Grade: documents of our own, written after the layouts of public samples of several makes of till; no real till has been
heard. Not for where bytes come from (an upload, a watched folder: a driver), and not for what a sale does in the shop.
The values are `_poslog_types.py`; XML `_poslog_xml.py`; what is read `_poslog_layout.py`.
"""

from collections import Counter
from datetime import tzinfo

from drivers._poslog_page import Page
from drivers._poslog_read import key_text, read
from drivers._poslog_text import Utf8
from drivers._poslog_types import PoslogLimits, PosRefusal, PosTransaction
from drivers._poslog_xml import Raw, Trees
from gateway.errors import BadFrame

MAX_REFUSALS = 1_000


class PoslogParser:
    """Reads one document, fed in pieces of any size; the same bytes give the same transactions however they are cut.

    Never raises for what the bytes hold: a damaged transaction is one of `refused`, a damaged document sets `error`,
    and nothing after that point is read. What was complete before it counts. `zone` is for times without an offset,
    `currency` (the shop's) for documents that name none, `minor_digits` its number of decimals.
    """

    def __init__(
        self, zone: tzinfo, *, minor_digits: int = 2, currency: str | None = None, limits: PoslogLimits | None = None
    ) -> None:
        self.error: BadFrame | None = None
        self.refused: list[PosRefusal] = []  # the first `MAX_REFUSALS` of them
        self.refused_count = 0
        self._zone, self._minor_digits, self._currency = zone, minor_digits, currency
        self._limits = limits or PoslogLimits()
        self._bytes = 0
        self._text = Utf8()
        self._trees = Trees(self._limits)
        self.unknown: Counter[str] = self._trees.unknown  # elements beside the transactions

    def feed(self, data: bytes) -> list[PosTransaction]:
        """Take the next piece; return the transactions that it completes. After an `error` bytes are ignored."""
        if self.error is not None:
            return []
        room = self._limits.document_bytes - self._bytes
        self._bytes += len(data)
        self._read(self._text.feed(data[:room]))
        if len(data) > room:
            self._read(b"", end=BadFrame(f"the document has more than {self._limits.document_bytes} bytes"))
        return self._transactions()

    def close(self) -> list[PosTransaction]:
        """End the document; return what was still held back. A document that is cut off sets `error`."""
        self._read(self._text.close())
        self._read(b"", final=True)
        return self._transactions()

    def _read(self, text: bytes, *, final: bool = False, end: BadFrame | None = None) -> None:
        """Parse on, unless there was an error. What is held back is looked at before an error beside the XML counts."""
        if self.error is not None:
            return
        try:
            self._trees.feed(text)
            self.error = end or self._text.error
            if self.error is not None:
                self._trees.flush()
            if final and self.error is None:
                self._trees.close()
        except BadFrame as error:
            self.error = error

    def _transactions(self) -> list[PosTransaction]:
        return [one for raw in self._trees.take() if (one := self._transaction(raw)) is not None]

    def _transaction(self, raw: Raw) -> PosTransaction | None:
        try:
            return read(raw, Page(self._minor_digits, self._zone, self._currency))
        except BadFrame as error:
            self._refuse(PosRefusal(raw.index, raw.line, f"{key_text(raw.root)}: {error}"))
            return None

    def _refuse(self, refusal: PosRefusal) -> None:
        self.refused_count += 1
        if len(self.refused) < MAX_REFUSALS:
            self.refused.append(refusal)
