"""Foreign LLRP clients, unmodified, must be content with the simulated reader.

Each lives in a virtual environment of its own that is kept in the checkout; where it cannot be had, its test says so
and is skipped. sllurp is GPL: its command is run as a user would run it, and nothing of it is imported anywhere.
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.simulators._reader_serve import serving
from drivers.simulators.reader import FleetConfig, ReaderFleet, Stock

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
SLLURP = ("sllurp==2.0.1",)  # the wheels of 3.0 come without the modules of their command
PYLLRP = ("pyllrp==3.1.1", "bitstring<5")  # with bitstring 5 it cannot even connect


def environment(name, packages, probe):
    venv = ROOT / f".venv-{name}"
    python = venv / "bin" / "python"
    if python.exists() and subprocess.run([python, *probe], capture_output=True, check=False).returncode == 0:
        return venv
    steps = ([sys.executable, "-m", "venv", "--clear", venv], [python, "-m", "pip", "install", "-q", *packages])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"{packages[0]} cannot be had: {done.stderr.strip()[-200:]}")
    return venv


def shop(**config):
    stock = Stock(tags=80, seed=3, odd_share=0.1)
    fleet = ReaderFleet(FleetConfig(**{"stock": stock, "reads_per_s": 2000.0, "epoch_s": time.time()} | config))
    return fleet, {tag.epc.hex().upper() for tag in fleet.world.items}


@pytest.mark.parametrize("kind", ["impinj", "zebra"])
async def test_sllurp_unmodified(kind):
    venv = environment(
        "sllurp", SLLURP, ["-c", "import importlib.metadata as m; assert m.version('sllurp') == '2.0.1'"]
    )
    fleet, epcs = shop(kind=kind, ghost_share=0.0)
    more = ["--impinj-reports"] if kind == "impinj" else []
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports:
        options = ["-p", str(ports.readers[0]), "-a", "0", "-n", "20", "--keepalive-interval", "200", *more]
        process = await asyncio.create_subprocess_exec(
            str(venv / "bin" / "sllurp"), "inventory", *options, "127.0.0.1",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        seen, said = set(), ""
        while not epcs <= seen:
            line = (await process.stdout.readline()).decode()
            said = said[-2000:] + line
            assert line, said
            seen |= {epc.upper() for epc in re.findall(r"'EPC': b'([0-9a-f]+)'", line)}
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert seen == epcs
        assert fleet.readers[0].acknowledged > 0
        assert "ImpinjRFPhaseAngle" in said or kind != "impinj"


SCRIPT = """
import json, sys
from pyllrp.pyllrp import *
from pyllrp.LLRPConnector import LLRPConnector
from pyllrp.TagInventory import TagInventory

inventory = TagInventory(transmitPower=81)
inventory.connector = LLRPConnector()
inventory.connector.connect("127.0.0.1", int(sys.argv[1]))
def said(response):
    assert response.success(), repr(response)
said(inventory.connector.transact(SET_READER_CONFIG_Message(ResetToFactoryDefault=True)))
said(inventory.connector.transact(inventory._getReaderConfigMessage()))
said(inventory.connector.transact(GET_READER_CAPABILITIES_Message(RequestedData=0)))
said(inventory.connector.transact(GET_READER_CONFIG_Message(RequestedData=0)))
inventory.readWaitMilliseconds = 1000
seen = set()
while len(seen) < int(sys.argv[2]):
    seen |= inventory.GetTagInventory()[0]
said(inventory.connector.transact(GET_ROSPECS_Message()))
inventory.Disconnect()
print(json.dumps(sorted(seen)))
"""


async def test_pyllrp_unmodified(tmp_path):
    venv = environment(
        "pyllrp", PYLLRP, ["-c", "import bitstring; bitstring.ConstBitStream; import pyllrp.LLRPConnector"]
    )
    fleet, epcs = shop(ghost_share=0.0)
    script = tmp_path / "pyllrp_script.py"
    script.write_text(SCRIPT)
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports:
        process = await asyncio.create_subprocess_exec(
            str(venv / "bin" / "python"), str(script), str(ports.readers[0]), str(len(epcs)),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert set(json.loads(output)) == {epc.lstrip("0") for epc in epcs}  # it takes EPCs for numbers
