"""Tills that ask for prices, as a process: `python -m bench._look_ups PORT TOKENS GTINS RATE`, until stdin ends.

One till asks after the other, at a steady rate; who has no answer yet lets the next questions wait. Each is timed from
the moment when it was due, not from when it was sent: who queues behind a long step waits too.
"""

import json
import select
import sys
import time

from bench._till_load import connect, figures, head


def ask(port: int, tokens: list[str], gtins: list[str], rate: float) -> dict[str, float]:
    socks = {sock.fileno(): (sock, token) for token in tokens for sock in [connect(port)]}
    free, waiting = list(socks), dict[int, float]()
    poll, late, began, asked, told = select.epoll(), list[float](), time.perf_counter(), 0, False
    for number in (*socks, sys.stdin.fileno()):
        poll.register(number, select.EPOLLIN)
    while waiting or not told:
        due = began + asked / rate
        if free and not told and due <= time.perf_counter():
            number = free.pop(0)
            sock, token = socks[number]
            sock.sendall(head("GET", f"/v1/price/{gtins[asked % len(gtins)]}", token))
            waiting[number] = due
            asked += 1
            continue
        for number, _ in poll.poll(max(0.0, due - time.perf_counter()) if free else 10):
            if number not in socks:
                told = True
                continue
            answer = socks[number][0].recv(65536)
            late.append(time.perf_counter() - waiting.pop(number))
            free.append(number)
            if not answer.startswith(b"HTTP/1.1 200"):
                sys.exit(answer.decode())
    return figures(asked, time.perf_counter() - began, late)


if __name__ == "__main__":
    port, tokens, gtins, rate = sys.argv[1:]
    print(json.dumps(ask(int(port), json.loads(tokens), json.loads(gtins), float(rate))), flush=True)
