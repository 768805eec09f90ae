"""State of an OpenEPaperLink access point, by evidence: which settings it must have, and what its messages prove.

Pure. Nothing is online because a socket is open: only a fresh `sys` message with a running content loop and a radio
counts. Not here: asking and setting (`label_oepl.py`).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from drivers._oepl_wire import SystemState
from gateway.driver import Health

SYS_SILENCE_S = 15.0  # `sys` comes every 5 s: three missed
RUN_STATE_RUN = 2
AP_STATE_ONLINE = 1
AP_STATES = {0: "offline", 2: "being flashed", 3: "waiting for reset", 4: "needs a power cycle", 5: "failed"}
AP_STATES |= {6: "coming online", 7: "no radio"}
FLASH_FLOOR_BYTES = 31_000  # below it the access point converts no image
FLASH_LOW_BYTES = 4 * FLASH_FLOOR_BYTES  # room for one wave's images at once, roughly; then a person should look
CLOCK_TOLERANCE_S = 60
TAGS_MAX = 200  # its radio has 250 slots and its list wraps at 255: stay clear of both (esl T8)

SETTING_REASONS = {
    "preview": ("no_preview", "images cannot be read back, so nothing can be proven"),
    "showtimestamp": ("timestamp_overlay", "a time stamp is printed over every face"),
    "nightlyreboot": ("nightly_reboot", "it restarts at 03:56 and forgets what waits for labels"),
    "stopsleep": ("sleep_mode", "labels sleep longer or shorter than this shop wants"),
    "sleeptime1": ("sleep_hours", "it sends nothing during its sleep hours"),
    "sleeptime2": ("sleep_hours", "it sends nothing during its sleep hours"),
    "lock": ("lock", "its rule for taking on new tags is not the wanted one"),
}


def wanted_settings(mode: Literal["fast", "eco"], lock: int | None) -> dict[str, int]:
    """Return the settings that an access point needs here. `stopsleep` 1 keeps labels within a minute of hearing us."""
    settings = {"preview": 1, "showtimestamp": 0, "nightlyreboot": 0, "stopsleep": 1 if mode == "fast" else 0}
    settings |= {"sleeptime1": 0, "sleeptime2": 0}
    return settings if lock is None else settings | {"lock": lock}


def wrong_settings(config: dict[str, Any], wanted: dict[str, int]) -> dict[str, int]:
    """Return what must change, by name. A setting that this firmware does not have is not missed."""
    return {name: value for name, value in wanted.items() if name in config and str(config[name]) != str(value)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to report."""

    state: Health
    reason: str
    evidence: str
    next_step: str


@dataclass(slots=True)
class Evidence:
    """What is known of the access point now. `epoch_error_s`: its clock less ours."""

    url: str
    link_error: str | None = "not yet asked"
    silent: bool = False
    system: SystemState | None = None
    epoch_error_s: int = 0
    http_error: str | None = None
    wrong: dict[str, int] = field(default_factory=dict)
    tags: int = 0
    bad_records: int = 0
    last_bad: str = ""


def judge(known: Evidence) -> Verdict:
    """Return the worst thing that the evidence shows, else `online`."""
    return _no_contact(known) or _not_working(known) or _degraded(known) or _online(known)


def _no_contact(known: Evidence) -> Verdict | None:
    if known.link_error is not None:
        step = "check power and network of the access point, and its address in the configuration"
        return Verdict("offline", "ap_unreachable", f"{known.url}: {known.link_error}", step)
    if known.silent:
        step = "restart the access point by its power plug; if it comes back, look for weak Wi-Fi"
        return Verdict("offline", "ap_silent", f"connected, but no life sign for {SYS_SILENCE_S:g} s", step)
    if known.system is None:
        return Verdict("unknown", "ap_connecting", "connected, no life sign yet", "wait a few seconds")
    return None


def _not_working(known: Evidence) -> Verdict | None:
    assert known.system is not None
    if known.system.ap_state != AP_STATE_ONLINE:
        said = AP_STATES.get(known.system.ap_state, f"state {known.system.ap_state}")
        step = "restart the access point; if its radio stays away, flash or replace the radio module"
        return Verdict("offline", "no_radio", f"radio: {said}", step)
    if known.system.run_state != RUN_STATE_RUN:
        step = "press `run` on the page of the access point, or restart it"
        return Verdict("offline", "ap_stopped", f"run state {known.system.run_state}, not {RUN_STATE_RUN}", step)
    return None


def _degraded(known: Evidence) -> Verdict | None:
    assert known.system is not None
    free = known.system.flash_free_bytes
    if free < FLASH_LOW_BYTES:
        step = "delete files on the access point, or give it an SD card; below 31000 B it sends nothing"
        return Verdict("degraded", "flash_low", f"less than {FLASH_LOW_BYTES} B of flash free", step)
    if abs(known.epoch_error_s) > CLOCK_TOLERANCE_S:
        step = "let the access point reach a time server, or allow `manage_ap` to set its clock"
        return Verdict("degraded", "clock_wrong", f"its clock is more than {CLOCK_TOLERANCE_S} s off", step)
    if known.http_error is not None:
        step = "look at the access point's own page; restart it if that does not open"
        return Verdict("degraded", "http_error", known.http_error, step)
    return _wrong_setting(known) or _tags(known)


def _wrong_setting(known: Evidence) -> Verdict | None:
    for name, (reason, harm) in SETTING_REASONS.items():
        if name in known.wrong:
            step = f"set `{name}` to {known.wrong[name]} on the access point's page, or allow `manage_ap` to do it"
            return Verdict("degraded", reason, harm, step)
    return None


def _tags(known: Evidence) -> Verdict | None:
    if known.tags > TAGS_MAX:
        step = f"move labels to another access point: at most {TAGS_MAX} are served well"
        return Verdict("degraded", "too_many_tags", f"more than {TAGS_MAX} tags", step)
    if known.bad_records:
        step = "report this text and the firmware version; other labels are not affected"
        return Verdict("degraded", "bad_records", f"not understood: {known.last_bad}", step)
    return None


def _online(known: Evidence) -> Verdict:
    return Verdict("online", "ok", f"radio online, running, {known.tags} tags", "")
