"""UTF-8 of a POSLog document -> one small tree a transaction, in bounded memory. Pure: expat, and nothing else.

Only elements of the layout are kept, the rest is skipped and counted. DOCTYPE is refused before anything behind it is
looked at, so there are no entities to expand and nothing external to fetch. What is wrong with the document raises
BadFrame; what is too large within one transaction spoils that one only. Not for what elements mean: `_poslog_read.py`.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from drivers._poslog_layout import ASIDE, ATTRIBUTES, TRANSACTION, Layout
from drivers._poslog_types import PoslogLimits
from gateway.errors import BadFrame

SLICE = 64 << 10  # what expat gets at once: after a refusal it still walks to the end of the slice
SMALL_TOKEN = 1 << 10
MAX_PROLOG = 16 << 10
MAX_UNKNOWN = 100
MAX_NAME = 120
OTHERS = "(others)"
_XSI = "http://www.w3.org/2001/XMLSchema-instance "


@dataclass(slots=True)
class Node:
    """One element that is read; names without their namespace, attributes of our own namespace only."""

    name: str
    attributes: dict[str, str]
    layout: Layout
    children: dict[str, list["Node"]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    chars: int = 0

    @property
    def text(self) -> str:
        """The text without the blanks around it."""
        return "".join(self.parts).strip()

    def all(self, name: str) -> list["Node"]:
        """Return the children of a name, in the document's order."""
        return self.children.get(name, [])

    def first(self, name: str, *path: str) -> "Node | None":
        """Return the first element down a path of names."""
        found = self.children.get(name)
        if not found:
            return None
        return found[0].first(*path) if path else found[0]

    def value(self, name: str, *path: str) -> str:
        """Return the text of the first element down a path, empty when there is none."""
        node = self.first(name, *path)
        return node.text if node else ""


@dataclass(slots=True)
class Raw:
    """One transaction as a tree: its place, what was not understood, and what spoiled it."""

    index: int
    line: int
    root: Node
    unknown: Counter[str] = field(default_factory=Counter)
    damage: str | None = None


class Trees:
    """Cuts a document into transactions; `take` gives those that are whole.

    `feed` and `close` raise BadFrame when there can be no more: neither may be called again then.
    """

    def __init__(self, limits: PoslogLimits) -> None:
        self.unknown: Counter[str] = Counter()  # outside of transactions
        self._limits = limits
        self._names: dict[str, Any] = {}  # expat's own table of the names it met: its size is what we bound
        self._parser = expat.ParserCreate("utf-8", " ", self._names)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.EntityDeclHandler = _refuse_entity
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._fed = 0
        self._open = 0  # elements around us
        self._skip = 0  # depth of the element that is being skipped, 0 = none
        self._space: str | None = None  # of the root: "uri " or ""
        self._index = 0
        self._elements = 0
        self._raw: Raw | None = None
        self._path: list[Node] = []
        self._done: list[Raw] = []

    def take(self) -> list[Raw]:
        """Return the transactions that are complete, each once."""
        done, self._done = self._done, []
        return done

    def feed(self, text: bytes) -> None:
        """Take a piece. A long tag that comes in crumbs is looked at anew only when its length has doubled."""
        self._held.append(text)
        self._held_bytes += len(text)
        pending = self._fed - max(0, self._parser.CurrentByteIndex)
        if pending <= SMALL_TOKEN or self._held_bytes >= pending:
            self.flush()

    def close(self) -> None:
        """End the document. Raises BadFrame when it is not complete."""
        self.flush()
        self._parse(b"", final=True)

    def flush(self) -> None:
        """Look at what was held back."""
        text = memoryview(b"".join(self._held))
        self._held, self._held_bytes = [], 0
        for at in range(0, len(text), SLICE):
            piece = bytes(text[at : at + SLICE])
            self._parse(self._prolog(piece), final=False)
            pending = self._fed - max(0, self._parser.CurrentByteIndex)
            if pending > self._limits.token_bytes:
                raise BadFrame(f"a tag or comment of more than {self._limits.token_bytes} bytes")

    def _prolog(self, piece: bytes) -> bytes:
        """Before the root hand over one markup at a time: nothing behind a DOCTYPE is ever parsed. Returns the rest."""
        at = 0
        while self._space is None:
            cut = piece.find(b">", at) + 1
            if not cut:
                break
            self._parse(piece[at:cut], final=False)
            at = cut
            if self._space is None and self._fed > MAX_PROLOG:
                raise BadFrame(f"no POSLog within {MAX_PROLOG} bytes")
        return piece[at:]

    def _parse(self, piece: bytes, *, final: bool) -> None:
        self._fed += len(piece)
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            raise BadFrame(f"{'cut off, or' if final else ''} not XML: {error}".strip()) from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open += 1
        self._check(attributes)
        if self._skip:
            return
        if self._open == 1:
            self._begin_document(name)
        elif self._open == 2:
            self._begin_transaction(name, attributes)
        else:
            self._begin_element(name, attributes)

    def _check(self, attributes: dict[str, str]) -> None:
        limits = self._limits
        if self._open > limits.depth:
            raise self._bad(f"elements nested deeper than {limits.depth}")
        if len(attributes) > limits.attributes:
            raise self._bad(f"an element with more than {limits.attributes} attributes")
        if len(self._names) > limits.name_count:
            raise self._bad(f"more than {limits.name_count} different names of elements and attributes")

    def _bad(self, reason: str) -> BadFrame:
        return BadFrame(f"{reason}: line {self._parser.CurrentLineNumber}")

    def _begin_document(self, name: str) -> None:
        space, _, local = name.rpartition(" ")
        if local != "POSLog":
            raise self._bad(f"the document is {local[:40]}, not POSLog")
        self._space = f"{space} " if space else ""

    def _local(self, name: str) -> str | None:
        """Return a name without our own namespace, None for a foreign one."""
        if self._space:
            return name.removeprefix(self._space) if name.startswith(self._space) else None
        return None if " " in name else name

    def _begin_transaction(self, name: str, attributes: dict[str, str]) -> None:
        if self._local(name) != "Transaction":
            self._skip = self._open
            _count(self.unknown, self._called(name))
            return
        self._index += 1
        if self._index > self._limits.transactions:
            raise self._bad(f"more than {self._limits.transactions} transactions")
        root = Node("Transaction", {}, TRANSACTION)
        self._raw = Raw(self._index, self._parser.CurrentLineNumber, root)
        root.attributes = self._own(attributes)
        self._path = [root]
        self._elements = 1

    def _begin_element(self, name: str, attributes: dict[str, str]) -> None:
        assert self._raw is not None
        local = self._local(name)
        parent = self._path[-1]
        layout = None if local is None or self._raw.damage else parent.layout.get(local)
        if local is None or layout is None:
            self._skip = self._open
            if local not in ASIDE:
                _count(self._raw.unknown, self._called(name))
            return
        node = Node(local, self._own(attributes) if attributes else attributes, layout)
        parent.children.setdefault(local, []).append(node)
        self._path.append(node)
        self._elements += 1
        if self._elements > self._limits.elements:
            self._spoil(f"more than {self._limits.elements} elements")

    def _called(self, name: str) -> str:
        """Return the name under which an unknown element is counted: `{namespace}Name` for a foreign one."""
        space, _, local = name.rpartition(" ")
        return local if self._local(name) or not space else f"{{{space}}}{local}"

    def _own(self, attributes: dict[str, str]) -> dict[str, str]:
        assert self._raw is not None
        own = {}
        for name, value in attributes.items():
            if name in ATTRIBUTES:
                own[name] = value[: self._limits.text_chars]
            elif " " in name and not name.startswith(_XSI):
                _count(self._raw.unknown, "@{%s}%s" % tuple(name.rsplit(" ", 1)))  # noqa: UP031 - braces are the form
        return own

    def _characters(self, text: str) -> None:
        if self._skip or not self._path:
            return
        node = self._path[-1]
        if node.layout and text.isspace():
            return
        node.chars += len(text)
        if node.chars > self._limits.text_chars:
            self._spoil(f"{node.name} holds more than {self._limits.text_chars} characters")
        else:
            node.parts.append(text)

    def _spoil(self, reason: str) -> None:
        """Drop what was kept of the transaction but its key, so that the refusal can name it."""
        assert self._raw is not None
        self._raw.damage = self._raw.damage or reason
        self._raw.root.children.pop("RetailTransaction", None)
        self._path[-1].parts = []

    def _end(self, _name: str) -> None:
        depth, self._open = self._open, self._open - 1
        if self._skip:
            self._skip = 0 if depth == self._skip else self._skip
            return
        if self._path:
            self._path.pop()
        if depth == 2 and self._raw is not None:
            self._done.append(self._raw)
            self._raw = None


def _refuse_doctype(*_: object) -> None:
    raise BadFrame("a DOCTYPE: not taken, a till needs none")


def _refuse_entity(*_: object) -> None:
    raise BadFrame("an entity declaration: not taken, a till needs none")


def _count(unknown: Counter[str], name: str) -> None:
    name = name[:MAX_NAME]
    unknown[name if name in unknown or len(unknown) < MAX_UNKNOWN else OTHERS] += 1
