"""State of the access point by evidence: each reason with what was seen and what to do."""

from dataclasses import replace

import pytest

from drivers._oepl_health import Evidence, judge, wanted_settings, wrong_settings
from drivers._oepl_wire import SystemState

RUNNING = SystemState(1_795_000_000, ap_state=1, run_state=2, flash_free_bytes=9_000_000, record_count=3, uptime_s=60)
FINE = Evidence("http://ap", link_error=None, system=RUNNING, tags=3)


def test_online_needs_a_life_sign_a_radio_and_a_running_loop() -> None:
    assert judge(FINE).state == "online"


@pytest.mark.parametrize(
    ("known", "state", "reason"),
    [
        (Evidence("http://ap"), "offline", "ap_unreachable"),
        (replace(FINE, link_error="connection refused"), "offline", "ap_unreachable"),
        (replace(FINE, silent=True, system=None), "offline", "ap_silent"),
        (replace(FINE, system=None), "unknown", "ap_connecting"),
        (replace(FINE, system=replace(RUNNING, ap_state=7)), "offline", "no_radio"),
        (replace(FINE, system=replace(RUNNING, ap_state=42)), "offline", "no_radio"),
        (replace(FINE, system=replace(RUNNING, run_state=0)), "offline", "ap_stopped"),
        (replace(FINE, system=replace(RUNNING, flash_free_bytes=40_000)), "degraded", "flash_low"),
        (replace(FINE, epoch_error_s=-90), "degraded", "clock_wrong"),
        (replace(FINE, http_error="no answer"), "degraded", "http_error"),
        (replace(FINE, wrong={"preview": 1}), "degraded", "no_preview"),
        (replace(FINE, wrong={"showtimestamp": 0}), "degraded", "timestamp_overlay"),
        (replace(FINE, wrong={"nightlyreboot": 0}), "degraded", "nightly_reboot"),
        (replace(FINE, wrong={"stopsleep": 1}), "degraded", "sleep_mode"),
        (replace(FINE, wrong={"sleeptime1": 0}), "degraded", "sleep_hours"),
        (replace(FINE, wrong={"lock": 1}), "degraded", "lock"),
        (replace(FINE, tags=201), "degraded", "too_many_tags"),
        (replace(FINE, bad_records=1, last_bad="mac: 7"), "degraded", "bad_records"),
    ],
)
def test_each_trouble_has_its_reason_and_a_next_step(known: Evidence, state: str, reason: str) -> None:
    verdict = judge(known)
    assert (verdict.state, verdict.reason) == (state, reason)
    assert verdict.evidence
    assert verdict.next_step


def test_the_worst_goes_first() -> None:
    known = replace(FINE, tags=300, http_error="slow", system=replace(RUNNING, run_state=0))
    assert judge(known).reason == "ap_stopped"


def test_wanted_settings_follow_mode_and_lock() -> None:
    assert wanted_settings("fast", None)["stopsleep"] == 1
    assert wanted_settings("eco", 1) == wanted_settings("fast", None) | {"stopsleep": 0, "lock": 1}


def test_wrong_settings_read_numbers_in_strings_and_skip_what_is_not_there() -> None:
    wanted = {"preview": 1, "nightlyreboot": 0, "showtimestamp": 0}
    assert wrong_settings({"preview": "1", "nightlyreboot": 1}, wanted) == {"nightlyreboot": 0}
