"""The command line: help for technicians, one clear line for each failure, quick to start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__
from gateway.cli import main, parser

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ["run", "check", "demo", "hq", "prove", "terminal", "contract", "backup", "restore", "simulate", "version"]


def test_version_without_the_heavy_libraries() -> None:
    script = "import sys; from gateway.cli import main; main(['version']); print(sorted(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"aisled {__version__}\n")
    for heavy in ["asyncio", "pydantic", "aiohttp", "paho", "PIL", "rich", "sqlite_utils"]:
        assert f"'{heavy}'" not in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example: aisled {command}" in capsys.readouterr().out


def test_the_list_of_commands_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    printed = capsys.readouterr().out
    assert [word for word in COMMANDS if f"\n    {word} " not in printed] == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["run", "--config", "/none.toml"], 2, "/none.toml: cannot be read: No such file or directory"),
        (["check", "--config", "/none.toml"], 2, "/none.toml"),
        (["prove", "--config", "/none.toml", "--gtin", "1", "--at", "now"], 2, "/none.toml"),
        (["prove", "--config", "{config}", "--gtin", "12345670", "--at", "now"], 2, "is not there; has the gateway"),
        (["prove", "--config", "{config}", "--gtin", "12345678", "--at", "now"], 2, "check digit is 8, should be 0"),
        (["prove", "--config", "{config}", "--gtin", "12345670", "--at", "noon"], 2, "not a time"),
        (["backup", "--config", "{config}", "{config}"], 2, "is there already"),
        (["backup", "--config", "{config}", "/none/x.db"], 2, "no backup of"),
        (["restore", "--config", "{config}", "/none.db"], 2, "/none.db"),
    ],
)
def test_a_failure_is_one_line(
    tmp_path: Path, words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "aisled.toml"
    config.write_text((ROOT / "config" / "demo.toml").read_text().replace("aisled-demo", str(tmp_path / "data")))
    assert main([word.replace("{config}", str(config)) for word in words]) == code
    error = capsys.readouterr().err
    assert error.startswith("aisled: ")
    assert text in error
    assert error.count("\n") == 1


def test_a_reader_that_leaves_is_no_failure() -> None:
    command = [sys.executable, "-m", "gateway.cli", "contract"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, cwd=ROOT, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
