"""What systemd wants to hear (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING. Silent where there is no systemd.

The watchdog is fed only while `healthy()` says that the core makes progress: a daemon that hangs is restarted.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


class Notifier:
    """Sends datagrams to `address` (None = nobody listens; a leading `@` is an abstract socket)."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self._address = None if address is None else "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_s = watchdog_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as systemd sets them."""
        meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
        interval_us = environment.get("WATCHDOG_USEC", "")
        watched = interval_us.isdecimal() and int(interval_us) > 0 and meant_for == str(os.getpid())
        return cls(environment.get("NOTIFY_SOCKET") or None, int(interval_us) / 1e6 if watched else None)

    def ready(self, status: str) -> None:
        """Say that devices and head office can be served now."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """Say in one line what `systemctl status` shows."""
        self._send(f"STATUS={_one_line(status)}")

    def stopping(self) -> None:
        """Say that the stop was asked for and is under way."""
        self._send("STOPPING=1\nSTATUS=stopping: devices first, then what is in hand is kept")

    async def run(self, healthy: Callable[[], bool]) -> None:
        """Feed the watchdog every half of its interval while `healthy()`, until cancelled."""
        if self._address is None or self._watchdog_s is None:
            return
        while True:
            if healthy():
                self._send("WATCHDOG=1")
            else:
                self.status("hangs: the core makes no progress")
                log.error("the core makes no progress; the watchdog is not fed", extra={"once": "watchdog"})
            await asyncio.sleep(self._watchdog_s / 2)

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as out:
                out.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("systemd was not told: %s", error, extra={"once": "sdnotify"})


def _one_line(text: str) -> str:
    return " ".join(text.split())
