"""The OpenAPI document: the committed copy is the code's, and what the code answers is what the document says."""

import json
import subprocess
import sys
from pathlib import Path

from drivers._checkout_openapi import document
from drivers._checkout_routes import ROUTES
from gateway.messages.tills import EVENT_DATA

ROOT = Path(__file__).parents[2]
COPY = ROOT / "config" / "checkout-openapi.json"


def test_the_committed_copy_is_what_the_code_says() -> None:
    assert COPY.read_bytes() == document(), "run: python -m drivers.checkout_http > config/checkout-openapi.json"


def test_the_driver_prints_it() -> None:
    printed = subprocess.run([sys.executable, "-m", "drivers.checkout_http"], cwd=ROOT, capture_output=True, check=True)
    assert printed.stdout == document()


def test_it_names_every_route_and_every_type_of_event() -> None:
    said = json.loads(document())
    assert {(path, method.upper()) for path, methods in said["paths"].items() for method in methods} == {
        (route.path, route.method) for route in ROUTES
    }
    assert said["components"]["schemas"]["Event"]["discriminator"]["mapping"].keys() == EVENT_DATA.keys()
    operations = [one["operationId"] for methods in said["paths"].values() for one in methods.values()]
    assert len(set(operations)) == len(operations)
