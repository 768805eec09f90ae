"""Reads what a till's event says beside its head, by its kind. Pure. What the kinds say: `messages/tills.py`.

Not here: what it does to a basket (`basket.py`); the form of an event itself (the driver's, `_checkout_events.py`).
"""

from pydantic import TypeAdapter, ValidationError

from gateway.messages import EVENT_DATA, Nothing, TillEvent, Wire

_READERS = {kind: TypeAdapter(model).validator for kind, model in EVENT_DATA.items()}
_SILENT = frozenset(kind for kind, model in EVENT_DATA.items() if model is Nothing)


def read(event: TillEvent) -> Wire | None:
    """Return what an event says more; None when that is nothing, or its kind is not known. Raises ValidationError."""
    reader = _READERS.get(event.kind)
    if reader is None or (not event.data and event.kind in _SILENT):
        return None
    body: Wire = reader.validate_python(event.data)
    return body


def read_kept(event: TillEvent) -> Wire | None:
    """Return what a kept event says; one that a newer version would refuse says nothing any more."""
    try:
        return read(event)
    except ValidationError:
        return None


def why_refused(error: ValidationError) -> str:
    """Return the first thing that is wrong, for the till's owner."""
    what = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"data.{'.'.join(map(str, what['loc']))}: {what['msg']}"
