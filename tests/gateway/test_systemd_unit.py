import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.cli import PERSON_MUST_ACT

UNIT = Path(__file__).parents[2] / "systemd" / "aisled.service"
ANALYZE = shutil.which("systemd-analyze")


def service() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def with_a_real_program(tmp_path: Path) -> Path:
    copy = tmp_path / "aisled.service"
    copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


@pytest.mark.skipif(ANALYZE is None, reason="no systemd here")
def test_systemd_finds_no_fault(with_a_real_program: Path) -> None:
    verified = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(with_a_real_program)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.skipif(ANALYZE is None, reason="no systemd here")
def test_little_is_exposed(with_a_real_program: Path) -> None:
    rated = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--threshold=25", str(with_a_real_program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-500:]


def test_what_the_daemon_counts_on() -> None:
    unit = service()
    assert unit["Type"] == ["notify"]
    assert int(unit["WatchdogSec"][0]) > 0
    assert unit["StateDirectory"] == ["aisled"]
    assert unit["RestartPreventExitStatus"] == [str(PERSON_MUST_ACT)]
    assert int(unit["TimeoutStopSec"][0]) > 5
    assert unit["ProtectSystem"] == ["strict"]
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} == set(unit["RestrictAddressFamilies"][0].split())


def test_the_kernel_can_still_be_asked_for_the_time() -> None:
    unit = service()
    assert "ProtectClock" not in unit
    assert "adjtimex" in unit["SystemCallFilter"][-1]
    assert unit["CapabilityBoundingSet"] == [""]


def test_it_is_a_unit_file() -> None:
    parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    assert parser.sections() == ["Unit", "Service", "Install"]
