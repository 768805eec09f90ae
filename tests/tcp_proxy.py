"""A TCP proxy for link faults: refuse, black hole, reset, delay. Stands between a client and a real broker."""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress

from tests.mosquitto import free_port


class TcpProxy:
    """Forwards a loopback port to another. `delay_s` holds back what the server says, in order."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.target_port = target_port
        self.delay_s = 0.0
        self.connections = 0
        self._open = asyncio.Event()  # clear = black hole: bytes are taken and go nowhere
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Its address, without TLS."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """Refuse new connections and reset those that are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    def black_hole(self) -> None:
        """Forward nothing from now on; new connections are accepted and hear nothing."""
        self._open.clear()

    def reset(self) -> None:
        """Reset every connection; what was held back is lost, as a router that forgot them would."""
        for writer in self._writers:
            with suppress(OSError, AttributeError):
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    def heal(self) -> None:
        """Forward again."""
        self._open.set()

    async def stop(self) -> None:
        """End everything."""
        await self.refuse()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            behind = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, behind[1]}
        self._start(self._pump(reader, behind[1]))
        self._start(self._pump(behind[0], writer, slow=True))

    def _start(self, pump: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(pump)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool = False) -> None:
        loop = asyncio.get_running_loop()
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)

        async def write() -> None:
            while True:
                due, data = await line.get()
                await asyncio.sleep(due - loop.time())
                await self._open.wait()
                writer.write(data)
                await writer.drain()
                if not data:
                    return

        writing = loop.create_task(write())
        try:
            while True:
                await self._open.wait()
                data = await reader.read(65536)
                await line.put((loop.time() + (self.delay_s if slow else 0.0), data))
                if not data:
                    await writing
                    return
        except OSError:
            return
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await writing
            self._writers.discard(writer)
            writer.close()
