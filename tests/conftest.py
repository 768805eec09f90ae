"""For all tests: sockets reach only this machine, and what runs for hours is left out unless asked for.

A test that dials out fails, whatever it was about. Long tests are begun first, so that side by side no core is idle at
the end; and no property test fails because the machine was busy.
"""

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, settings


class ReachedOutError(RuntimeError):
    """A test tried to use the network. No OSError, so that no retry of ours hides it."""


def pytest_configure(config: pytest.Config) -> None:
    """Guard every way out, and take hypothesis its watch, before the first test module is imported."""
    del config
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    for name in ("connect", "connect_ex", "sendto", "sendmsg"):
        setattr(socket.socket, name, _guarded(name, getattr(socket.socket, name)))
    plain = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        _must_be_here("getaddrinfo", host)
        return plain(host, *arguments, **options)

    socket.getaddrinfo = getaddrinfo


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long ones, and leave out what runs for hours, unless it is asked for (`-m soak`)."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if "soak" in config.option.markexpr:
        return
    hours = [item for item in items if item.get_closest_marker("soak")]
    items[:] = [item for item in items if item not in hours]
    config.hook.pytest_deselected(items=hours)


def _guarded(name: str, plain: Any) -> Any:
    def guarded(self: socket.socket, *arguments: Any, **options: Any) -> Any:
        address = arguments[-1] if name != "sendmsg" else (arguments[3:] or [options.get("address")])[0]
        if self.family != socket.AF_UNIX and isinstance(address, tuple):
            _must_be_here(name, address[0])
        return plain(self, *arguments, **options)

    return guarded


def _must_be_here(name: str, host: Any) -> None:
    text = host.decode() if isinstance(host, bytes) else host
    if text in (None, "", "localhost", "0.0.0.0", "::"):  # the last two: to bind, or this machine itself
        return
    try:
        here = ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        here = False
    if not here:
        raise ReachedOutError(f"{name} to {host!r}: tests talk to this machine only")
