"""Fault scripts: mishaps from a file (`--faults FILE`), checked before anything starts.

A script is a JSON list of `{"at_s": 12.5, "fault": "reboot_tag", "mac": "0000..."}`: virtual seconds, the name of a
method of `Faults`, its arguments by name. `"tag": 3` may stand for the MAC of the fourth tag.
"""

import inspect
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.simulators._ap_faults import Faults

if TYPE_CHECKING:
    from drivers.simulators.access_point import AccessPoint

MAX_SCRIPT_BYTES = 10_000_000
Script = list[dict[str, Any]]


class BadScript(ValueError):
    """The fault file cannot be used; the text says where and what would be right."""


def _scriptable() -> dict[str, dict[str, inspect.Parameter]]:
    """Return faults and their parameters, without those that need a second access point."""
    found = {}
    for name, fault in inspect.getmembers(Faults, inspect.isfunction):
        parameters = dict(inspect.signature(fault).parameters)
        del parameters["self"]
        other = parameters.pop("other_ap", None)
        if not name.startswith("_") and (other is None or other.default is None):
            found[name] = parameters
    return found


FAULTS = _scriptable()


def load_script(path: Path) -> Script:
    """Read a fault script. Raises BadScript with the entry and what is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadScript(f"{path}: {error.strerror}") from error
    if len(data) > MAX_SCRIPT_BYTES:
        raise BadScript(f"{path}: more than {MAX_SCRIPT_BYTES} bytes")
    try:
        script = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadScript(f"{path}: not JSON: {error}") from error
    if not isinstance(script, list):
        raise BadScript(f'{path}: must be a list of {{"at_s": 1.0, "fault": "reboot_ap"}}')
    for at, entry in enumerate(script):
        _check(f"{path}: entry {at}", entry)
    return script


def _check(where: str, entry: object) -> None:
    if not isinstance(entry, dict):
        raise BadScript(f"{where}: not an object")
    at_s: Any = entry.get("at_s")
    if not _fits(at_s, float) or at_s < 0:
        raise BadScript(f"{where}: at_s must be seconds from 0, not {at_s!r}")
    name = entry.get("fault")
    if not isinstance(name, str) or name not in FAULTS:
        raise BadScript(f"{where}: unknown fault {name!r}; known are {', '.join(FAULTS)}")
    known = FAULTS[name]
    given = {key: value for key, value in entry.items() if key not in ("at_s", "fault")}
    odd = given.keys() - known.keys() - ({"tag"} if "mac" in known else set())
    if odd:
        raise BadScript(f"{where}: {name} takes {sorted(known)}, not {sorted(odd)}")
    for wanted, parameter in known.items():
        if wanted == "mac" and "tag" in given:
            continue
        if wanted not in given and parameter.default is inspect.Parameter.empty:
            raise BadScript(f"{where}: {name} needs {wanted!r}" + (" or 'tag'" if wanted == "mac" else ""))
        if wanted in given and not _fits(given[wanted], parameter.annotation):
            raise BadScript(f"{where}: {wanted} must be {parameter.annotation.__name__}, not {given[wanted]!r}")


def _fits(value: Any, wanted: type) -> bool:  # noqa: ANN401 (what JSON gives)
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    if wanted is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, wanted)


def play(ap: "AccessPoint", script: Script) -> None:
    """Put a checked script on the timeline. Raises BadScript when it names a tag that is not there."""
    for at, entry in enumerate(script):
        arguments = {name: value for name, value in entry.items() if name not in ("at_s", "fault", "tag")}
        if "tag" in entry:
            arguments["mac"] = _mac_of(ap, entry["tag"], at)
        if "mac" in arguments and arguments["mac"] not in ap.tags and entry["fault"] != "foreign_tag":
            raise BadScript(f"entry {at}: there is no tag {arguments['mac']!r}")
        ap.timeline.at(entry["at_s"], _call, ap, entry["fault"], arguments)


def _mac_of(ap: "AccessPoint", number: object, at: int) -> str:
    macs = ap.config.tag_macs
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(macs):
        raise BadScript(f"entry {at}: there is no tag {number!r}, only 0..{len(macs) - 1}")
    return macs[number]


def _call(ap: "AccessPoint", fault: str, arguments: dict[str, Any]) -> None:
    """Carry one out; a tag that an earlier entry carried away is nobody's to trouble."""
    if arguments.get("mac") in ap.tags or "mac" not in arguments or fault == "foreign_tag":
        getattr(ap.faults, fault)(**arguments)
