"""Tills that ask for prices, as a process: `python -m bench._look_ups PORT TOKENS GTINS RATE`, until stdin ends.

Each look-up is timed from the moment when it was due, not from when it was sent: who
queues behind a long step waits too.
"""

import json
import select
import sys
import time

from bench._till_load import connect, figures, head


def ask(port: int, tokens: list[str], gtins: list[str], rate: float) -> dict[str, float]:
    socks = [connect(port) for _ in tokens]
    late, began, number = list[float](), time.perf_counter(), 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        due = began + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        turn = number % len(tokens)
        socks[turn].sendall(head("GET", f"/v1/price/{gtins[number % len(gtins)]}", tokens[turn]))
        answer = socks[turn].recv(65536)
        late.append(time.perf_counter() - due)
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(answer.decode())
        number += 1
    return figures(number, time.perf_counter() - began, late)


if __name__ == "__main__":
    port, tokens, gtins, rate = sys.argv[1:]
    print(json.dumps(ask(int(port), json.loads(tokens), json.loads(gtins), float(rate))), flush=True)
