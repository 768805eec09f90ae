"""Fault scripts: mishaps from a file (`--faults FILE`), checked before anything starts.

JSON: a list of `{"at_s": 12.5, "fault": "offline", "seconds": 60, "terminal": "sco-1"}`. TOML: the same as `[[fault]]`
tables. Seconds of the simulation, the name of a method of `Faults`, its arguments by name; no terminal = every till.
"""

import asyncio
import inspect
import json
import math
import tomllib
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.simulators._till_faults import Faults

MAX_SCRIPT_BYTES = 10_000_000
Script = list[dict[str, Any]]

FAULTS = {
    name: {key: one for key, one in inspect.signature(fault).parameters.items() if key != "self"}
    for name, fault in inspect.getmembers(Faults, inspect.isfunction)
    if not name.startswith("_")
}


class BadScript(ValueError):
    """The fault file cannot be used; the text says where and what would be right."""


def load_script(path: Path, terminals: Container[str]) -> Script:
    """Read a fault script. Raises BadScript with the entry and what is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadScript(f"{path}: {error.strerror}") from error
    if len(data) > MAX_SCRIPT_BYTES:
        raise BadScript(f"{path}: more than {MAX_SCRIPT_BYTES} bytes")
    script = _parse(path, data)
    if not isinstance(script, list):
        raise BadScript(f'{path}: must be a list of {{"at_s": 1.0, "fault": "offline", "seconds": 60}}')
    for at, entry in enumerate(script):
        _check(f"{path}: entry {at}", entry, terminals)
    return script


def _parse(path: Path, data: bytes) -> object:
    try:
        if path.suffix == ".toml":
            return tomllib.loads(data.decode()).get("fault")
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadScript(f"{path}: cannot be read: {error}") from error


def _check(where: str, entry: object, terminals: Container[str]) -> None:
    if not isinstance(entry, dict):
        raise BadScript(f"{where}: not an object")
    if not _fits(entry.get("at_s"), float) or entry["at_s"] < 0:
        raise BadScript(f"{where}: at_s must be seconds from 0, not {entry.get('at_s')!r}")
    name = entry.get("fault")
    if not isinstance(name, str) or name not in FAULTS:
        raise BadScript(f"{where}: unknown fault {name!r}; known are {', '.join(FAULTS)}")
    _check_arguments(where, name, {key: value for key, value in entry.items() if key not in ("at_s", "fault")})
    terminal = entry.get("terminal")
    if terminal is not None and terminal not in terminals:
        raise BadScript(f"{where}: there is no terminal {terminal!r}")


def _check_arguments(where: str, name: str, given: dict[str, Any]) -> None:
    known = FAULTS[name]
    if odd := given.keys() - known.keys():
        raise BadScript(f"{where}: {name} takes {sorted(known)}, not {sorted(odd)}")
    for key, parameter in known.items():
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise BadScript(f"{where}: {name} needs {key!r}")
        if key in given and not _fits(given[key], str if key == "terminal" else parameter.annotation):
            raise BadScript(f"{where}: {key} cannot be {given[key]!r}")


def _fits(value: object, wanted: type) -> bool:
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    if wanted is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, wanted)


async def play(faults: Faults, script: Sequence[Mapping[str, Any]], speed: float = 1.0) -> None:
    """Carry out a checked script in the order of time; ends after the last mishap has begun."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for entry in sorted(script, key=lambda one: float(one["at_s"])):
        await asyncio.sleep(began_s + entry["at_s"] / speed - loop.time())
        arguments = {key: value for key, value in entry.items() if key not in ("at_s", "fault")}
        getattr(faults, entry["fault"])(**arguments)
