"""Eight sensors as a process: publishes `count` events, as fast as the broker acknowledges or at a steady rate.

`python -m bench._sensors PORT COUNT PER_MESSAGE RATE WINDOW`; rate 0 = as fast as possible. Says begin and end.
"""

import json
import select
import socket
import sys
import time

from bench import _wire as wire

DEVICES = 8
TOPICS = [wire.text(f"sensors/d{device}/events") for device in range(DEVICES)]
EVENT_BYTES = 189


def event(number: int, device: int, made_us: int) -> str:
    """Return one event of 189 bytes and 10 fields."""
    body = (
        f'{{"id":"r-{number:09d}","device":"d{device}","n":{number},"made":{made_us},"kind":"climate",'
        '"temperature_c":21.5,"humidity_pct":40.2,"battery_mv":3100,"rssi_dbm":-60,"site":"'
    )
    return body + "x" * (EVENT_BYTES - len(body) - 2) + '"}'


def message(number: int, first: int, events: int, made_us: int) -> bytes:
    device = number % DEVICES
    texts = [event(first + index, device, made_us) for index in range(events)]
    payload = texts[0] if events == 1 else "[" + ",".join(texts) + "]"
    return wire.publish(TOPICS[device], number, payload.encode())


def acknowledged(sock: socket.socket) -> int:
    return len(sock.recv(65_536)) // 4


def flat_out(sock: socket.socket, count: int, per_message: int, window: int) -> None:
    made = [message(n, n * per_message, per_message, 0) for n in range(count // per_message)]
    sent = acked = 0
    print(json.dumps({"began": time.time()}), flush=True)
    while acked < len(made):
        room = min(window - (sent - acked), len(made) - sent)
        if room > 0:
            sock.sendall(b"".join(made[sent : sent + room]))
            sent += room
        acked += acknowledged(sock)


def steadily(sock: socket.socket, count: int, per_message: int, rate: float) -> None:
    begin = time.perf_counter()
    print(json.dumps({"began": time.time()}), flush=True)
    acked = 0
    for number in range(count // per_message):
        wait_s = begin + number * per_message / rate - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        sock.sendall(message(number, number * per_message, per_message, time.time_ns() // 1000))
        while select.select([sock], [], [], 0)[0]:
            acked += acknowledged(sock)
    while acked < count // per_message:
        acked += acknowledged(sock)


def main() -> None:
    port, count, per_message, rate, window = (int(argument) for argument in sys.argv[1:])
    sock = wire.connect(port, "bench-sensors")
    sock.settimeout(120)
    if rate:
        steadily(sock, count, per_message, rate)
    else:
        flat_out(sock, count, per_message, window)
    print(json.dumps({"ended": time.time()}), flush=True)
    sock.close()


if __name__ == "__main__":
    main()
