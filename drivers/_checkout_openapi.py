"""The OpenAPI 3.1 document of the tills' interface, generated from the route table and the models. Pure.

`python -m drivers.checkout_http` prints it; the committed copy is `config/checkout-openapi.json`.
"""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, create_model
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json

from drivers import _checkout_bodies as bodies
from drivers._checkout_problem import CONTENT_TYPE, TITLES
from drivers._checkout_routes import ROUTES, Route
from gateway.messages import BaggingVerdict, EventIn, Lease, PriceAnswer, PriceChange
from gateway.messages.tills import EVENT_DATA

VERSION = "1.0.0"
ABOUT = """\
What a self-checkout tells the gateway of its shop, and what it is told. Times are RFC 3339, money is an integer of the
minor unit, weight integer mg, a GTIN has 14 digits. Every refusal is a problem (RFC 9457). An event has an id and a
number at its terminal: send it again until it is answered, it is kept once. Card numbers are refused wherever they
stand. Types of events beside those listed here are kept unread."""
SUMMARIES = {
    "health": "Whether somebody listens",
    "openapi": "This document",
    "events": "Send one event, or up to 500: in an array a bad one is `rejected` and the others are kept",
    "ack": "Where to resume",
    "lease": "Acknowledge the feed, and get leave to sell from the cache",
    "verify": "Whether the bagging area fits the basket; `unknown` never holds up a customer",
    "stream": "WebSocket both ways; frames up and down are the schemas that end in `Frame`",
    "price": "The price of a scanned code now",
    "prices_of": "The prices of up to 500 codes, in order",
    "feed": "What changed after a version, a line each (PriceChange), and at the end the version reached (FeedEnd)",
    "poslog": "Import a sales document (ARTS POSLog 2.x, OMG 6)",
    "rtsf": "Events as Intel RTSF sends them; off unless `rtsf` is set",
}
ANSWERS: dict[str, type[BaseModel]] = {
    "events": bodies.EventsAnswer,
    "ack": bodies.Ack,
    "lease": Lease,
    "verify": BaggingVerdict,
    "price": PriceAnswer,
    "prices_of": bodies.PricesAnswer,
    "poslog": bodies.PoslogAnswer,
}
ASKED: dict[str, type[BaseModel]] = {
    "lease": bodies.LeaseAsked,
    "verify": bodies.VerifyAsked,
    "prices_of": bodies.CodesAsked,
}
FRAMES = (
    bodies.EventsFrame,
    bodies.LeaseFrame,
    bodies.VerifyFrame,
    bodies.AckFrame,
    bodies.PricesFrame,
    bodies.VerdictFrame,
    bodies.AssistFrame,
    bodies.ConfigFrame,
    bodies.ProblemFrame,
)
PROBLEMS: dict[str, tuple[int, ...]] = {
    "events": (400, 408, 409, 413, 415, 422),
    "lease": (400, 408, 413, 415, 422),
    "verify": (400, 408, 413, 415, 422),
    "stream": (400, 426),
    "price": (422,),
    "prices_of": (400, 408, 413, 415, 422),
    "feed": (422,),
    "poslog": (400, 408, 413, 415, 422),
    "rtsf": (400, 408, 413, 415, 422),
}
BY_ACCESS = {
    "anybody": (400,),
    "any_terminal": (400, 401, 403, 404, 429, 503),
    "own_terminal": (400, 401, 403, 404, 429, 503),
    "allowed_address": (400, 403, 404, 503),
}
PATTERNS = {"terminal": "^[a-z0-9][a-z0-9_-]{0,39}$", "device": "^device-[a-z-]+-rest$", "event": "^[a-z-]+$"}
REF = "#/components/schemas/{model}"


@cache
def document() -> bytes:
    """Return the document as JSON text, the same each time."""
    return to_json(_document(), indent=1) + b"\n"


def _document() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Aisled: the tills' interface", "version": VERSION, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "one token for each terminal"},
                "certificate": {"type": "mutualTLS", "description": "its SAN URI is aisled:terminal:<id>"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    statuses = sorted({*PROBLEMS.get(route.call, ()), *BY_ACCESS[route.access]})
    found: dict[str, Any] = {
        "operationId": route.call if route.method != "POST" or route.call != "lease" else "lease_by_post",
        "summary": SUMMARIES[route.call],
        "parameters": _parameters(route),
        "responses": _good(route) | {str(status): _problem(status) for status in statuses},
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": _asked(route)}
    if route.access.endswith("terminal"):
        found["security"] = [{"token": []}, {"certificate": []}]
    return found


def _parameters(route: Route) -> list[dict[str, Any]]:
    names = [step[1:-1] for step in route.path.split("/") if step.startswith("{")]
    found = [_parameter(name, "path", _path_schema(name)) for name in names]
    if route.call == "price":
        found.append(_parameter("symbology", "query", {"type": "string", "maxLength": 40}))
        found.append(_parameter("If-None-Match", "header", {"type": "string", "pattern": '^W/"[0-9a-f]{24}"$'}))
    if route.call == "feed":
        version = {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0}
        found.append(_parameter("since", "query", version))
    if route.call == "events":
        found.append(_parameter("Sent-At", "header", {"type": "string", "format": "date-time"}, bodies.SENT_AT))
    if route.call == "stream":
        version = {"type": "integer", "minimum": 0, "maximum": 2**53}
        found.append(_parameter("since", "query", version, "push price changes after this version; left out: from now"))
    return found


def _path_schema(name: str) -> dict[str, Any]:
    bounds: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 2048}
    return bounds if name == "code" else {"type": "string", "pattern": PATTERNS[name]}


def _parameter(name: str, place: str, schema: dict[str, Any], about: str = "") -> dict[str, Any]:
    said = {"description": about} if about else {}
    return {"name": name, "in": place, "required": place == "path", "schema": schema} | said


def _asked(route: Route) -> dict[str, Any]:
    if route.call == "events":
        one = {"$ref": REF.format(model="Event")}
        schema: dict[str, Any] = {"anyOf": [one, {"type": "array", "items": one, "maxItems": 500}]}
    elif route.body == "xml":
        return {name: {"schema": {"type": "string", "format": "binary"}} for name in ("application/xml", "text/xml")}
    elif route.call == "rtsf":
        schema = {"type": "object"}
    else:
        schema = {"$ref": REF.format(model=ASKED[route.call].__name__)}
    return {"application/json": {"schema": schema}}


def _good(route: Route) -> dict[str, Any]:
    if route.call == "stream":
        return {"101": {"description": "the stream is open"}}
    if route.call == "feed":
        return {"200": {"description": "lines of JSON", "content": {"application/x-ndjson": {}}}}
    model = ANSWERS.get(route.call)
    schema = {"type": "object"} if model is None else {"$ref": REF.format(model=model.__name__)}
    found: dict[str, Any] = {"200": {"description": "done", "content": {"application/json": {"schema": schema}}}}
    if route.call == "price":
        tag = {"ETag": {"schema": {"type": "string"}, "description": "changes with the answer"}}
        found["200"]["headers"] = tag
        found["304"] = {"description": "the answer is the one that has this ETag", "headers": tag}
    return found


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": REF.format(model=bodies.ProblemBody.__name__)}
    return {"description": TITLES[status], "content": {CONTENT_TYPE: {"schema": schema}}}


def _schemas() -> dict[str, Any]:
    events = {name: _event(name, data) for name, data in EVENT_DATA.items()}
    models: set[type[BaseModel]] = {*ANSWERS.values(), *ASKED.values(), *FRAMES, *events.values()}
    models |= {EventIn, PriceChange, bodies.FeedEnd, bodies.ProblemBody}
    _, found = models_json_schema([(model, "validation") for model in sorted(models, key=_name)], ref_template=REF)
    refs = {name: REF.format(model=model.__name__) for name, model in events.items()}
    found["$defs"]["Event"] = {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "type", "mapping": refs},
    }
    return dict(sorted(found["$defs"].items()))


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _event(name: str, data: type[BaseModel]) -> type[BaseModel]:
    """Return a model of this one type of event, for its schema alone."""
    title = "Event" + "".join(part.title() for part in name.replace(".", "_").split("_"))
    has_no_data = not any(field.is_required() for field in data.model_fields.values())
    given: Any = (data, ...) if not has_no_data else (data, {})
    return create_model(title, __base__=EventIn, type=(_literal(name), ...), data=given, __doc__=data.__doc__)


def _literal(name: str) -> Any:  # noqa: ANN401 (a type made at run time)
    return Literal[name]
