"""The whole job: sensors -> Mosquitto -> `aisled run` -> second Mosquitto -> counter, all on this machine.

`python -m bench sensor`, or `python -m bench.sensor [quick]`. A Mosquitto bridge, which loses on a kill what it has not
saved, carries the same load in the same session: quote the ratio. "kept" counts commits (FULL sync); the PUBACKs to the
sensors' broker follow them at once.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import _shop as shop

EVENTS = 100_000
RUNS = 3
WARM_UP = 2_000
AWAY_EVENTS = 12_000
PATIENCE_S = 120


class Ports(NamedTuple):
    """Where the two brokers listen."""

    devices: int
    hq: int


def flat_out(ports: Ports, gateway: shop.Gateway, per_message: int, events: int) -> dict[str, float]:
    counting = shop.counter(ports.hq, shop.UP, events, PATIENCE_S)
    kept_before, cpu_before = gateway.kept(), gateway.cpu_s()
    sending = shop.sensors(ports.devices, events, per_message)
    began = shop.said(sending)["began"]
    shop.until(lambda: gateway.kept() - kept_before >= events, "for the commits", PATIENCE_S)
    kept_s = time.time() - began
    counted = shop.said(counting)
    cpu_s = gateway.cpu_s() - cpu_before
    finish(sending, counting)
    check(counted, events)
    return {
        "kept/s": events / kept_s,
        "counted/s": events / (counted["last"] - began),
        "cpu": cpu_s / events * 10_000,
        "batch": events / counted["messages"],
        "rss": gateway.peak_mib(),
    }


def bridged(folder: Path, events: int) -> float:
    ports = Ports(shop.free_port(), shop.free_port())
    extra = shop.BRIDGE.format(hq=ports.hq)
    with shop.broker(folder / "bridge-hq", ports.hq), shop.broker(folder / "bridge", ports.devices, extra):
        counting = shop.counter(ports.hq, "sensors/#", events, PATIENCE_S)
        time.sleep(1)  # the bridge connects; it says so nowhere that can be waited for
        sending = shop.sensors(ports.devices, events)
        began = shop.said(sending)["began"]
        counted = shop.said(counting)
        finish(sending, counting)
        check(counted, events)
        return float(events / (counted["last"] - began))


def steadily(ports: Ports, gateway: shop.Gateway, rate: int, seconds: float) -> dict[str, Any]:
    events = int(rate * seconds)
    counting = shop.counter(ports.hq, shop.UP, events, seconds + 30)
    cpu_before, began = gateway.cpu_s(), time.time()
    sending = shop.sensors(ports.devices, events, 1, rate)
    counted = shop.said(counting)
    counted["core_pct"] = (gateway.cpu_s() - cpu_before) / (time.time() - began) * 100
    finish(sending, counting)
    check(counted, events)
    return counted


def away(folder: Path) -> None:
    """Head office's broker is away while 12 000 events come, then returns."""
    ports = Ports(shop.free_port(), shop.free_port())
    with shop.broker(folder / "hq", ports.hq, remembers=True):
        finish(shop.counter(ports.hq, shop.UP, 0, PATIENCE_S))
    with shop.broker(folder / "devices", ports.devices), shop.gateway(folder / "away", *ports) as gateway:
        fresh = gateway.peak_mib()
        sending = shop.sensors(ports.devices, AWAY_EVENTS, 1, 2000)
        shop.until(lambda: gateway.kept() >= AWAY_EVENTS, "for the commits", PATIENCE_S)
        waiting = gateway.peak_mib()
        with shop.broker(folder / "hq", ports.hq, remembers=True):
            back = time.time()
            counting = shop.counter(ports.hq, shop.UP, AWAY_EVENTS, PATIENCE_S)
            counted = shop.said(counting)
            finish(sending, counting)
            check(counted, AWAY_EVENTS)
            print(f"peak RSS: {fresh:.0f} MiB at start, {waiting:.0f} with {AWAY_EVENTS} waiting,", end=" ")
            print(f"{gateway.peak_mib():.0f} after they left")
            first_s, last_s = counted["first"] - back, counted["last"] - back
            print(f"broker back: first data after {first_s:.2f} s, all after {last_s:.2f} s")


def idle_pct(gateway: shop.Gateway, seconds: float) -> float:
    before = gateway.cpu_s()
    time.sleep(seconds)
    return (gateway.cpu_s() - before) / seconds * 100


def check(counted: dict[str, Any], events: int) -> None:
    wrong = {"missing": events - counted["events"], "twice": counted["twice"], "disordered": counted["disordered"]}
    if any(wrong.values()):
        print("!!", wrong)


def finish(*running: Any) -> None:  # noqa: ANN401 - Popen of whatever
    for one in running:
        one.communicate(timeout=30)


def speed(folder: Path, ports: Ports, gateway: shop.Gateway, events: int, runs: int) -> None:
    rows: dict[int, list[dict[str, float]]] = {1: [], 10: [], 100: []}
    bridge: list[float] = []
    for _ in range(runs):
        bridge.append(bridged(folder, events))
        for per_message, row in rows.items():
            row.append(flat_out(ports, gateway, per_message, events))
    print(f"{events} events, {runs} interleaved runs, median (min-max)")
    print(
        "events a message   kept/s                     counted/s                  CPU-s/10k  events/batch  peak RSS MiB"
    )
    for per_message, row in rows.items():
        columns = [spread([one[name] for one in row]) for name in ("kept/s", "counted/s")]
        cpu, batch = (statistics.median(one[name] for one in row) for name in ("cpu", "batch"))
        print(f"{per_message:16d}   {columns[0]:26s} {columns[1]:26s} {cpu:9.2f} {batch:13.0f} {row[-1]['rss']:13.0f}")
    ratio = statistics.median(one["counted/s"] for one in rows[1]) / statistics.median(bridge)
    print(f"Mosquitto bridge   {'':26s} {spread(bridge):26s} (gateway / bridge at 1 a message: {ratio:.2f})")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


def main() -> None:
    quick = "quick" in sys.argv[1:]
    events, runs, seconds = (20_000, 1, 5) if quick else (EVENTS, RUNS, 20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ports = Ports(shop.free_port(), shop.free_port())
        with (
            shop.broker(folder / "devices", ports.devices),
            shop.broker(folder / "hq", ports.hq),
            shop.gateway(folder / "gw", *ports) as gateway,
        ):
            flat_out(ports, gateway, 1, WARM_UP)
            speed(folder, ports, gateway, events, runs)
            for rate in (200, 2000):
                found = steadily(ports, gateway, rate, seconds)
                late = ", ".join(f"{name} {found[f'{name}_ms']:.1f} ms" for name in ("p50", "p99", "worst"))
                print(f"{rate}/s: made -> counted {late}; {found['core_pct']:.0f} % of a core")
            print(f"idle: {idle_pct(gateway, seconds):.2f} % of a core")
    with tempfile.TemporaryDirectory() as name:
        away(Path(name))


if __name__ == "__main__":
    main()
