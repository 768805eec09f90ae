"""A shop of processes for tests: real Mosquitto, simulated access points, `aisled run`, and head office on paho.

Everything a customer would run, on loopback, in one folder. Each process is ended by its own id.
"""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.prices.waves import check_digit
from tests.mosquitto import Mosquitto, free_port, until

ROOT = Path(__file__).parents[2]
PATIENCE_S = 180.0  # the machine may be busy with other tests; what goes well takes seconds
BLACK_WHITE = "21"  # 2.9 inch; black and white panels draw within 5 s


def gtin(number: int) -> str:
    body = f"0690{number:09d}"
    return f"{body}{check_digit(body + '0')}"


class Shop:
    """One shop. `events` are what head office got, in order, repeats dropped by id."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.events: list[dict[str, Any]] = []
        self.repeats = 0
        self._ids: set[str] = set()
        self.sequences: dict[str, set[int]] = {"business": set(), "telemetry": set()}
        self.truth_ports: list[int] = []
        self.devices = ""
        self.gateway: subprocess.Popen[bytes] | None = None
        self.sequence = 0

    async def broker(self) -> None:
        self.mosquitto = Mosquitto(self.folder / "hq", "allow_anonymous true\npersistence true\nautosave_interval 1")
        self.mosquitto.extra += f"\npersistence_location {self.folder}/hq/"
        await self.mosquitto.start()
        self.stack.callback(self.mosquitto.stop)
        self.office = paho.Client(CallbackAPIVersion.VERSION2, client_id="office", clean_session=False)
        self.office.on_connect = lambda client, *_: client.subscribe("aisled/v1/0421/gw1/up/#", qos=1)
        self.office.on_message = lambda _client, _data, message: self._heard(message)
        self.office.connect("127.0.0.1", self.mosquitto.port)
        self.office.loop_start()
        self.stack.callback(self._leave)

    def _leave(self) -> None:
        self.office.disconnect()
        self.office.loop_stop()

    def _heard(self, message: paho.MQTTMessage) -> None:
        if not message.topic.endswith(("/business", "/telemetry")):
            return
        stream = message.topic.rsplit("/", 1)[1]
        for event in json.loads(message.payload):
            self.sequences[stream].add(int(event["sequence"]))  # also of a repeat: its number is its own
            if event["id"] in self._ids:
                self.repeats += 1
            else:
                self._ids.add(event["id"])
                self.events.append(event)

    def access_point(self, tags: int, speed: float, seed: int = 1, faults: str | None = None) -> str:
        port, truth = free_port(), free_port()
        words = ["--port", str(port), "--truth-port", str(truth), "--tags", str(tags), "--speed", str(speed)]
        words += ["--seed", str(seed), "--types", BLACK_WHITE] + (["--faults", faults] if faults else [])
        self._child([sys.executable, "-m", "drivers.simulators.access_point", *words], f"ap-{port}")
        self.truth_ports.append(truth)
        self.devices += (
            f'[[device]]\nid = "ap-{len(self.truth_ports)}"\ndriver = "label_oepl"\nurl = "http://127.0.0.1:{port}"\n'
        )
        return f"http://127.0.0.1:{port}"

    def sensors(self, url: str) -> None:
        self.devices += (
            f'[[device]]\nid = "sensors"\ndriver = "sensor_mqtt"\nurl = "{url}"\n'
            'topic = "sensors/+/events"\nid_pointer = "/id"\n'
        )

    def configure(self, more: str = "") -> Path:
        config = self.folder / "aisled.toml"
        config.write_text(
            f'[store]\nid = "0421"\ntimezone = "Asia/Shanghai"\ncurrency = "CNY"\nlanguages = ["en"]\n'
            f'[gateway]\nid = "gw1"\ndata_dir = "{self.folder}/data"\n'
            f'[hq]\nurl = "{self.mosquitto.url}"\nallow_plaintext = true\n{more}\n{self.devices}'
        )
        return config

    def start(self) -> None:
        words = [sys.executable, "-m", "gateway.cli", "run", "--config", str(self.folder / "aisled.toml")]
        self.gateway = self._child(words, "gateway")

    def kill(self) -> None:
        assert self.gateway is not None
        self.gateway.kill()
        self.gateway.wait(10)

    def stop(self) -> tuple[int, float]:
        """End it as systemd does; return exit code and seconds."""
        assert self.gateway is not None
        began = time.monotonic()
        self.gateway.send_signal(signal.SIGTERM)
        return self.gateway.wait(PATIENCE_S), time.monotonic() - began

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text(errors="replace")

    def _child(self, words: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT)
        self.stack.callback(child.wait)
        self.stack.callback(child.kill)
        return child

    def truth(self) -> dict[str, str | None]:
        found = {}
        for port in self.truth_ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/truth", timeout=10) as answer:
                found |= {label: tag["digest"] for label, tag in json.load(answer)["tags"].items()}
        return found

    def order(self, what: str, body: dict[str, Any] | bytes) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body)
        self.office.publish(f"aisled/v1/0421/down/{what}", payload, qos=1).wait_for_publish(10)

    def products(self, count: int) -> None:
        items = [{"gtin": gtin(n), "name": {"en": f"Thing number {n}"}} for n in range(count)]
        self.order("products", {"sequence": 1, "full": True, "products": items})

    def bind(self, labels: list[str]) -> None:
        items = [{"label": label, "gtin": gtin(n)} for n, label in enumerate(labels)]
        self.order("bindings", {"sequence": 1, "full": True, "bindings": items})

    def wave(self, name: str, prices: dict[str, int], **head: Any) -> None:
        self.sequence += 1
        now = datetime.now(UTC).isoformat()
        lines = [{"gtin": g, "price_minor": p, "currency": "CNY"} for g, p in prices.items()]
        body = {"id": name, "kind": "change", "issued_at": now, "issuer": "hq/test", "sequence": self.sequence}
        self.order("prices", {**body, "effective_at": now, "part": 1, "parts": 1, "lines": lines, **head})

    def of(self, kind: str, **data: Any) -> list[dict[str, Any]]:
        found = [e for e in list(self.events) if e["type"] == f"aisled.{kind}.v1"]
        return [e for e in found if all(e["data"].get(name) == value for name, value in data.items())]

    async def sees(self, kind: str, deadline_s: float = PATIENCE_S, **data: Any) -> dict[str, Any]:
        await self.until(lambda: self.of(kind, **data), f"{kind} {data}", deadline_s)
        return self.of(kind, **data)[0]

    async def until(self, condition: Callable[[], object], what: str, deadline_s: float = PATIENCE_S) -> None:
        try:
            await until(lambda: bool(condition()), deadline_s)
        except TimeoutError:
            kinds = [e["type"] for e in self.events][-30:]
            raise AssertionError(f"no {what} within {deadline_s} s; last {kinds}; log {self.log()[-3000:]}") from None

    def gaps(self, stream: str) -> list[int]:
        """Return the sequences that never came."""
        declared: set[int] = set()
        for event in self.of("buffer.dropped", about=stream):
            declared |= set(range(event["data"]["first_sequence"], event["data"]["last_sequence"] + 1))
        got = self.sequences[stream]
        return sorted(set(range(1, max(got, default=0) + 1)) - got - declared)
