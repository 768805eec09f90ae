"""One proof for the demo's screen: `aisled prove`, run as a person would, for the product of one label."""

from datetime import UTC, datetime

from gateway.demo.stage import Stage
from gateway.demo.view import View

LINES = 4


async def prove_one(on: Stage, view: View, label: str) -> list[str]:
    """Return the lines that the command printed about this label's product, now."""
    gtin = next((binding.gtin for binding in view.script.bindings() if binding.label == label), None)
    if gtin is None:
        return []
    now = datetime.now(UTC).isoformat()
    code, printed = await on.aisled("prove", "--config", str(on.config), "--gtin", gtin, "--at", now)
    lines = [line for line in printed.splitlines() if not line.startswith("  sold:")]  # `sales.py` judges all of them
    return lines[:LINES] if code == 0 else [f"aisled prove ended with {code}", *lines[-2:]]
