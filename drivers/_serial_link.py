"""An open way to a serial device: bytes out and in, each wait with a deadline. A port here, or one on the network.

What can be opened: a device file, `usb:VID:PID`, `socket://host:port`, and what else serialx opens (`rfc2217://`: not
proven; pyserial's server does not get along with it). Errors of the library and of the system are translated here and
nowhere else. Not here: which port a name means (`_serial_ports.py`), what the bytes say (`_m100_frames.py`,
`_uhf288_frames.py`).
"""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

import serialx

from drivers._serial_ports import existing_ports, find_port
from gateway.errors import ConfigError, GatewayError, LinkDown

OPEN_S = 10.0
WRITE_S = 2.0
CLOSE_S = 1.0  # within the supervisor's deadline for a stop
PAUSE_S = 0.005  # a USB port gives a few bytes each millisecond: taken together they cost less
CHUNK = 4096  # bytes taken at once: what a reader says in a third of a second at 115200 baud
NO_PORT = (errno.ENOTTY, errno.EISDIR, errno.EINVAL)

logging.getLogger("serialx").setLevel(logging.INFO)  # below that it logs every byte, also the passwords of tags


class Line(Protocol):
    """Bytes to and from one device."""

    @property
    def where(self) -> str:
        """Name of the port, for people."""

    async def read(self, wait_s: float) -> bytes:
        """Return what has come, at least one byte; nothing at all when none came in time. Raises LinkDown."""

    async def write(self, data: bytes) -> None:
        """Send. Raises LinkDown: unplugged, closed by the other side, or it takes nothing any more."""


OpenLine = Callable[[], AbstractAsyncContextManager[Line]]


class _SerialLine:
    def __init__(self, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.where = where
        self._reader, self._writer = reader, writer

    async def read(self, wait_s: float) -> bytes:
        await asyncio.sleep(PAUSE_S)
        try:
            async with asyncio.timeout(wait_s):
                data = await self._reader.read(CHUNK)
        except TimeoutError:
            return b""
        except (OSError, serialx.SerialException) as error:
            raise LinkDown(f"{self.where}: unplugged or taken by another program ({error})") from error
        if not data:
            raise LinkDown(f"{self.where}: closed by the other side")
        return data

    async def write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                self._writer.write(data)
                await self._writer.drain()
        except TimeoutError as error:
            raise LinkDown(f"{self.where}: it took no bytes for {WRITE_S:g} s") from error
        except (OSError, serialx.SerialException) as error:
            raise LinkDown(f"{self.where}: unplugged or closed ({error})") from error


@asynccontextmanager
async def open_line(name: str, baudrate: int) -> AsyncIterator[Line]:
    """Open a port by its name in the configuration. Raises LinkDown (try again) or ConfigError (a person must act)."""
    path = await find_port(name)
    where = name if path == name else f"{name} ({path})"
    try:
        async with asyncio.timeout(OPEN_S):
            reader, writer = await serialx.open_serial_connection(path, baudrate=baudrate)
    except (OSError, ValueError, serialx.SerialException) as error:
        raise _cannot_open(where, error, await existing_ports()) from error
    try:
        yield _SerialLine(where, reader, writer)
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Wait until the port is free again, else the next attempt would find it busy."""
    with suppress(OSError, serialx.SerialException):  # unplugged: there is nothing to close
        writer.close()
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()


def _cannot_open(where: str, error: Exception, ports: str) -> GatewayError:
    """Say who must act: what may come back by itself is a LinkDown."""
    kind: type[GatewayError] = LinkDown
    match error:
        case PermissionError():
            kind, text = ConfigError, "this user may not open it; add it to the group that owns it (dialout)"
        case FileNotFoundError():
            text = f"it is not there; ports of this machine: {ports}"
        case TimeoutError():
            text = f"it could not be opened within {OPEN_S:g} s"
        case OSError(errno=errno.EBUSY):
            text = "it is in use by another program"
        case OSError() if error.errno not in NO_PORT:
            text = str(error)
        case _:
            kind, text = ConfigError, f"no serial port ({error}); ports of this machine: {ports}"
    return kind(f"{where}: {text}")
