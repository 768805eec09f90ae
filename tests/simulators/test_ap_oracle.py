"""An unmodified py-oepl, written by others against the real access point, must be content with the simulated one.

It needs Python 3.12 or newer and the package; where neither can be had, the test says so and is skipped. Its virtual
environment is kept in `.venv-oepl` of the checkout.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.simulators._ap_serve import serving
from drivers.simulators._ap_types import TAG_TYPES
from drivers.simulators.access_point import AccessPoint, ApConfig

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-oepl"
PACKAGE = "py-oepl==0.8.0"
KINDS = (0x01, 0x03, 0x00, 0x21, 0x34)  # each turn and encoding that it decodes
DEADLINE_S = 90.0


def python_312():
    names = ("python3.12", "python3.13", "python3.14")
    found = [sys.executable] if sys.version_info >= (3, 12) else []
    found += [path for name in names if (path := shutil.which(name))]
    for path in found:
        probe = [path, "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"]
        if subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0:
            return path
    pytest.skip("no Python 3.12 or newer on PATH: py-oepl needs it")


@pytest.fixture(scope="session")
def oepl_python():
    python = VENV / "bin" / "python"
    probe = [python, "-c", "import importlib.metadata as m; assert m.version('py-oepl') == '0.8.0'; import oepl"]
    if python.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return python
    base = python_312()
    steps = ([base, "-m", "venv", "--clear", VENV], [python, "-m", "pip", "install", "-q", PACKAGE])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"{PACKAGE} cannot be had: {done.stderr.strip()[-200:]}")
    return python


SCRIPT = """
import asyncio, json, sys
import oepl
from PIL import Image

def drawn(kind, color):
    picture = Image.new("RGB", (kind.width, kind.height), "white")
    picture.paste((0, 0, 0), (8, 8, 60, 40))
    picture.paste(color, (64, 8, 90, 40))
    return picture

async def until(true):
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)

async def main(host):
    told = {}
    async with oepl.OEPLClient(host, reconnect_interval=0.2) as client:
        await until(lambda: client.connected and client.tags)
        tags = await client.get_tags()
        told["macs"] = [tag.mac for tag in tags]
        told["same"] = []
        for tag in tags:
            kind = await client.get_tag_type(tag.hw_type)
            picture = drawn(kind, tuple(kind.color_table.get(kind.accent_color or "black")))
            await client.upload_image(tag.mac, picture, dither=0, wait=True, wait_timeout=30)
            got = await client.get_image(tag.mac)
            told["same"].append(got.tobytes() == picture.tobytes())
        mac = tags[0].mac
        count = (await client.get_tag(mac)).update_count
        await client.set_led(mac, oepl.LEDPattern.single(oepl.Color(255, 0, 0)))
        await until(lambda: client.tags[mac].update_count > count and client.tags[mac].pending == 0)
        config = await client.get_ap_config()
        told["nightly"] = [config.nightly_reboot]
        config.nightly_reboot = False
        await client.save_ap_config(config)
        told["nightly"].append((await client.get_ap_config()).nightly_reboot)
        told["c6"] = config.has_c6
        told["ap_mac"] = await client.get_ap_mac()
        told["psram"] = (await client.get_sysinfo()).psram_size > 0
        await client.set_alias(mac, "shelf 1")
        told["alias"] = (await client.get_tag(mac)).alias
        try:
            await client.set_alias("0000000000000001", "nobody")
        except oepl.OEPLResponseError as error:
            told["refused"] = str(error)
        await client.set_time()
        await client.set_variables({"a": "b"})
        told["files"] = [entry.name for entry in await client.files.list("/")]
        told["check"] = await client.files.check(f"/current/{mac}.raw") is not None
        await client.files.upload("/x.bin", b"abc")
        told["download"] = (await client.files.download("/x.bin")).decode()
        await client.files.delete("/x.bin")
        told["deleted"] = await client.files.check("/x.bin") is None
        saved = await client.backup_db()
        await client.send_tag_cmd(mac, oepl.TagCommand.CLEAR)
        await client.delete_tag(tags[1].mac)
        told["after_delete"] = await client.get_tag(tags[1].mac) is None
        await client.restore_db(saved)
        told["restored"] = len(await client.get_tags())
        told["status"] = int(client.ap_status.run_state)
        seen = []
        client.on_connection_change(seen.append)
        await client.reboot_ap()
        await until(lambda: seen[:1] == [False] and client.connected)
        told["came_back"] = True
    print(json.dumps(told))

asyncio.run(main(sys.argv[1]))
"""


async def test_py_oepl_unmodified(oepl_python, tmp_path):
    script = tmp_path / "oepl_script.py"
    script.write_text(SCRIPT)
    ap = AccessPoint(ApConfig(tags=len(KINDS), types=KINDS, speed=150.0, epoch_s=time.time(), checkin_s=(60.0, 80.0)))
    async with asyncio.timeout(DEADLINE_S), serving(ap, 0) as (port, _):
        command = [str(oepl_python), "-W", "error", str(script), f"127.0.0.1:{port}"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    told = json.loads(output)
    assert told == {
        "macs": list(ap.config.tag_macs),
        "same": [True] * len(KINDS),
        "nightly": [True, False],
        "c6": True,
        "ap_mac": ap.config.wlan_mac,
        "psram": True,
        "alias": "shelf 1",
        "refused": "AP returned HTTP 200: Error while saving: mac not found",
        "files": ["current"],
        "check": True,
        "download": "abc",
        "deleted": True,
        "after_delete": True,
        "restored": len(KINDS),
        "status": 2,
        "came_back": True,
    }
    assert TAG_TYPES[0x34].zlib_from < ap.config.tag_version  # so both raw and zlib were decoded
