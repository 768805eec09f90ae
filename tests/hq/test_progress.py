"""How a wave goes, told from events."""

from datetime import UTC, datetime
from typing import Any

from gateway.hq.progress import Progress
from gateway.hq.wire import Event

AT = datetime(2026, 11, 22, tzinfo=UTC)
ACCEPTED = {
    "kind": "change", "sequence": 1, "issuer": "a", "effective_at": "2026-11-22T00:00:00Z", "effective_local": "08:00",
    "lines": 2, "refused": 1, "labels": 2, "supersedes": None,
}  # fmt: skip


def tell(progress: Progress, event_type: str, wave: str = "w1", gateway: str = "gw1", **data: Any) -> None:
    progress.feed(Event("id", "0421", gateway, "ap-1", "business", event_type, AT, 1, None, {"wave": wave, **data}, {}))


def test_a_wave_from_sent_to_converged() -> None:
    progress = Progress()
    wave = progress.sent("w1")
    assert (wave.stage, wave.over) == ("sent", False)
    tell(progress, "price.wave.accepted", **ACCEPTED)
    tell(progress, "price.wave.staged", faces=2, refused=0)
    assert wave.stage == "staged"
    tell(progress, "price.wave.effective", products=2, labels=2, overtaken=0)
    tell(progress, "label.sent", label="A")
    tell(progress, "label.sent", label="B")
    tell(progress, "label.shown", label="A", revision=1)
    assert (wave.stage, wave.shown, wave.labels) == ("effective", 1, 2)
    assert wave.stragglers() == {"B": "sent, not proven"}
    tell(progress, "label.failed", label="B", revision=2, reason="tag_silent")
    assert wave.stragglers() == {"B": "tag_silent"}
    tell(progress, "label.shown", label="B", revision=3)
    tell(progress, "price.wave.converged", labels=2, duration_s=41.5)
    assert (wave.stage, wave.over, wave.stragglers()) == ("converged", True, {})


def test_a_proof_that_no_longer_holds_is_taken_back() -> None:
    progress = Progress()
    tell(progress, "label.shown", label="A", revision=4)
    tell(progress, "label.failed", label="A", revision=3, reason="superseded")
    assert progress.waves["w1"].shown == 1
    tell(progress, "label.failed", label="A", revision=4, reason="tag_rebooted")
    assert (progress.waves["w1"].shown, progress.waves["w1"].stragglers()) == (0, {"A": "tag_rebooted"})


def test_a_repeat_of_an_earlier_stage_does_not_take_a_wave_back() -> None:
    progress = Progress()
    tell(progress, "price.wave.converged", labels=2, duration_s=41.5)
    tell(progress, "price.wave.accepted", **ACCEPTED)
    assert progress.waves["w1"].stage == "converged"


def test_exceptions_name_the_labels_and_late_proof_still_converges() -> None:
    progress = Progress()
    tell(progress, "price.wave.accepted", **ACCEPTED)
    one = {"label": "B", "gtin": "0", "facing": None, "reason": "ap_silent"}
    tell(progress, "price.wave.exceptions", shown=1, labels=2, exceptions=[one])
    wave = progress.waves["w1"]
    assert (wave.stage, wave.over, wave.stragglers()) == ("exceptions", True, {"B": "ap_silent"})
    tell(progress, "price.wave.converged", labels=2, duration_s=1000.0)
    assert wave.stage == "converged"


def test_a_wave_is_over_when_every_gateway_of_the_shop_says_so() -> None:
    progress = Progress()
    wave = progress.sent("w1")
    wave.expected |= {"gw1", "gw2"}
    tell(progress, "price.wave.converged", labels=1, duration_s=1.0)
    assert not wave.over
    assert wave.stragglers() == {"gw2": "this gateway has not answered"}
    tell(progress, "price.wave.accepted", gateway="gw2", **ACCEPTED)
    assert (wave.stage, wave.over) == ("accepted", False)
    tell(progress, "price.wave.converged", gateway="gw2", labels=1, duration_s=1.0)
    assert (wave.stage, wave.over, wave.labels) == ("converged", True, 2)


def test_refused_and_cancelled() -> None:
    progress = Progress()
    tell(progress, "price.wave.refused", reason="stale sequence")
    assert (progress.waves["w1"].stage, progress.waves["w1"].over) == ("refused", True)
    tell(progress, "price.wave.accepted", "w2", **ACCEPTED)
    tell(progress, "price.wave.accepted", "c1", **(ACCEPTED | {"kind": "cancel", "supersedes": "w2"}))
    assert (progress.waves["w2"].stage, progress.waves["c1"].stage) == ("cancelled", "converged")


def test_events_of_no_wave_and_old_waves_do_not_pile_up() -> None:
    progress = Progress()
    tell(progress, "device.state", state="online")
    assert not progress.waves
    for number in range(600):
        progress.sent(f"w{number}")
    assert len(progress.waves) == 500
    assert "w0" not in progress.waves
