"""Problem details (RFC 9457): how the tills' interface says no, in words that a till's vendor understands. Pure.

Nothing that was sent comes back in them but names of members, cut short and with card numbers blanked out.
"""

from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from drivers._checkout_cards import mask

CONTENT_TYPE = "application/problem+json"
MAX_ERRORS = 20
_NAME_CHARS = 60

TITLES = {
    400: "The request cannot be read",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "Wrong method",
    408: "Too slow",
    409: "In conflict with what is kept",
    413: "Too large",
    415: "Wrong content type",
    422: "Read, but not right",
    426: "A WebSocket is wanted",
    429: "Too many failures",
    500: "Our mistake",
    503: "Not possible now",
}


class Problem(Exception):
    """A refusal. `kind` is a stable code for programs, `detail` for people; `extra` are further members."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, mask(detail)
        self.headers, self.extra = headers or {}, extra

    def members(self, instance: str | None = None) -> dict[str, object]:
        """Return it as an object. `instance` is the path that was asked."""
        said: dict[str, object] = {"type": f"urn:aisled:problem:{self.kind}", "title": TITLES[self.status]}
        said |= {"status": self.status, "detail": self.detail}
        return said | ({} if instance is None else {"instance": mask(instance)[:200]}) | self.extra

    def body(self, instance: str) -> bytes:
        """Return it as JSON."""
        return to_json(self.members(instance))


def unreadable(error: ValidationError) -> Problem:
    """Return why a body was not taken: 400 when it is no JSON, else 422 with the places."""
    found = errors_of(error)
    if found[0]["type"] == "json_invalid":
        return Problem(400, "no-json", f"the body is not JSON: {found[0]['reason']}")
    return Problem(422, "wrong-body", said(found), errors=found)


def errors_of(error: ValidationError, prefix: str = "") -> list[dict[str, str]]:
    """Return the first places that are wrong: where ("data.line"), what kind of mistake, and the reason."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [_place(one, prefix) for one in details[:MAX_ERRORS]]


def said(found: list[dict[str, str]]) -> str:
    """Return the places as one sentence."""
    return "; ".join(f"{one['at']}: {one['reason']}" if one["at"] else one["reason"] for one in found)


def _place(detail: Any, prefix: str) -> dict[str, str]:  # noqa: ANN401 (pydantic's ErrorDetails)
    steps = [prefix, *(mask(str(step))[:_NAME_CHARS] for step in detail["loc"])]
    return {"at": ".".join(filter(None, steps)), "type": detail["type"], "reason": detail["msg"]}
