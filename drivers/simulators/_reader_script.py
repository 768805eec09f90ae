"""Fault scripts of simulated readers: mishaps from a file (`--faults FILE`), checked before anything starts.

A JSON list of `{"at_s": 12.5, "fault": "stall", "seconds": 20, "reader": 1}`: seconds since the beginning, the name of
a method of `Faults`, its arguments by name. `{"every_s": 60, ...}` instead of `at_s` = again and again, by chance.
"""

import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from drivers.simulators._reader_faults import Faults

if TYPE_CHECKING:
    from drivers.simulators.reader import ReaderFleet

MAX_SCRIPT_BYTES = 1_000_000
Script = list[dict[str, Any]]
_WHEN = ("at_s", "every_s")
FAULTS = {
    name: {key: one for key, one in inspect.signature(fault).parameters.items() if key != "self"}
    for name, fault in inspect.getmembers(Faults, inspect.isfunction)
    if not name.startswith("_")
}


class BadScript(ValueError):
    """The fault file cannot be used; the text says where and what would be right."""


def load_script(path: Path, readers: int) -> Script:
    """Read a fault script. Raises BadScript with the entry and what is wrong."""
    try:
        if path.stat().st_size > MAX_SCRIPT_BYTES:
            raise BadScript(f"{path}: more than {MAX_SCRIPT_BYTES} bytes")
        script = json.loads(path.read_bytes())
    except OSError as error:
        raise BadScript(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadScript(f"{path}: not JSON: {error}") from error
    if not isinstance(script, list):
        raise BadScript(f'{path}: must be a list of {{"at_s": 1.0, "fault": "cut"}}')
    for at, entry in enumerate(script):
        check(f"{path}: entry {at}", entry, readers, timed=True)
    return script


def check(where: str, entry: object, readers: int, *, timed: bool) -> None:
    """Refuse an entry that could not be carried out. Raises BadScript."""
    if not isinstance(entry, dict):
        raise BadScript(f"{where}: not an object")
    times = [key for key in _WHEN if key in entry]
    if timed and (
        len(times) != 1 or not _fits(entry[times[0]], float) or entry[times[0]] < (0.1 if "every_s" in entry else 0)
    ):
        raise BadScript(f"{where}: needs at_s (from 0) or every_s (from 0.1), in seconds")
    name = entry.get("fault")
    if not isinstance(name, str) or name not in FAULTS:
        raise BadScript(f"{where}: unknown fault {name!r}; known are {', '.join(FAULTS)}")
    known, given = FAULTS[name], arguments(entry)
    if odd := given.keys() - known.keys():
        raise BadScript(f"{where}: {name} takes {sorted(known)}, not {sorted(odd)}")
    for key, parameter in known.items():
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise BadScript(f"{where}: {name} needs {key!r}")
        if key in given and not _fits(given[key], parameter.annotation):
            raise BadScript(f"{where}: {key} must be {parameter.annotation.__name__}, not {given[key]!r}")
    if not 1 <= given.get("reader", 1) <= readers:
        raise BadScript(f"{where}: there is no reader {given['reader']}")


def arguments(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a fault is called with."""
    return {key: value for key, value in entry.items() if key not in (*_WHEN, "fault")}


def _fits(value: object, wanted: type) -> bool:
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    if wanted is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, wanted)


def play(fleet: "ReaderFleet", script: Script) -> None:
    """Put a checked script on the timeline."""
    rng = Random(f"script {fleet.config.stock.seed}")  # noqa: S311 (repeatable, not secret)
    for entry in script:
        if "at_s" in entry:
            fleet.timeline.at(entry["at_s"], _call, fleet, entry)
        else:
            fleet.timeline.after(rng.expovariate(1 / entry["every_s"]), _again, fleet, entry, rng)


def _call(fleet: "ReaderFleet", entry: dict[str, Any]) -> None:
    getattr(fleet.faults, entry["fault"])(**arguments(entry))


def _again(fleet: "ReaderFleet", entry: dict[str, Any], rng: Random) -> None:
    _call(fleet, entry)
    fleet.timeline.after(rng.expovariate(1 / entry["every_s"]), _again, fleet, entry, rng)
