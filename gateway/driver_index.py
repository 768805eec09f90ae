"""Which drivers there are: the files of the `drivers` package, and the entry points `aisled.drivers` of other packages.

A driver is a module with `Config(DeviceConfig)` and `Driver(config, services)`. Its file name is its registration; a
file that starts with `_` is a shared codec. Not here: starting and restarting them (`supervisor.py`).
"""

import difflib
import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import drivers
from gateway.driver import DeviceConfig
from gateway.errors import ConfigError

GROUP = "aisled.drivers"


def driver_names() -> list[str]:
    """Return the names that `driver = "..."` may have, ours and third parties'."""
    return sorted({*_own_names(), *_foreign()})


def load_driver(name: str) -> ModuleType:
    """Import the driver's module. Our own file wins over an entry point of the same name.

    Raises ConfigError when there is none, or when it is not a driver.
    """
    if name in _own_names():
        return _checked(name, importlib.import_module(f"drivers.{name}"))
    if entry := _foreign().get(name):
        return _checked(name, _load_foreign(entry))
    near = difflib.get_close_matches(name, driver_names(), n=1)
    hint = f'did you mean "{near[0]}"?' if near else "there are: " + ", ".join(driver_names())
    raise ConfigError(f'no driver "{name}"; {hint}')


def config_type(name: str) -> type[DeviceConfig]:
    """Return the driver's own `Config`, which its `[[device]]` table must fit."""
    found: type[DeviceConfig] = load_driver(name).Config
    return found


def _own_names() -> set[str]:
    return {
        found.name
        for found in pkgutil.iter_modules(drivers.__path__)
        if not found.ispkg and not found.name.startswith("_")
    }


def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load_foreign(entry: EntryPoint) -> ModuleType:
    try:
        module = entry.load()
    except ImportError as error:
        raise ConfigError(f'driver "{entry.name}" ({entry.value}) cannot be imported: {error}') from error
    if not isinstance(module, ModuleType):
        raise ConfigError(f'driver "{entry.name}": the entry point {entry.value} must name a module')
    return module


def _checked(name: str, module: ModuleType) -> ModuleType:
    config = getattr(module, "Config", None)
    if not (isinstance(config, type) and issubclass(config, DeviceConfig) and hasattr(module, "Driver")):
        raise ConfigError(f'"{name}" is not a driver: it needs Config(DeviceConfig) and Driver(config, services)')
    return module
