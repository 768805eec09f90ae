"""The simulator on a real port, on the command line, and its fault scripts."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from drivers.simulators._ap_faults import Faults
from drivers.simulators._ap_script import BadScript, load_script, play
from drivers.simulators._ap_serve import serving
from drivers.simulators.access_point import AccessPoint, ApConfig

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0


def fast(**config):
    return AccessPoint(ApConfig(**{"tags": 2, "types": (0x6E,), "speed": 400.0, "epoch_s": time.time(), **config}))


async def test_upload_over_the_wire_until_truth_says_shown(shop):
    ap = fast()
    mac = ap.config.tag_macs[0]
    headers, body = shop.multipart({"mac": mac, "dither": "0"}, shop.jpeg(shop.picture(shop().kind(), 3)))
    async with (
        asyncio.timeout(DEADLINE_S),
        serving(ap, 0, 0) as (port, truth_port),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.ws_connect("/ws") as socket,
    ):
        async with session.post("/imgupload", data=body, headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        seen = set()
        while "upload" not in seen or "sys" not in seen:
            told = json.loads((await socket.receive()).data)
            seen |= told.keys()
            if "sys" in told:
                assert abs(told["sys"]["currtime"] - time.time()) < 5  # the clock on the wall, whatever the speed
        digest = None
        while digest is None:
            async with session.get(f"http://127.0.0.1:{truth_port}/truth") as answer:
                truth = await answer.json()
                digest = truth["tags"][mac]["digest"]
        assert set(truth["tags"]) == set(ap.config.tag_macs)
        assert len(digest) == 64
        async with session.get("/truth") as answer:
            assert answer.status == 404  # the truth is not on the access point's own port


async def test_lost_answers_reboots_and_dropped_sockets_over_the_wire():
    ap = fast(speed=20.0)
    async with (
        asyncio.timeout(DEADLINE_S),
        serving(ap, 0) as (port, _),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        ap.faults.http_timeout_next()
        with pytest.raises(TimeoutError):
            await session.get("/sysinfo", timeout=aiohttp.ClientTimeout(total=0.2))
        async with session.ws_connect("/ws") as socket:
            async with session.post("/reboot") as answer:
                assert await answer.text() == "OK Reboot"
            kinds = [message.type async for message in socket]
            assert set(kinds) <= {aiohttp.WSMsgType.TEXT}
        with pytest.raises(aiohttp.ClientError):
            await session.get("/sysinfo")
        with pytest.raises(aiohttp.ClientError):
            await session.ws_connect("/ws")
        while True:
            try:
                async with session.get("/sysinfo") as answer:
                    assert answer.status == 200
                    break
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)


def start(*arguments):
    command = [sys.executable, "-m", "drivers.simulators.access_point", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_command_says_one_line_and_ends_cleanly(by):
    with start("--port", "0", "--truth-port", "0", "--speed", "10", "--tags", "3") as process:
        line = process.stdout.readline()
        assert line.startswith("access point with 3 tags on http://127.0.0.1:")
        assert line.endswith("/truth\n")
        process.send_signal(by)
        rest, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "0", "--tags", "-1"], "tags: -1"),
        (["--port", "70000"], "port: 70000"),
        (["--port", "0", "--speed", "0"], "speed: 0.0"),
        (["--port", "0", "--types", "xx"], "types: 'xx' is not a list of hexadecimal numbers"),
        (["--port", "0", "--types", "EE"], "types: unknown [238]"),
        (["--port", "0", "--faults", "/nowhere/faults.json"], "/nowhere/faults.json: No such file"),
    ],
)
def test_wrong_arguments_are_named(arguments, text):
    with start(*arguments) as process:
        rest, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, rest) == (2, "")
        assert text in errors
        assert errors.count("\n") == 1


def test_a_taken_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken, start("--port", str(taken.getsockname()[1])) as process:
        rest, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, rest) == (1, "")
        assert "cannot listen" in errors


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("{", "not JSON"),
        ("{}", "must be a list"),
        ("[1]", "entry 0: not an object"),
        ('[{"fault":"reboot_ap"}]', "at_s must be seconds"),
        ('[{"at_s":NaN,"fault":"reboot_ap"}]', "at_s must be seconds"),
        ('[{"at_s":1,"fault":"explode"}]', "unknown fault 'explode'; known are battery"),
        ('[{"at_s":1,"fault":"_tag"}]', "unknown fault"),
        ('[{"at_s":1,"fault":"reboot_tag"}]', "needs 'mac' or 'tag'"),
        ('[{"at_s":1,"fault":"reboot_tag","tag":0,"how":1}]', "takes ['mac', 'watchdog'], not ['how']"),
        ('[{"at_s":1,"fault":"battery","tag":0}]', "needs 'mv'"),
        ('[{"at_s":1,"fault":"battery","tag":0,"mv":"low"}]', "mv must be"),
        ('[{"at_s":1,"fault":"duplicate_mac","tag":0}]', "unknown fault"),
    ],
)
def test_a_bad_script_says_where_and_why(tmp_path, script, text):
    path = tmp_path / "faults.json"
    path.write_text(script)
    with pytest.raises(BadScript) as error:
        load_script(path)
    assert text in str(error.value)
    assert str(path) in str(error.value)


def test_a_script_plays_at_its_time(shop, tmp_path):
    s = shop(tags=2, types=(0x6E,))
    path = tmp_path / "faults.json"
    script = [{"at_s": 100, "fault": "reboot_tag", "tag": 1}, {"at_s": 200, "fault": "reboot_ap", "crash": True}]
    path.write_text(json.dumps(script))
    play(s.ap, load_script(path))
    s.run(150)
    assert 0xFC in [tags[0]["wakeupReason"] for tags in s.told("tags") if tags[0]["mac"] == s.macs[1]]
    s.run(51)
    assert s.get("/sysinfo").fate == "refused"
    with pytest.raises(BadScript, match=r"there is no tag 2, only 0\.\.1"):
        play(s.ap, [{"at_s": 1, "fault": "reboot_tag", "tag": 2}])
    with pytest.raises(BadScript, match="there is no tag 'X'"):
        play(s.ap, [{"at_s": 1, "fault": "reboot_tag", "mac": "X"}])


def test_every_fault_can_be_called_and_life_goes_on(shop):
    s = shop(tags=3, types=(0x6E,))
    other = shop(tags=0, seed=2, beside=s)
    faults, mac = s.ap.faults, s.mac
    calls = {
        "battery": (mac, 2400),
        "busy_409": (5,),
        "clock_wrong": (-1000.0,),
        "drop_ws": (),
        "duplicate_mac": (s.macs[1], other.ap),
        "flash_full": (False,),
        "foreign_tag": ("0000000000000001",),
        "foreign_upload": (mac,),
        "http_timeout_next": (),
        "lose_xfc": (mac,),
        "lose_xfc_ack": (mac,),
        "radio_loss": (0.2,),
        "radio_reset": (),
        "reboot_ap": (),
        "reboot_tag": (mac,),
        "roam": (s.macs[2], other.ap),
        "silence_tag": (s.macs[1],),
        "slow_http": (0.0,),
        "wake_tag": (mac,),
    }
    assert set(calls) == {name for name in vars(Faults) if not name.startswith("_")}
    for name, arguments in calls.items():
        getattr(faults, name)(*arguments)
        s.run(90)
    faults.radio_loss(0.0)
    s.run(600)
    s.ap.lose_answers = 0
    s.put(1)
