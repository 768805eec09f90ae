"""What each message of a client does to a simulated reader, and what it is answered.

Unknown messages get ERROR_MESSAGE, wrong ones their own response with the status that says why; neither ends the
connection. Not here: the bytes of messages (`_reader_wire.py`).
"""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from drivers.simulators import _reader_settings as settings
from drivers.simulators._reader_access import read_access_spec
from drivers.simulators._reader_kind import capabilities
from drivers.simulators._reader_spec import one, read_rospec
from drivers.simulators._reader_wire import (
    CUSTOM,
    IMPINJ,
    M_UNSUPPORTED_MESSAGE,
    M_UNSUPPORTED_VERSION,
    BadMessage,
    Message,
    fields,
    message,
    parameters,
    status,
)

if TYPE_CHECKING:
    from drivers.simulators._reader_device import Connection, Reader

ERROR_MESSAGE, CLOSE_CONNECTION, KEEPALIVE_ACK = 100, 14, 72
GET_REPORT, RO_ACCESS_REPORT, ENABLE_EVENTS = 60, 61, 64
GET_SUPPORTED_VERSION, SET_PROTOCOL_VERSION = 46, 47
_SILENT = {KEEPALIVE_ACK, ERROR_MESSAGE}  # no answer, whatever is in them
_NOTHING: list[bytes] = []
Answer = Callable[[bytes], list[bytes] | None]


class Desk:
    """Answers the client of one reader."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader
        self._routes: dict[int, tuple[int, Answer]] = {
            1: (11, self._capabilities),
            2: (12, self._get_config),
            3: (13, self._set_config),
            20: (30, self._add_rospec),
            40: (50, self._add_access_spec),
            26: (36, lambda _: [job.told() for job in reader.inventory.jobs.values()]),
            44: (54, lambda _: reader.access.told()),
        }
        for kind, act in {
            21: reader.inventory.delete,
            22: reader.inventory.start,
            23: reader.inventory.stop,
            24: reader.inventory.enable,
            25: reader.inventory.disable,
            41: reader.access.delete,
            42: lambda number: reader.access.enable(number, on=True),
            43: lambda number: reader.access.enable(number, on=False),
        }.items():
            self._routes[kind] = (kind + 10, _by_number(act))

    def take(self, client: "Connection", asked: Message) -> None:
        """Obey one message."""
        kind = asked.kind
        if kind == KEEPALIVE_ACK:
            self._reader.acknowledged += 1
        elif kind in (GET_SUPPORTED_VERSION, SET_PROTOCOL_VERSION) and self._reader.kind.versions > 1:
            self._version(client, asked)
        elif kind in _SILENT:
            return
        elif asked.version != client.version:
            self._error(asked, M_UNSUPPORTED_VERSION, f"this connection speaks version {client.version}")
        elif kind in self._routes:
            answer, act = self._routes[kind]
            self._reader.answer(message(answer, asked.number, *self._try(act, asked.body), version=asked.version))
        else:
            self._other(client, asked)

    def _try(self, act: Answer, body: bytes) -> list[bytes]:
        try:
            return [status(), *(act(body) or _NOTHING)]
        except BadMessage as error:
            return [status(error.code, str(error))]

    def _other(self, client: "Connection", asked: Message) -> None:
        match asked.kind:
            case 64:
                client.held = False
                self._reader.outbox.drain()
            case 60:
                self._reader.outbox.drain()
                found = self._reader.inventory.report()
                self._reader.outbox.report(found)
                if not found:
                    self._reader.answer(message(RO_ACCESS_REPORT, asked.number, version=asked.version))
            case 14:
                self._reader.answer(message(4, asked.number, status(), version=asked.version))
                self._reader.hang_up()
            case other if other == CUSTOM and self._extensions(asked):
                head = struct.pack(">IB", IMPINJ, 22)
                self._reader.answer(message(CUSTOM, asked.number, head, status(), version=asked.version))
            case other:
                self._error(asked, M_UNSUPPORTED_MESSAGE, f"message {other} is not known here")

    def _extensions(self, asked: Message) -> bool:
        """Tell whether this is IMPINJ_ENABLE_EXTENSIONS, to a reader that has them."""
        return self._reader.kind.is_impinj and asked.body[:5] == struct.pack(">IB", IMPINJ, 21)

    def _error(self, asked: Message, code: int, why: str) -> None:
        self._reader.answer(message(ERROR_MESSAGE, asked.number, status(code, why), version=1))

    def _version(self, client: "Connection", asked: Message) -> None:
        """Speak of LLRP 1.1 (its 10.1): what is spoken, what could be, and another one."""
        known = self._reader.kind.versions
        if asked.kind == GET_SUPPORTED_VERSION:
            told = bytes([client.version, known]) + status()
        elif asked.body[:1] and 1 <= asked.body[0] <= known:
            client.version = self._reader.outbox.version = asked.body[0]
            told = status()
        else:
            told = status(M_UNSUPPORTED_VERSION, f"versions 1 to {known} are known")
        self._reader.answer(message(asked.kind + 10, asked.number, told, version=asked.version))

    # requests with an answer of their own

    def _capabilities(self, body: bytes) -> list[bytes]:
        (what,) = fields(">B", body, "GET_READER_CAPABILITIES")
        return capabilities(self._reader.kind, len(self._reader.antennas), what)

    def _get_config(self, body: bytes) -> list[bytes]:
        return settings.answer(self._reader.settings, settings.read_ask(body), self._reader.kind.temperature_c)

    def _set_config(self, body: bytes) -> None:
        before = self._reader.settings
        self._reader.settings = settings.changed(before, body)
        if self._reader.settings.keepalive_ms != before.keepalive_ms:
            self._reader.set_keepalive()

    def _add_rospec(self, body: bytes) -> None:
        self._reader.inventory.add(read_rospec(one(177, parameters(body), "ROSpec")))

    def _add_access_spec(self, body: bytes) -> None:
        self._reader.access.add(read_access_spec(one(207, parameters(body), "AccessSpec")))


def _by_number(act: Callable[[int], None]) -> Answer:
    def acted(body: bytes) -> None:
        act(fields(">I", body, "an id")[0])

    return acted
