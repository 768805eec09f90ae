"""Every path of the tills' interface, with its methods and who may ask. What is not in the table is refused. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import unquote

from drivers._checkout_problem import Problem

Access = Literal["anybody", "any_terminal", "own_terminal", "allowed_address"]
MIB = 1 << 20
BODY_MAX = MIB
POSLOG_MAX = 64 * MIB


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `call` names what answers it; `parameters` are the path's `{...}`, in order."""

    call: str
    method: str
    path: str
    access: Access
    body: Literal["json", "xml"] | None = None

    @property
    def body_max(self) -> int:
        """Return how many bytes the body may have."""
        return {None: 0, "json": BODY_MAX, "xml": POSLOG_MAX}[self.body]


ROUTES = (
    Route("health", "GET", "/v1/health", "anybody"),
    Route("openapi", "GET", "/v1/openapi.json", "any_terminal"),
    Route("events", "POST", "/v1/sco/{terminal}/events", "own_terminal", "json"),
    Route("ack", "GET", "/v1/sco/{terminal}/ack", "own_terminal"),
    Route("lease", "PUT", "/v1/sco/{terminal}/lease", "own_terminal", "json"),
    Route("lease", "POST", "/v1/sco/{terminal}/lease", "own_terminal", "json"),
    Route("verify", "POST", "/v1/sco/{terminal}/verify", "own_terminal", "json"),
    Route("stream", "GET", "/v1/sco/{terminal}/stream", "own_terminal"),
    Route("price", "GET", "/v1/price/{code}", "any_terminal"),
    Route("prices_of", "POST", "/v1/price/batch", "any_terminal", "json"),
    Route("feed", "GET", "/v1/prices", "any_terminal"),
    Route("poslog", "POST", "/v1/poslog", "any_terminal", "xml"),
    Route("rtsf", "POST", "/api/v1/resource/{device}/{event}", "allowed_address", "json"),
)


class Asked(NamedTuple):
    """A route, and the values of its `{...}` in the path."""

    route: Route
    values: tuple[str, ...]


@lru_cache(1024)
def find(method: str, raw_path: str) -> Asked:
    """Return what is asked. `raw_path` is still escaped: a code may hold a slash. Raises Problem (404, 405)."""
    steps = raw_path.split("/")
    fits = [(route, values) for route in ROUTES if (values := _values(route.path.split("/"), steps)) is not None]
    for route, values in fits:
        if route.method == method:
            return Asked(route, values)
    if not fits:
        raise Problem(404, "no-such-path", "there is no such path here; /v1/openapi.json lists all")
    allowed = ", ".join(sorted({route.method for route, _ in fits}))
    raise Problem(405, "wrong-method", f"this path takes {allowed}", headers={"Allow": allowed})


def _values(pattern: list[str], steps: list[str]) -> tuple[str, ...] | None:
    if len(pattern) != len(steps):
        return None
    values = []
    for want, got in zip(pattern, steps, strict=True):
        if want.startswith("{") and got:
            values.append(unquote(got, errors="replace"))
        elif want != got:
            return None
    return tuple(values)
