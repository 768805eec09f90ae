"""Every call of the tills' interface, asked what its OpenAPI document allows and what it does not (schemathesis).

The running driver stands in a thread with an event loop of its own. An answer must be one that the document names, of
the form that it says; what fits the document is not refused as malformed; nothing is ever a 500, and nothing hangs.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from drivers._checkout_openapi import document
from drivers._checkout_routes import ROUTES, Route
from tests.drivers.checkout_shop import TILL, Shop, open_shop

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 20
DEADLINE_S = 5
MEANT = {"time", "card_number", "number"}  # right in form, wrong in meaning: no schema says it
MEANINGS = (  # and so says the answer to a refused event
    "at: not a time",
    "looks like a card number",
    "data: holds a number",
    "bytes of JSON",
    "Input should be a valid integer",
)
WHOLE = "int_type"  # JSON Schema takes 1.0 for an integer; no program writes one so, and we do not read it
BY_MEANING = {"price", "rtsf", "poslog", "events"}  # calls that read more than a schema can say
CALLS = [route for route in ROUTES if route.call != "stream"]  # frames have tests of their own
FITS, NOT = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [(route, mode) for route in CALLS for mode in (FITS, NOT) if (route.call, mode) != ("health", NOT)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run a shop in a thread."""
    ready, held = threading.Event(), list[Any]()

    async def run(folder: Path) -> None:
        async with open_shop(folder, rtsf=True, rtsf_networks=["127.0.0.1/32"]) as shop:
            over = asyncio.Event()
            held.extend([shop, asyncio.get_running_loop(), over])
            ready.set()
            await over.wait()

    folder = tmp_path_factory.mktemp("fuzz")
    thread = threading.Thread(target=lambda: asyncio.run(run(folder)))
    thread.start()
    assert ready.wait(10)
    shop, loop, over = held
    yield shop
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(json.loads(document()))


@pytest.mark.parametrize(("route", "mode"), CASES, ids=[f"{one.method} {one.path} {mode.value}" for one, mode in CASES])
def test_every_call_as_its_document_says(shop: Shop, schema: Any, route: Route, mode: GenerationMode) -> None:
    operation = schema[route.path][route.method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), own=st.integers(0, 3))
    def ask(case: schemathesis.Case, own: int) -> None:
        if own and "terminal" in (case.path_parameters or {}):
            case.path_parameters["terminal"] = TILL
        response = case.call(base_url=shop.url, headers=shop.auth(), timeout=DEADLINE_S)
        case.validate_response(response, checks=CHECKS)
        if mode is GenerationMode.POSITIVE and own:
            assert is_fair(route, response.status_code, response.content), response.content

    ask()


def is_fair(route: Route, status: int, body: bytes) -> bool:
    """Tell whether a request that fits the document was taken, or refused for what it means and not for its form."""
    if status in (400, 415, 422):
        said = json.loads(body)
        if route.call == "events" and said["type"] == "urn:aisled:problem:rejected":
            return any(reason in said["detail"] for reason in MEANINGS)
        kinds = {one["type"] for one in said.get("errors") or ()}
        if kinds == {WHOLE}:
            return True
        return route.call in BY_MEANING and (route.call != "events" or (bool(kinds) and kinds <= MEANT | {WHOLE}))
    return status in (200, 304, 403, 404, 409)


def test_without_a_token_no_call_tells_anything(shop: Shop, schema: Any) -> None:
    for route in CALLS:
        if not route.access.endswith("terminal"):
            continue
        case = schema[route.path][route.method].Case(path_parameters={"terminal": TILL, "code": "1"})
        response = case.call(base_url=shop.url, timeout=DEADLINE_S)
        assert response.status_code in (401, 429)
        assert response.json()["type"].startswith("urn:aisled:problem:")
