"""Eight tills as a process: `python -m bench._till_load KIND PORT TOKENS_JSON PRICES_JSON COUNT SIZE RATE`.

It says the figures. PRICES_JSON: gtin -> price. KIND `post`: SIZE connections, one event a request. `stream`: frames of
SIZE events on one WebSocket a till. Events are those of whole baskets, at the shop's prices, paid in full. `price`:
RATE look-ups a second on 8 connections. Sockets by hand: a client library would take more time than the gateway.
"""

import base64
import json
import select
import socket
import sys
import time
from collections import deque
from datetime import UTC, datetime

WINDOW = 8  # frames on their way, of each till
LINES = 20  # of a basket; it is opened before them, and after them comes what is in AFTER
AFTER = ("payment.started", "payment.succeeded", "basket.closed")
Prices = list[tuple[str, int]]  # gtin and price


def event(seq: int, prices: Prices, at: str) -> str:
    basket, step = divmod(seq - 1, 1 + LINES + len(AFTER))
    goods = [prices[(LINES * basket + 7 * line) % len(prices)] for line in range(LINES)]
    paid = f'{{"amount_minor":{sum(price for _, price in goods)},"currency":"CNY","tender":"card"}}'
    if step == 0:
        kind, data = "basket.opened", "{}"
    elif step <= LINES:
        kind, data = "item.added", item(step, *goods[step - 1])
    else:
        kind = AFTER[step - LINES - 1]
        data = paid if kind.startswith("payment") else "{}"
    head = f'{{"event_id":"0190a1b2-c3d4-7e5f-8a9b-{seq:012d}","seq":{seq},"type":"{kind}","at":"{at}",'
    return f'{head}"basket_id":"b-{basket}","data":{data}}}'


def item(line: int, gtin: str, price: int) -> str:
    return (
        f'{{"line":{line},"scan":"{gtin[1:]}","gtin":"{gtin}","quantity":1,"unit_price_minor":{price},'
        f'"amount_minor":{price},"currency":"CNY","price_version":1}}'
    )


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def head(method: str, path: str, token: str, extra: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer {token}\r\n{extra}\r\n".encode()


def post(port: int, tokens: list[str], prices: Prices, count: int, connections: int) -> dict[str, float]:
    at = datetime.now(UTC).isoformat()
    ready: list[deque[bytes]] = [deque() for _ in range(connections)]
    socks = [connect(port) for _ in range(connections)]
    for number in range(count):
        turn = number % connections
        till = turn % len(tokens)
        seq = number // connections * (connections // len(tokens)) + turn // len(tokens) + 1
        body = event(seq, prices, at).encode()
        extra = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        ready[turn].append(head("POST", f"/v1/sco/till-{till}/events", tokens[till], extra) + body)
    poll, late, began = select.epoll(), list[float](), time.perf_counter()
    by_number = {sock.fileno(): at for at, sock in enumerate(socks)}
    sent_s = [0.0] * connections
    for turn, sock in enumerate(socks):
        poll.register(sock, select.EPOLLIN)
        sent_s[turn] = time.perf_counter()
        sock.sendall(ready[turn].popleft())
    done = 0
    while done < count:
        for number, _ in poll.poll(10):
            turn = by_number[number]
            answer = socks[turn].recv(65536)
            if not answer.startswith(b"HTTP/1.1 200") or b'"accepted"' not in answer:
                sys.exit(answer.decode())
            now = time.perf_counter()
            late.append(now - sent_s[turn])
            done += 1
            if ready[turn]:
                sent_s[turn] = now
                socks[turn].sendall(ready[turn].popleft())
    return figures(count, time.perf_counter() - began, late)


def frame(text: bytes) -> bytes:
    size = len(text)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    if size > 0xFFFF:
        length = b"\xff" + size.to_bytes(8, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


def opened(port: int, till: int, token: str) -> socket.socket:
    sock = connect(port)
    key = base64.b64encode(bytes(16)).decode()
    extra = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    sock.sendall(head("GET", f"/v1/sco/till-{till}/stream", token, extra))
    seen = b""
    while b'"type":"ack"' not in seen:
        seen += sock.recv(65536)
    return sock


def stream(port: int, tokens: list[str], prices: Prices, count: int, size: int) -> dict[str, float]:
    at = datetime.now(UTC).isoformat()
    socks = [opened(port, till, token) for till, token in enumerate(tokens)]
    each = count // len(tokens) // size
    ready = [deque[bytes]() for _ in tokens]
    for till in range(len(tokens)):
        for first in range(1, each * size + 1, size):
            events = [event(seq, prices, at) for seq in range(first, first + size)]
            ready[till].append(frame((events[0] if size == 1 else "[" + ",".join(events) + "]").encode()))
    poll, late, began = select.epoll(), list[float](), time.perf_counter()
    sent_s = [deque[float]() for _ in tokens]
    by_number = {sock.fileno(): till for till, sock in enumerate(socks)}

    def send(till: int, frames: int) -> None:
        together = [ready[till].popleft() for _ in range(min(frames, len(ready[till])))]
        sent_s[till].extend([time.perf_counter()] * len(together))
        socks[till].sendall(b"".join(together))

    for till, sock in enumerate(socks):
        poll.register(sock, select.EPOLLIN)
        send(till, WINDOW)
    acked = 0
    tails = [b""] * len(tokens)
    while acked < each * len(tokens):
        for number, _ in poll.poll(10):
            till = by_number[number]
            data = tails[till] + socks[till].recv(1 << 20)
            acks = data.count(b'{"type":"ack"')
            tails[till] = data[-12:] if not data.endswith(b'{"type":"ack"') else b""
            if b'"rejected"' in data or b'"problem"' in data or b'"conflict"' in data:
                sys.exit(data[:500].decode())
            now = time.perf_counter()
            for _ in range(acks):
                late.append(now - sent_s[till].popleft())
            acked += acks
            send(till, acks)
    return figures(each * len(tokens) * size, time.perf_counter() - began, late)


def price(port: int, tokens: list[str], prices: Prices, count: int, rate: float) -> dict[str, float]:
    socks = [connect(port) for _ in tokens]
    late, began = list[float](), time.perf_counter()
    for number in range(count):
        wait_s = began + number / rate - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        turn = number % len(tokens)
        start = time.perf_counter()
        socks[turn].sendall(head("GET", f"/v1/price/{prices[number % len(prices)][0]}", tokens[turn]))
        answer = socks[turn].recv(65536)
        late.append(time.perf_counter() - start)
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(answer.decode())
    return figures(count, time.perf_counter() - began, late)


def figures(count: int, wall_s: float, late: list[float]) -> dict[str, float]:
    late.sort()
    worst = {"p50_ms": 0.5, "p99_ms": 0.99, "worst_ms": 1.0}
    found = {name: late[min(len(late) - 1, int(len(late) * part))] * 1000 for name, part in worst.items()}
    return {"per_s": count / wall_s, "wall_s": wall_s} | found


def main() -> None:
    kind, port, tokens, prices, count, size, rate = sys.argv[1:]
    given, products = json.loads(tokens), [*json.loads(prices).items()]
    if kind == "post":
        found = post(int(port), given, products, int(count), int(size))
    elif kind == "stream":
        found = stream(int(port), given, products, int(count), int(size))
    else:
        found = price(int(port), given, products, int(count), float(rate))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
