"""`aisled terminal`: words in, a token out once, and the file that the tills' interface reads."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import gateway.config
from drivers._terminal_tokens import Reason, TerminalTokens
from gateway.config import Config, GatewayConfig, StoreConfig
from gateway.driver import DeviceConfig
from gateway.errors import ConfigError
from gateway.terminal_commands import DRIVER, add_arguments, run, span, tokens_file


class TillsConfig(DeviceConfig):
    tokens_file: Path | None = None


def config_of(data_dir: Path, *devices: DeviceConfig) -> Config:
    store = StoreConfig(id="0421", timezone="Asia/Shanghai", currency="CNY")
    return Config(store=store, gateway=GatewayConfig(id="gw1", data_dir=data_dir), devices=devices)


def tills(name: str = "tills", path: Path | None = None) -> TillsConfig:
    return TillsConfig(id=name, driver=DRIVER, tokens_file=path)


@pytest.fixture
def aisled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run one command line against a shop whose data is in `tmp_path`."""
    config = config_of(tmp_path, tills())
    monkeypatch.setattr(gateway.config, "load", lambda path: config if path == Path("shop.toml") else pytest.fail(path))
    parser = argparse.ArgumentParser()
    add_arguments(parser, lambda command: command.add_argument("--config", type=Path))
    return lambda *words: run(parser.parse_args([words[0], "--config", "shop.toml", *words[1:]]))


def reason(folder: Path, token: str, after: timedelta = timedelta(0)) -> Reason:
    tokens = TerminalTokens(folder / "terminals.json")
    tokens.reload_if_changed()
    return tokens.who(token, datetime.now(UTC) + after).reason


def test_a_token_is_printed_alone_and_works(aisled, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert aisled("add", "till-3") == 0
    printed = capsys.readouterr()
    token = printed.out.removesuffix("\n")
    assert reason(tmp_path, token) is Reason.OK
    assert token not in printed.err
    assert "cannot be shown again" in printed.err


def test_rotate_overlaps(aisled, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aisled("add", "till-3")
    old = capsys.readouterr().out.strip()
    aisled("rotate", "--overlap", "2h", "till-3")
    printed = capsys.readouterr()
    assert reason(tmp_path, printed.out.strip(), timedelta(days=99)) is Reason.OK
    assert reason(tmp_path, old, timedelta(minutes=119)) is Reason.OK
    assert reason(tmp_path, old, timedelta(minutes=121)) is Reason.EXPIRED
    assert "+08:00" in printed.err  # the shop's own time
    aisled("rotate", "till-3")
    assert reason(tmp_path, printed.out.strip(), timedelta(hours=23)) is Reason.OK
    assert reason(tmp_path, printed.out.strip(), timedelta(hours=25)) is Reason.EXPIRED


def test_revoke_and_list(aisled, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aisled("add", "till-3")
    token = capsys.readouterr().out.strip()
    aisled("add", "till-4")
    aisled("rotate", "till-4")
    aisled("rotate", "till-4", "--overlap", "0s")
    capsys.readouterr()
    assert aisled("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["till-3", "till-4", "till-4", "till-4"]
    assert [line.split("  ")[-1].split()[0] for line in lines] == ["good", "good", "expired", "expired"]
    assert token[-43:] not in "".join(lines)
    assert aisled("revoke", "till-3") == 0
    assert capsys.readouterr().out.startswith("till-3: 1 revoked")
    assert reason(tmp_path, token) is Reason.UNKNOWN


def test_which_file(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    other = DeviceConfig(id="ap-1", driver="label_oepl")
    assert tokens_file(config_of(tmp_path, other, tills())) == tmp_path / "terminals.json"
    assert tokens_file(config_of(tmp_path, tills(path=own))) == own
    assert tokens_file(config_of(tmp_path, tills("a", own), tills("b", own))) == own
    two = config_of(tmp_path, tills("a", own), tills("b"))
    assert tokens_file(two, "a") == own
    with pytest.raises(ConfigError, match="--device a or b"):
        tokens_file(two)
    with pytest.raises(ConfigError, match='with id = "ap-1" and driver = "checkout_http"'):
        tokens_file(config_of(tmp_path, other, tills()), "ap-1")
    with pytest.raises(ConfigError, match="without it no till can ask"):
        tokens_file(config_of(tmp_path, other))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0s", timedelta(0)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        ("90d", timedelta(days=90)),
    ],
)
def test_spans(text: str, length: timedelta) -> None:
    assert span(text) == length


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "91d", "999999d", "9999999s", "1w", "24h\n", "٣h"])
def test_bad_spans(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a span such as"):
        span(text)


def test_a_wrong_overlap_changes_nothing(aisled, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        aisled("rotate", "till-3", "--overlap", "soon")
    assert ended.value.code == 2
    assert not (tmp_path / "terminals.json").exists()
