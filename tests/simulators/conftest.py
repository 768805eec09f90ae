"""A small shop around the simulated access point: upload, look, wait for something to become true."""

import functools
import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw

from drivers.simulators._ap_types import TAG_TYPES, TagType
from drivers.simulators.access_point import AccessPoint, ApConfig, Response

QUIET = (("nightlyreboot", 0),)


def picture(kind: TagType, number: int) -> Image.Image:
    """Hard colours only, another picture for each number: blocks count in binary."""
    drawn = Image.new("RGB", (kind.width, kind.height), kind.palette[0])
    pen = ImageDraw.Draw(drawn)
    for bit in range(10):
        color = kind.palette[1 + bit % (len(kind.palette) - 1)] if number >> bit & 1 else kind.palette[0]
        pen.rectangle((8 + 13 * bit, 16, 8 + 13 * bit + 9, 60), fill=color)
    pen.rectangle((3, 70, 40, 90), fill=kind.palette[1])
    return drawn


def jpeg(drawn: Image.Image, quality: int = 80, subsampling: int = 0, **more: Any) -> bytes:
    out = io.BytesIO()
    drawn.save(out, "JPEG", quality=quality, subsampling=subsampling, **more)
    return out.getvalue()


@functools.lru_cache(maxsize=64)
def pixels(kind: TagType, number: int) -> bytes:
    index = {color: at for at, color in enumerate(kind.palette)}
    rgb = picture(kind, number).tobytes()
    return bytes(index[rgb[at], rgb[at + 1], rgb[at + 2]] for at in range(0, len(rgb), 3))


def multipart(
    fields: dict[str, str], data: bytes | None, after: dict[str, str] | None = None
) -> tuple[dict[str, str], bytes]:
    """Text parts with a Content-Disposition alone, as the access point wants them."""
    text = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(text.format(name, value) for name, value in fields.items()).encode()
    if data is not None:
        body += b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        body += data + b"\r\n"
    body += "".join(text.format(name, value) for name, value in (after or {}).items()).encode()
    return {"Content-Type": "multipart/form-data; boundary=b"}, body + b"--b--\r\n"


class Shop:
    """One access point, a listener, and the history of every glass."""

    jpeg = staticmethod(jpeg)
    picture = staticmethod(picture)
    pixels = staticmethod(pixels)
    multipart = staticmethod(multipart)

    def __init__(self, *, listen: bool = True, beside: "Shop | None" = None, **config: Any) -> None:
        config.setdefault("settings", QUIET)
        self.glass: list[tuple[str, bytes | None, float]] = []
        config, timeline = ApConfig(**{"tags": 1, "seed": 1, **config}), beside.ap.timeline if beside else None
        self.ap = AccessPoint(config, on_glass=self._changed, timeline=timeline)
        self.frames: list[dict[str, Any]] = []
        if listen:
            self.ap.connect_ws(lambda text: self.frames.append(json.loads(text)))
        self.macs = self.ap.config.tag_macs
        self.mac = self.macs[0] if self.macs else ""

    def _changed(self, mac: str, shown: bytes | None, at_s: float) -> None:
        self.glass.append((mac, shown, at_s))

    def kind(self, mac: str = "") -> TagType:
        return TAG_TYPES[self.ap.tags[mac or self.mac].kind_number]

    def upload(self, number: int, mac: str = "", **fields: str) -> Response:
        mac = mac or self.mac
        return self.send_jpeg(jpeg(picture(self.kind(mac), number)), mac, **fields)

    def send_jpeg(self, data: bytes, mac: str = "", **fields: str) -> Response:
        headers, body = multipart({"mac": mac or self.mac, "dither": "0", **fields}, data)
        return self.ap.handle("POST", "/imgupload", headers, body)

    def post(self, path: str, **fields: str) -> Response:
        body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        return self.ap.handle("POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, body)

    def get(self, path: str) -> Response:
        return self.ap.handle("GET", path)

    def command(self, name: str, mac: str = "") -> Response:
        return self.post("/tag_cmd", mac=mac or self.mac, cmd=name)

    def record(self, mac: str = "") -> dict[str, Any]:
        return json.loads(self.get(f"/get_db?mac={mac or self.mac}").body)["tags"][0]

    def shows(self, number: int, mac: str = "") -> bool:
        mac = mac or self.mac
        digest = hashlib.sha256(pixels(self.kind(mac), number)).hexdigest()
        return self.ap.truth()["tags"][mac]["digest"] == digest

    def run(self, seconds: float) -> None:
        self.ap.run_until(self.ap.now + seconds)

    def until(self, true: Callable[[], bool], within_s: float = 300.0) -> None:
        deadline_s = self.ap.now + within_s
        while not true():
            due_s = self.ap.next_event_at()
            assert due_s <= deadline_s, f"not within {within_s} s: last frames {self.frames[-6:]}"
            self.ap.run_until(due_s)

    def put(self, number: int, mac: str = "") -> None:
        """Bring a picture onto the glass and wait until everything is quiet."""
        assert self.upload(number, mac).status == 200
        self.until(lambda: self.shows(number, mac))
        self.run(1)

    def wake_at_phase(self, phase: float, mac: str = "") -> None:
        """Let the tag check in when the clock stands at such a fraction of a second."""
        at_s = int(self.ap.now) + 2 + phase
        self.ap.timeline.at(at_s, self.ap.faults.wake_tag, mac or self.mac)
        self.ap.run_until(at_s)

    def told(self, key: str) -> list[Any]:
        return [frame[key] for frame in self.frames if key in frame]


@pytest.fixture
def shop() -> type[Shop]:
    return Shop
