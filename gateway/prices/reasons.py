"""Why an order of head office was not taken, in words that its sender can act on. Pure: errors in, text out."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

SHOWN = 60  # most characters of a bad value that are repeated
RIGHT = {
    "gtin": "must be 14 digits",
    "currency": "must be three capital letters like CNY",
    "price_minor": "must be a whole number of minor units",
    "unit_price_minor": "must be a whole number of minor units",
    "was_minor": "must be a whole number of minor units",
    "label": "must be 12 or 16 hexadecimal digits",
    "issued_at": "must be an instant with its offset like 2026-11-23T00:00:00Z",
    "effective_at": "must be an instant with its offset like 2026-11-23T00:00:00Z",
    "expires_at": "must be an instant with its offset like 2026-11-23T00:00:00Z",
    "kind": "must be change or cancel",
    "name": "must give the name by language, one at least",
}


def shown(value: object) -> str:
    """Return a value as evidence: short, on one line, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return "a value too long to show"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def explain(error: ValidationError, what: str = "the order") -> str:
    """Return the first fault in plain words, and how many more there are."""
    faults = error.errors(include_url=False, include_context=True)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return _fault(faults[0], what) + more


def _fault(fault: Mapping[str, Any], what: str) -> str:
    place = ".".join(str(step) for step in fault["loc"])[:SHOWN]
    name = str(fault["loc"][-1]) if fault["loc"] else ""
    match fault["type"]:
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is no field of this order"
        case "json_invalid":
            return f"not JSON: {fault['ctx']['error']}"
        case "greater_than_equal" if fault["ctx"]["ge"] == 0:
            return f"{place} must not be negative, got {shown(fault['input'])}"
        case "model_type" | "model_attributes_type":
            return f"{place or what} must be an object, got {shown(fault['input'])}"
    wanted = RIGHT.get(name, fault["msg"].replace("Input should", "should"))
    return f"{place} {wanted}, got {shown(fault['input'])}"
