"""Head office as a process: counts the sensors' events that arrive, then says how many, how late, in what order.

`python -m bench._counter PORT TOPIC COUNT TIMEOUT_S`. Prints `{}` when it listens, then one line with the figures.
COUNT 0 = only subscribe: the broker then keeps what comes for the next counter.
"""

import contextlib
import json
import re
import sys
import time

from bench import _wire as wire

STAMPS = re.compile(rb'"device":"d(\d)","n":(\d+),"made":(\d+)')


def collect(port: int, topic: str, count: int, timeout_s: float) -> list[tuple[float, bytes]]:
    sock = wire.connect(port, f"bench-counter-{topic[:6]}", clean=False)
    wire.subscribe(sock, topic)
    arrived: list[tuple[float, bytes]] = []
    seen, deadline, buffer = 0, time.time() + timeout_s, bytearray()
    while (seen < count or not count) and time.time() < deadline:
        sock.settimeout(max(0.01, deadline - time.time()))
        with contextlib.suppress(TimeoutError):
            buffer += sock.recv(1 << 20)
        now, acks = time.time(), bytearray()
        for first, body in wire.packets(buffer):
            if first & 0xF0 == wire.SUBACK:
                print("{}", flush=True)
                if not count:
                    return []
            elif first & 0xF0 == wire.PUBLISH:
                end_of_topic = 2 + int.from_bytes(body[:2], "big")
                if first & 0x06:
                    acks += b"\x40\x02" + bytes(body[end_of_topic : end_of_topic + 2])
                    end_of_topic += 2
                payload = bytes(body[end_of_topic:])
                arrived.append((now, payload))
                seen += payload.count(b'"made":')
            body.release()
        if acks:
            sock.sendall(acks)
    sock.close()
    return arrived


def figures(arrived: list[tuple[float, bytes]]) -> dict[str, object]:
    late_ms: list[float] = []
    numbers: list[int] = []
    newest: dict[bytes, int] = {}
    disordered = 0
    for at, payload in arrived:
        for device, number, made_us in STAMPS.findall(payload):
            numbers.append(int(number))
            disordered += newest.get(device, -1) > numbers[-1]
            newest[device] = numbers[-1]
            if made_us != b"0":
                late_ms.append(at * 1000 - int(made_us) / 1000)
    late_ms.sort()
    return {
        "events": len(set(numbers)),
        "twice": len(numbers) - len(set(numbers)),
        "disordered": disordered,
        "messages": len(arrived),
        "first": arrived[0][0] if arrived else None,
        "last": arrived[-1][0] if arrived else None,
        "p50_ms": late_ms[len(late_ms) // 2] if late_ms else None,
        "p99_ms": late_ms[int(len(late_ms) * 0.99)] if late_ms else None,
        "worst_ms": late_ms[-1] if late_ms else None,
    }


def main() -> None:
    port, topic, count, timeout_s = sys.argv[1:]
    print(json.dumps(figures(collect(int(port), topic, int(count), float(timeout_s)))), flush=True)


if __name__ == "__main__":
    main()
