"""The web server of the simulated access point: every endpoint, with the statuses and bodies that the box gives.

It trusts everybody, says 200 to almost everything, and tells the Wi-Fi password: as the real one does. Not here:
reading of requests (`_ap_request.py`), what an upload leads to (`_ap_content.py`).
"""

import json
from collections.abc import Callable
from typing import Any

from drivers.simulators import _ap_record
from drivers.simulators._ap_box import RUN, Box
from drivers.simulators._ap_content import Content, to_int
from drivers.simulators._ap_delivery import COMMANDS, Delivery
from drivers.simulators._ap_files import file_routes
from drivers.simulators._ap_power import Power
from drivers.simulators._ap_record import NEVER, Record, parse_mac
from drivers.simulators._ap_request import Request, Response
from drivers.simulators._ap_types import TAG_TYPES

OLDEST_EPOCH = 1_600_000_000
LED_PATTERNS = {  # what the three named commands send
    "ledflash": bytes.fromhex("813c130ae4530a03a30a0200"),
    "ledflash_long": bytes.fromhex("11e433320000000000003c00"),
    "ledflash_stop": bytes(12),
}
Route = Callable[[Request], Response]


def text(status: int, body: str = "") -> Response:
    """Return a plain answer."""
    return Response(status, {"Content-Type": "text/plain"}, body.encode())


def as_json(body: str) -> Response:
    """Return JSON that is written already."""
    return Response(200, {"Content-Type": "application/json"}, body.encode())


class Web:
    """Routes of one access point."""

    def __init__(self, box: Box, delivery: Delivery, content: Content, power: Power) -> None:
        self._box = box
        self._delivery = delivery
        self._content = content
        self._power = power
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/"): lambda _: text(200, "index.html not found. Did you forget to upload the littlefs partition?"),
            ("GET", "/get_db"): self._get_db,
            ("POST", "/imgupload"): self._imgupload,
            ("POST", "/jsonupload"): self._jsonupload,
            ("POST", "/tag_cmd"): self._tag_cmd,
            ("GET", "/led_flash"): self._led_flash,
            ("POST", "/save_cfg"): self._save_cfg,
            ("GET", "/getdata"): self._getdata,
            ("GET", "/get_ap_config"): self._get_ap_config,
            ("POST", "/save_apcfg"): self._save_apcfg,
            ("GET", "/sysinfo"): self._sysinfo,
            ("POST", "/set_time"): self._set_time,
            ("POST", "/set_var"): self._set_var,
            ("POST", "/set_vars"): self._set_vars,
            ("POST", "/reboot"): self._reboot,
            ("POST", "/save_wifi_config"): self._save_wifi,
            ("GET", "/get_wifi_config"): self._get_wifi,
            ("GET", "/get_ssid_list"): lambda _: as_json('{"scanstatus":0,"networks":[]}'),
            ("POST", "/rollback"): lambda _: text(400, "Rollback not allowed"),
            ("POST", "/update_c6"): lambda _: text(400, "C6 flashing not implemented"),
            ("POST", "/update_ota"): lambda _: text(400, "Bad request"),
            ("POST", "/update_actions"): lambda _: text(200, "No update actions needed"),
            **file_routes(box, power.save, content.wake),
        }

    def answer(self, request: Request) -> Response:
        """Answer a request; every answer allows any origin."""
        route = self._routes.get((request.method, request.path)) or self._static(request)
        found = route(request) if route else text(404)
        headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "content-type"}
        return Response(found.status, headers | dict(found.headers), found.body)

    def _static(self, request: Request) -> Route | None:
        if request.method != "GET":
            return None
        if request.path.startswith("/current/") and request.path in self._box.files:
            headers = {"Content-Type": "application/octet-stream", "Cache-Control": "max-age=604800"}
            return lambda asked: Response(200, headers, self._box.files[asked.path])
        folder, _, name = request.path.rpartition("/")
        kinds = {f"{number:02X}.json": kind for number, kind in TAG_TYPES.items()}
        if folder == "/tagtypes" and name in kinds:
            headers = {"Content-Type": "application/json", "Cache-Control": "max-age=300"}
            return lambda _: Response(200, headers, kinds[name].as_json())
        return None

    def _record(self, fields: dict[str, str]) -> Record | None:
        mac = parse_mac(fields.get("mac", ""))
        return self._box.records.get(mac) if mac else None

    # tags

    def _get_db(self, request: Request) -> Response:
        if "mac" in request.query:
            mac = parse_mac(request.query["mac"])
            if mac is None:
                return as_json('{"error": "malformatted parameter"}')
            record = self._box.records.get(mac)
            return as_json(_ap_record.one([record] if record else []))
        start = max(0, to_int(request.query.get("pos", "0")))
        start = start & 0xFF if self._box.config.paging_wraps else start  # T8
        return as_json(_ap_record.page(list(self._box.records.values()), start))

    def _imgupload(self, request: Request) -> Response:
        """Run the upload handler for every file part; then a bare 200 covers whatever it said, but for 409 (T10)."""
        said = [self._upload(file.fields, file.data) for file in request.files]
        if any(answer.status == 409 for answer in said):
            return text(409, "Come back later")
        if self._box.config.answers_twice or not said:
            return text(200)
        return said[0]

    def _upload(self, fields: dict[str, str], data: bytes) -> Response:
        if self._box.run_state != RUN:
            return text(409, "Come back later")
        if "mac" not in fields:
            return text(400, "parameters incomplete")
        name = f"{fields['mac']}_{self._box.millis()}.jpg"
        record = self._record(fields)
        if record is None:
            self._box.write(f"/temp/{name}", data)  # stays there: nobody will ever ask for it
            return text(400, "mac not found")
        self._content.upload(record, fields, data, name)
        return text(200, "Ok, saved")

    def _jsonupload(self, request: Request) -> Response:
        if self._box.run_state != RUN:
            return text(409, "come back later")
        mac = parse_mac(request.fields.get("mac", ""))
        if mac is None or "json" not in request.fields:
            return text(400, "Missing parameters")
        name = f"/current/{request.fields['mac']}.json"
        self._box.write(name, request.fields["json"].encode())
        record = self._box.records.get(mac)
        if record is None:
            return text(400, "mac not found in tagDB")
        interval = str(to_int(request.fields.get("ttl", "0")))
        record.modecfgjson = json.dumps({"filename": name, "interval": interval}, separators=(",", ":"))
        record.contentmode, record.nextupdate = 19, 0.0
        self._box.say_tag(mac)
        self._content.wake()
        return text(200, "Ok, saved")

    def _tag_cmd(self, request: Request) -> Response:
        if "mac" not in request.fields or "cmd" not in request.fields:
            return text(500, "param error")
        if parse_mac(request.fields["mac"]) is None:
            return text(501, "Not Implemented")  # the handler answers nothing at all
        record = self._record(request.fields)
        if record is None:
            return text(400, "Error: mac not found")
        self._command(record, request.fields["cmd"])
        return text(200, "Ok, done")

    def _command(self, record: Record, name: str) -> None:
        box, mac = self._box, record.mac
        match name:
            case "del":
                del box.records[mac]  # the queue keeps its items
            case "purge":
                stale, overdue = box.clock() - 86_400, box.later(-600)
                for old in tuple(box.records.values()):
                    if old.nextcheckin == NEVER or old.lastseen < stale or old.nextcheckin < overdue:
                        del box.records[old.mac]
            case "clear":
                self._delivery.clear(mac)
            case "refresh":
                record.filename, record.hash, record.nextupdate = "", bytes(16), 0.0
                box.say_tag(mac)
                self._content.wake()
            case "reboot" | "scan" | "reset" | "deepsleep":
                self._delivery.command(mac, COMMANDS[name])
            case "ledflash" | "ledflash_long" | "ledflash_stop":
                self._delivery.command(mac, COMMANDS["ledflash"], LED_PATTERNS[name])

    def _led_flash(self, request: Request) -> Response:
        record = self._record(request.query)
        if record is None:
            return text(400, "parameters are missing")
        try:
            payload = bytes.fromhex(request.query.get("pattern", "00" * 12)[:24])
        except ValueError:
            payload = b""
        if len(payload) != 12:
            return text(400, "Error: expects 12 hex bytes in pattern")
        self._delivery.command(record.mac, COMMANDS["ledflash"], payload)
        return text(200, "ok, request transmitted")

    def _save_cfg(self, request: Request) -> Response:
        fields = request.fields
        if parse_mac(fields.get("mac", "")) is None:
            return text(200, "Ok, saved")
        record = self._record(fields)
        if record is None:
            return text(200, "Error while saving: mac not found")
        record.alias = fields.get("alias", record.alias)
        record.modecfgjson = fields.get("modecfgjson", record.modecfgjson)
        record.nextupdate = 0.0
        for told in ("contentmode", "rotate", "lut", "invert"):
            if told in fields:
                setattr(record, told, to_int(fields[told]) & 0xFF)
        self._box.say_tag(record.mac)
        self._content.wake()
        return text(200, "Ok, saved")

    def _getdata(self, request: Request) -> Response:
        record = self._record(request.query)
        if record is None:
            return text(400, "No data available")
        data: bytes | None = self._box.files.get(record.filename)
        if "md5" in request.query:
            wanted = parse_mac(request.query["md5"])
            if wanted is None or len(request.query["md5"]) != 16:
                return text(400, "No data available")
            version = bytes.fromhex(wanted)[::-1]  # written as a MAC is: last byte first
            data = next((one.data for one in self._box.queued(record.mac) if one.announcement.version == version), None)
        if not data:
            return text(404, "File not found")
        return Response(200, {"Content-Type": "application/octet-stream"}, data)

    # the box

    def _get_ap_config(self, _: Request) -> Response:
        for peer in self._box.peers:
            told = {"ip": peer.config.ip, "alias": peer.settings["alias"], "count": len(peer.records)}
            self._box.say({"apitem": told | {"channel": 11, "version": "001F"}})
        flags = {"C6": "1", "H2": "0", "TLSR": "0", "savespace": "0", "hasFlasher": "0", "hasBLE": "0"}
        told = flags | {"hasSubGhz": "0", "apstate": "1"} | self._box.settings
        return as_json(json.dumps(told))

    def _save_apcfg(self, request: Request) -> Response:
        settings = self._box.settings
        for name, value in request.fields.items():
            if name in settings:
                settings[name] = value if isinstance(settings[name], str) else to_int(value) & 0xFF
        settings["alias"] = str(settings["alias"])[:31]
        self._content.wake()
        return text(200, "Ok, saved")

    def _sysinfo(self, _: Request) -> Response:
        told: dict[str, Any] = {"alias": self._box.settings["alias"], "env": "simulated", "buildtime": "0"}
        told |= {"buildversion": "simulated", "sha": "0", "psramsize": 8_386_279 if self._box.config.psram else 0}
        told |= {"flashsize": 16_777_216, "rollback": False, "ap_version": 31, "hasC6": 1, "hasH2": 0}
        return as_json(json.dumps(told | {"hasTslr": 0, "hasFlasher": 0}))

    def _set_time(self, request: Request) -> Response:
        if "epoch" not in request.fields:
            return text(400, "missing 'epoch'")
        epoch = to_int(request.fields["epoch"])
        if epoch <= OLDEST_EPOCH:
            return text(400, "invalid epoch")
        self._box.clock_offset_s += epoch - self._box.clock()
        self._power.plan_night()
        self._content.wake()
        self._box.say_sys()
        return text(200, "ok")

    def _set_var(self, request: Request) -> Response:
        if "key" not in request.fields or "val" not in request.fields:
            return text(500, "param error")
        return text(200, "Ok, saved")

    def _set_vars(self, request: Request) -> Response:
        if "json" not in request.fields:
            return text(400, "No 'json' parameter found in request")
        try:
            json.loads(request.fields["json"])
        except (ValueError, RecursionError):
            return text(400, "Failed to parse JSON")
        return text(200, "JSON uploaded and processed")

    def _reboot(self, _: Request) -> Response:
        self._power.reboot()
        return text(200, "OK Reboot")

    def _save_wifi(self, _: Request) -> Response:
        self._power.reboot()
        return text(200, "Ok, saved")

    def _get_wifi(self, _: Request) -> Response:
        told = {"ssid": "simulated", "pw": "in-clear", "ip": "", "mask": "", "gw": "", "dns": ""}
        return as_json(json.dumps(told | {"mac": self._box.config.wlan_mac}))
