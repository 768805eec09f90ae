"""Which serial port a name means: names that stay the same when devices are plugged in another order.

`/dev/serial/by-id/...` is such a name and is taken as it is; `usb:VID:PID` and `usb:VID:PID:SERIAL` find the port by
what the USB device says of itself. Not here: opening it (`_serial_link.py`).
"""

import re
from collections.abc import Sequence

import serialx
from serialx import SerialPortInfo

from gateway.errors import ConfigError, LinkDown

USB_NAME = re.compile(r"usb:([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})(?::(.+))?")


async def find_port(name: str) -> str:
    """Return what to open for a name. Raises as `choose` does."""
    return choose(name, await serialx.async_list_serial_ports()) if name.startswith("usb:") else name


async def existing_ports() -> str:
    """Return the ports of this machine, for people."""
    return listed(await serialx.async_list_serial_ports())


def choose(name: str, ports: Sequence[SerialPortInfo]) -> str:
    """Return the one port that a `usb:` name means.

    Raises LinkDown when there is none (it may be plugged in later), ConfigError when there are several.
    """
    found = USB_NAME.fullmatch(name)
    if found is None:
        raise ConfigError(f'"{name}" is no port; write usb:VID:PID or usb:VID:PID:SERIAL, as in usb:1A86:7523')
    vendor, product, serial = int(found[1], 16), int(found[2], 16), found[3]
    fitting = [p for p in ports if (p.vid, p.pid) == (vendor, product) and serial in (None, p.serial_number)]
    if not fitting:
        raise LinkDown(f"{name}: no such device is plugged in; ports of this machine: {listed(ports)}")
    if len(fitting) > 1:
        raise ConfigError(f"{name} means several ports: {listed(fitting)}; add the serial, or use /dev/serial/by-path")
    return fitting[0].device


def listed(ports: Sequence[SerialPortInfo]) -> str:
    """Return ports as a list for people, each with the `usb:` name that it has."""
    return ", ".join(_described(port) for port in ports) or "none"


def _described(port: SerialPortInfo) -> str:
    if port.vid is None or port.pid is None:
        return port.device
    serial = f":{port.serial_number}" if port.serial_number else ""
    return f"{port.device} (usb:{port.vid:04X}:{port.pid:04X}{serial})"
