"""UHF RFID readers that speak LLRP (Impinj, Zebra and all others) over TCP or TLS.

Source: GS1 LLRP 1.0.1; Octane LLRP for Impinj's extensions. Grade: `simulated` (against llrpkit's emulator and our own
simulated reader; no hardware yet). Every tag report becomes reads on our clock; nothing of them is stored here or told
in the log. A reader serves one client at a time and knows no password: give readers a network of their own.
Not done: connections that the reader opens, LLRP 1.1 negotiation (1.0.1 is spoken by all), filters on the reader.
Next: `_llrp_reader.py` for a connection from begin to end, `_llrp_reports.py` for the bytes of reports.
"""

import asyncio

from drivers._llrp_config import Config
from drivers._llrp_control import close
from drivers._llrp_reader import Reader
from drivers._llrp_session import open_streams
from drivers._llrp_write import write
from gateway.driver import Emit, Services, TagOrder
from gateway.errors import GatewayError, Rejected

__all__ = ["Config", "Driver"]


class Driver:
    """One reader."""

    def __init__(self, config: Config, services: Services) -> None:
        self._config, self._services = config, services
        self._reader: Reader | None = None
        self._writing = asyncio.Lock()

    async def run(self, emit: Emit) -> None:
        """Read until cancelled. Raises LinkDown or BadFrame (again later), ConfigError (a person must act)."""
        async with open_streams(self._config) as streams:
            self._reader = Reader(self._config, self._services, streams)
            try:
                await self._reader.run(emit)
            finally:
                self._reader = None
                streams[1].write(close())  # goes out if it can: the reader is free again at once

    async def check(self) -> str:
        """Connect, ask what the reader can do, hold the configuration against it, and leave. Changes nothing."""
        try:
            async with open_streams(self._config) as streams, asyncio.TaskGroup() as group:
                reader = Reader(self._config, self._services, streams)
                session = group.create_task(reader.session.run())
                plan = await reader.prepare()
                await reader.asked(close())
                session.cancel()
        except* GatewayError as errors:
            raise _first(errors) from errors
        has, modes = plan.capabilities, ", ".join(map(str, plan.capabilities.modes))
        return f"{has}, {has.power_range}, {has.region}, {has.inputs} inputs, modes {modes or 'not listed'}"

    async def write_tag(self, order: TagOrder) -> None:
        """Encode, lock or kill the one tag in front of an antenna, and look whether it is so. Raises Rejected."""
        if not self._config.allow_writes:
            raise Rejected(f"{self._config.id}: writing is off (allow_writes)")
        async with self._writing:
            if self._reader is None or self._reader.plan is None:
                raise Rejected(f"{self._config.id}: the reader is not connected")
            await write(self._reader, self._reader.plan, order)


def _first(errors: BaseExceptionGroup[GatewayError]) -> GatewayError:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
