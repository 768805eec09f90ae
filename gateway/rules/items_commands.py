"""Commands of persons about items: `clear_exit` (args: alarm or epc) and `forget_tag` (args: epc). Known once, audited.

Also what follows when a person had a tag changed. Not here: commands about counts; how a tag is changed.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gateway.messages import AuditEntry, CommandDone, CommandRefused, Message, Request, TagWritten
from gateway.rules.exit_gate import ExitGate
from gateway.rules.items_book import ItemBook
from gateway.rules.tag_presence import SECOND_US
from gateway.rules.tag_state import Tag

COMMANDS = ("clear_exit", "forget_tag")
REMEMBERED = 10_000
OLD_READS_US = 60 * SECOND_US  # reads from before a tag was changed may be told so much later


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

    def written(self, fact: TagWritten, now_us: int, at: datetime) -> list[Message]:
        """Forget an EPC that no tag bears any more. The time of the fact is the order's: older than what was heard."""
        if fact.result != "done" or fact.action == "lock" or fact.new_epc == fact.epc:
            return []
        again = self._book.get(fact.new_epc or "")
        if again is not None and again.state == "gone":
            self._book.forget([again], at)  # this one is here: it arrives as soon as it is heard
        tag = self._book.get(fact.epc)
        if tag is None:
            return []
        self._gate.alarms.pop(tag.epc, None)
        return self._book.let_go(tag, now_us + OLD_READS_US, at)

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
