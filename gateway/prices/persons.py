"""Commands of persons about prices and labels: known once, checked, audited. Pure. What they do is in `pricing.py`."""

from collections.abc import Callable, Iterable

from gateway import messages as m

KNOWN = 10_000  # ids of commands carried out: a repeated one is a no-op
OF_LABEL = ("sign_off", "refresh")
TAG_WRITES = ("tag_encode", "tag_kill", "tag_lock")
OF_TAGS = ("clear_exit", "count_cancel", "count_start", "count_stop", "forget_tag", *TAG_WRITES)  # not carried out here
KNOWN_NAMES = sorted({*OF_LABEL, *OF_TAGS, "blink", "confirm_time", "force", "ping", "resume"})


class Known:
    """Ids of the commands that came before."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = dict.fromkeys(ids)

    def is_new(self, request: str) -> bool:
        """Remember an id; tell whether it was unknown."""
        if request in self._ids:
            return False
        self._ids[request] = None
        if len(self._ids) > KNOWN:
            del self._ids[next(iter(self._ids))]
        return True


def fault(request: m.Request, knows: Callable[[str], bool], priced: Callable[[str], bool]) -> str | None:
    """Return why a command cannot be carried out, or None."""
    label, gtin = request.args.get("label"), request.args.get("gtin")
    if request.name in OF_LABEL:
        known = isinstance(label, str) and knows(label)
        return None if known else "args.label must name a label that this gateway knows"
    if request.name == "force":
        known = isinstance(gtin, str) and priced(gtin)
        return None if known else "args.gtin must name a product that has a price"
    if request.name == "ping":
        return None
    return f"unknown command; known: {', '.join(KNOWN_NAMES)}"


def done(request: m.Request) -> m.Fact:
    """Return that a command was carried out."""
    return m.CommandDone(at=request.at, source=request.source, cause=request.id, command=request.id, name=request.name)


def audited(request: m.Request, subject: str) -> list[m.Message]:
    """Return who did it, and that it was carried out."""
    entry = m.AuditEntry(
        at=request.at,
        source=request.source,
        cause=request.id,
        actor=request.issuer,
        action=request.name,
        subject=subject,
    )
    return [entry, done(request)]


def refused(request: m.Request, reason: str) -> m.Fact:
    """Return that a command was not carried out."""
    return m.CommandRefused(
        at=request.at,
        source=request.source,
        cause=request.id,
        command=request.id,
        name=request.name,
        reason=reason,
    )
