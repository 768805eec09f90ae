"""Commands of persons about items: `clear_exit` (args: alarm or epc) and `forget_tag` (args: epc). Known once, audited.

Not here: commands about counts and about writing tags.
"""

from collections.abc import Iterable
from typing import Any

from gateway.messages import AuditEntry, CommandDone, CommandRefused, Message, Request
from gateway.rules.exit_gate import ExitGate
from gateway.rules.items_book import ItemBook
from gateway.rules.tag_state import Tag

COMMANDS = ("clear_exit", "forget_tag")
REMEMBERED = 10_000


class ItemCommands:
    """Carries them out. A repeated one does nothing."""

    def __init__(self, book: ItemBook, gate: ExitGate, known: Iterable[str]) -> None:
        self._book, self._gate = book, gate
        self._known = dict.fromkeys(known)

    def take(self, request: Request) -> list[Message]:
        """Carry out one command; return what follows."""
        if request.id in self._known:
            return []
        self._known[request.id] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return self._clear(request) if request.name == "clear_exit" else self._forget(request)

    def _clear(self, request: Request) -> list[Message]:
        wanted = request.args.get("alarm"), request.args.get("epc")
        tag = next((one for one in self._gate.alarms.values() if one.alarm == wanted[0] or one.epc == wanted[1]), None)
        if tag is None:
            return [_refused(request, "args.alarm or args.epc must name an exit alarm that is open")]
        return [*self._gate.clear(tag, request.source, request.id, request.at), *_done(request, tag)]

    def _forget(self, request: Request) -> list[Message]:
        tag = self._book.get(str(request.args.get("epc")))
        if tag is None:
            return [_refused(request, "args.epc must name an item that this gateway knows, in upper-case hex")]
        self._gate.alarms.pop(tag.epc, None)
        return [*self._book.forget([tag], request.at), *_done(request, tag)]


def _done(request: Request, tag: Tag) -> list[Message]:
    common: dict[str, Any] = {"at": request.at, "source": request.source, "cause": request.id}
    return [
        AuditEntry(actor=request.issuer, action=request.name, subject=tag.epc, **common),
        CommandDone(command=request.id, name=request.name, **common),
    ]


def _refused(request: Request, reason: str) -> CommandRefused:
    return CommandRefused(
        at=request.at, source=request.source, cause=request.id, command=request.id, name=request.name, reason=reason
    )
