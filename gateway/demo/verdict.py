"""The demo's figures, and whether a promise broke. Pure: a view in, a dictionary out."""

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.demo import items
from gateway.demo.sales import beside_shelf, breaches
from gateway.demo.view import View


@dataclass(frozen=True)
class Ending:
    """How the daemon ended."""

    exit_code: int
    stop_s: float


def figures(view: View, ending: Ending, seconds: float) -> dict[str, Any]:
    """Return everything that was measured; `broken` names every promise that did not hold."""
    audit, waves = view.audit, view.progress.waves
    took = [
        part.duration_s
        for scene in view.scenes.values()
        if scene.must_converge
        for part in waves[scene.wave].gateways.values()
        if part.duration_s is not None
    ]
    streams = view.ledger.report()
    found = {
        "seconds": round(seconds, 1),
        "labels": len(view.script.labels),
        "products": len(view.script.products),
        "waves": len(view.scenes),
        "waves_converged": len(took),
        "labels_changed": len(audit.proven),
        "uploads": audit.sent,
        "uploads_per_changed_label": _rounded(audit.uploads_per_change(), 3),
        "converge_median_s": _rounded(statistics.median(took) if took else None, 2),
        "converge_max_s": _rounded(max(took, default=None), 2),
        "overcharged": len(audit.harm()),
        "wrong_labels": len(view.wrong_labels()),
        "wrong_charges": len(view.wrong_charges()),
        **_sold(view),
        **items.figures(view.items, datetime.now(UTC)),
        "lines_refused": sum(view.refused_lines.values()),
        "events": sum(row["events"] for row in streams),
        "missing_events": sum(last - first + 1 for row in streams for first, last in row["gaps"]),
        "repeated_events": sum(row["repeats"] for row in streams),
        "gateway_stop_s": round(ending.stop_s, 2),
    }
    broken = _broken(view, ending)
    return {"ok": not broken, **found, "broken": broken}


def _sold(view: View) -> dict[str, int]:
    sales, lines = view.sales, view.sales.lines()
    beside = beside_shelf(lines, view.audit)
    return {
        "sale_lines": sum(map(len, sales.heard.values())),
        "sales_from_cache": sum(line.from_cache for line in lines),
        "sales_above_shelf": len({above.paid.key for above in beside.above}),
        "sales_while_changing": beside.changing,
        "sales_missing": len(sales.missing()),
        "sales_twice": len(sales.twice()),
        "sales_wrong": len(sales.wrong()),
        "sales_sum_minor": sales.sum_minor(),
        "sale_mismatches": len(sales.mismatches),
    }


def _broken(view: View, ending: Ending) -> list[str]:
    broken = [
        f"at {harm.at.isoformat()} the till charged {harm.charged_minor} for {harm.gtin}, "
        f"label {harm.label} showed {harm.shown_minor}"
        for harm in view.audit.harm()[:10]
    ]
    broken += breaches(view.sales, view.audit)
    broken += items.breaches(view.items, datetime.now(UTC))
    broken += [f"wave {wave} did not converge" for wave in view.unfinished()]
    broken += [f"label {label} {why}" for label, why in list(view.wrong_labels().items())[:10]]
    broken += [f"product {gtin} {why}" for gtin, why in list(view.wrong_charges().items())[:10]]
    broken += [f"label {label} shows a picture that nobody was told of" for label, _ in sorted(view.audit.unknown)[:10]]
    broken += [f"events {row['gaps']} of {row['stream']} are missing" for row in view.ledger.report() if row["gaps"]]
    broken += [f"events {row['conflicts']} contradict" for row in view.ledger.report() if row["conflicts"]]
    for scene in view.scenes.values():
        if view.refused_lines.get(scene.wave, 0) != scene.bad_lines:
            broken.append(
                f"wave {scene.wave}: {view.refused_lines.get(scene.wave, 0)} of {scene.bad_lines} bad lines refused"
            )
        if scene.cancels and view.progress.waves[scene.cancels].stage != "cancelled":
            broken.append(f"wave {scene.cancels} was not taken back")
    if not view.audit.proven:
        broken.append("no label was ever proven to show a price")
    if ending.exit_code != 0:
        broken.append(f"the gateway ended with {ending.exit_code}")
    return broken


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
