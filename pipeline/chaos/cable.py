"""A cable between two TCP ports of this host that can be cut: then nothing comes through.

A cut cable closes no connection: as with a real one, who listens hears nothing at all.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress

from pipeline.error import SensoriumError

PIECE_BYTES = 65_536
START_S = 5.0


class Cable:
    """Forwards {port here: port there} in a thread of its own until it is closed."""

    def __init__(self, ports: Mapping[int, int]) -> None:
        self._ports = ports
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._error = ""
        self._thread = threading.Thread(target=self._work, name="cable", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S) or self._error:
            raise SensoriumError(f"the cable cannot listen: {self._error or 'it does not start'}")

    def cut(self) -> None:
        """Let nothing through any more."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """Let all through again, what waited first."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        """Hang up everywhere."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._error = str(error)
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._whole.set()
        servers = []
        for here, there in self._ports.items():
            connections = Connections(there, self._whole)
            servers.append(await asyncio.start_server(connections.join, "127.0.0.1", here))
        self._ready.set()
        await self._over.wait()
        for server in servers:
            server.close()
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


class Connections:
    """Those through one port of a cable."""

    def __init__(self, port: int, whole: asyncio.Event) -> None:
        self._port, self._whole = port, whole

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection with one to the other end, while the cable is whole."""
        try:
            await self._whole.wait()
            there = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        except asyncio.CancelledError:  # the server's own task: it must not end as cancelled
            writer.close()
            return
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        for each in (writer, there[1]):
            each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
