"""The configuration: what is right loads, what is wrong is named so that a technician can mend it."""

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway import driver_index
from gateway.config import SECTIONS, Config, build, load
from gateway.config_secrets import secret_warnings
from gateway.driver_index import config_type, driver_names
from gateway.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "config" / "aisled.example.toml"
GOOD = """
[store]
id = "0421"
timezone = "Asia/Shanghai"
currency = "CNY"

[gateway]
id = "gw1"
data_dir = "/var/lib/aisled"
"""
DEVICE = '[[device]]\nid = "ap-1"\ndriver = "label_oepl"\nurl = "http://10.20.0.11"\n'


def put(folder: Path, text: str) -> Path:
    path = folder / "aisled.toml"
    path.write_text(text, "utf-8")
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    path = put(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_the_example_loads_as_it_is_and_with_every_field_set(tmp_path: Path) -> None:
    assert [device.driver for device in load(EXAMPLE).devices] == driver_names()
    text = EXAMPLE.read_text("utf-8")
    every = re.sub(r"^# ([a-z]\w* = )", r"\1", text, flags=re.MULTILINE)
    every = every.replace("token_file = ", "# token_file = ")  # one of two ways to sign in
    config = load(put(tmp_path, every))
    tables = [(SECTIONS[name], getattr(config, name)) for name in SECTIONS]
    for model, table in [*tables, *((config_type(device.driver), device) for device in config.devices)]:
        assert table.model_fields_set >= set(model.model_fields) - {"token_file"}


def test_the_demo_configuration_loads() -> None:
    config = load(ROOT / "config" / "demo.toml")
    assert [device.id for device in config.devices] == ["ap-1", "ap-2", "tills", "rfid-back", "rfid-floor", "rfid-door"]


def test_a_small_shop(tmp_path: Path) -> None:
    config = load(put(tmp_path, GOOD + DEVICE))
    assert config.hq is None
    assert config.store.zone.key == "Asia/Shanghai"
    assert config.gateway.database == Path("/var/lib/aisled/aisled.db")
    assert type(config.devices[0]) is config_type("label_oepl")
    with pytest.raises(ValueError, match="frozen"):
        config.store.id = "other"  # type: ignore[misc]


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    text = """
[stores]
id = 1

[store]
id = "04/21"
timezone = "Asia/Shangai"
curency = "CNY"

[gateway]
id = "gw1"
data_dir = "/x"

[prices]
converge_alarm_min = "soon"

[[device]]
id = "AP 1"
driver = "label_oepl"
url = "10.20.0.11"

[[device]]
id = "ap-2"
driver = "label_opel"

[[device]]
id = "ap-3"
"""
    lines = mistakes(tmp_path, text)
    for expected in [
        "[stores]: no such table; did you mean [store]?",
        '[store] id = "04/21": string should match pattern',
        '[store] timezone = "Asia/Shangai": not an IANA time zone; did you mean "Asia/Shanghai"?',
        'for example timezone = "Asia/Shanghai"',
        '[store] currency: missing; for example currency = "CNY"',
        "[store] curency: no such field; did you mean currency?",
        '[prices] converge_alarm_min = "soon"',
        '[[device]] 1 (id "AP 1") id = "AP 1"',
        '[[device]] 1 (id "AP 1") url = "10.20.0.11"',
        '[[device]] 2 (id "ap-2") driver: no driver "label_opel"; did you mean "label_oepl"?',
        '[[device]] 3 (id "ap-3") driver: missing; for example driver = "label_oepl"',
    ]:
        assert any(expected in line for line in lines), f"{expected!r} is not in:\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[store\n", "not valid TOML"),
        ("", "[store] id: missing"),
        ("store = 3\n", "[store]: must be a table"),
        (GOOD + '[device]\nid = "x"\n', "write [[device]] with two brackets"),
        (GOOD + "device = [3]\n", "[gateway] device: no such field"),
        (GOOD + DEVICE + DEVICE, '[[device]] id = "ap-1" is used twice'),
        (GOOD + '[hq]\nurl = "mqtt://broker"\n', "is not encrypted; use mqtts://"),
        (GOOD + "[journal]\nkeep_days = 0\n", "[journal] keep_days = 0: input should be greater than or equal to 1"),
        ("x" * (4 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_one_mistake(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in line for line in mistakes(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes("[store]\nid = 'Café'".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(tmp_path / "latin.toml")


def test_a_secret_is_found_by_path_environment_and_credentials_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hq = '[hq]\nurl = "mqtts://broker"\nusername = "u"\n'
    path = put(tmp_path, GOOD + hq + 'password_file = "hq.password"\n')

    def found() -> Path | None:
        config = load(path)
        assert config.hq is not None
        return config.hq.password_file

    assert found() == tmp_path / "hq.password"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "hq.password").write_text("s3cret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert found() == credentials / "hq.password"
    monkeypatch.setenv("AISLED_HQ_PASSWORD_FILE", "/run/secrets/hq")
    assert found() == Path("/run/secrets/hq")


def test_a_device_takes_its_secret_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLED_BACK_DOOR_PASSWORD_FILE", "/run/secrets/door")
    monkeypatch.setenv("AISLED_BACK_PASSWORD_FILE", "/run/secrets/other")
    sensor = 'driver = "sensor_mqtt"\nurl = "mqtt://127.0.0.1"\ntopic = "a/b"\nusername = "u"\n'
    config = load(put(tmp_path, GOOD + f'[[device]]\nid = "back-door"\n{sensor}'))
    assert config.devices[0].model_dump()["password_file"] == Path("/run/secrets/door")


def test_a_secret_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    secret = tmp_path / "hq.password"
    secret.write_text("s3cret")
    os.chmod(secret, 0o640)  # noqa: PTH101 - the mode is the point
    text = GOOD + '[hq]\nurl = "mqtts://broker"\nusername = "u"\npassword_file = "hq.password"\nca_file = "ca.pem"\n'
    config = load(put(tmp_path, text))
    assert config.hq is not None
    warnings = secret_warnings("[hq]", config.hq)
    assert warnings == [
        f"[hq] password_file: {secret} has mode 0640, others can read it; run: chmod 600 {secret}",
        f"[hq] ca_file: {tmp_path / 'ca.pem'}: No such file or directory",
    ]
    secret.chmod(0o600)
    assert len(secret_warnings("[hq]", config.hq)) == 1


def test_a_password_never_comes_back_in_an_error(tmp_path: Path) -> None:
    text = GOOD + '[hq]\nurl = "mqtts://user:hunter2@broker"\npassword = "hunter2"\n'
    lines = mistakes(tmp_path, text)
    assert any("password: no such field; did you mean password_file?" in line for line in lines)
    assert "hunter2" not in "\n".join(lines)


def test_a_driver_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from gateway.driver import DeviceConfig\nclass Config(DeviceConfig):\n    lane: int\nclass Driver: ...\n"
    (tmp_path / "acme_till.py").write_text(source)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aisled.drivers]\nacme = acme_till\nbroken = acme_gone\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "acme" in driver_names()
    config = load(put(tmp_path, GOOD + '[[device]]\nid = "t1"\ndriver = "acme"\nlane = 3\n'))
    assert config.devices[0].model_dump()["lane"] == 3
    with pytest.raises(ConfigError, match="cannot be imported"):
        driver_index.load_driver("broken")


def test_a_codec_is_no_driver() -> None:
    with pytest.raises(ConfigError, match='no driver "_mqtt"'):
        driver_index.load_driver("_mqtt")


def test_nothing_in_a_configuration_is_a_secret_itself() -> None:
    for model in [*SECTIONS.values(), *map(config_type, driver_names())]:
        for name, field in model.model_fields.items():
            assert field.annotation is not SecretStr
            assert not re.search(r"password|token|secret", name) or name.endswith("_file")


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TABLES = st.sampled_from(["store", "gateway", "hq", "prices", "device", "x"])
FIELDS = st.sampled_from(["id", "timezone", "url", "driver", "data_dir", "password_file", "y"])


@given(st.dictionaries(TABLES, VALUES | st.dictionaries(FIELDS, VALUES) | st.lists(st.dictionaries(FIELDS, VALUES))))
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
def test_any_tables_are_a_configuration_or_a_clear_refusal(tables: dict[str, object]) -> None:
    with suppress(ConfigError):
        assert isinstance(build(tables, Path("any.toml")), Config)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_are_a_clear_refusal(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "any.toml").write_bytes(data)
    with pytest.raises(ConfigError):
        load(tmp_path / "any.toml")
