"""The gateway with a probe of its event loop: `python -m bench._probed CONFIG`.

The probe asks to be woken each millisecond. For each line on stdin it says how late it was since the line before.
"""

import asyncio
import json
import sys
import time

from gateway import config
from gateway.app import App

PROBE_S = 0.001


class Probe:
    """By how many seconds the loop was late."""

    def __init__(self) -> None:
        self._late_s: list[float] = []

    async def run(self) -> None:
        """Ask until cancelled."""
        asyncio.get_running_loop().add_reader(sys.stdin, self._say)
        while True:
            due = time.perf_counter() + PROBE_S
            await asyncio.sleep(PROBE_S)
            self._late_s.append(time.perf_counter() - due)

    def _say(self) -> None:
        if not sys.stdin.readline():
            asyncio.get_running_loop().remove_reader(sys.stdin)
            return
        late, self._late_s = sorted(self._late_s), []
        at = {name: late[int((len(late) - 1) * share)] * 1000 for name, share in (("p99_ms", 0.99), ("worst_ms", 1))}
        print(json.dumps(at | {"over_2_ms": sum(one > 0.002 for one in late)}), flush=True)


async def main(path: str) -> int:
    probe = asyncio.create_task(Probe().run())
    try:
        return await App(config.load(path)).run()
    finally:
        probe.cancel()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
