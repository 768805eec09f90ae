"""The `[epcis]` table: what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.epcis.settings import EpcisConfig, read_key
from gateway.errors import ConfigError

URL = "https://epcis.example/v2/capture"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"url": "http://epcis.example/capture"}, "not encrypted"),
        ({"url": "ftp://epcis.example/capture"}, "capture interface"),
        ({"url": "epcis.example/capture"}, "capture interface"),
        ({"url": "https://epcis.example:port/capture"}, "no web address"),
        ({"url": "https://user:secret@epcis.example/capture"}, "capture interface"),
        ({"gln": "6901234567893"}, "check digit is 2"),
        ({"gln": "690123456789"}, "gln"),
        ({"uri_base": "https://shops.example/"}, "uri_base"),
        ({"uri_base": "shops.example"}, "uri_base"),
        ({"username": "shop"}, "belong together"),
        ({"password_file": "p"}, "belong together"),
        ({"username": "shop", "password_file": "p", "token_file": "t"}, "two ways"),
        ({"serials": "hashed"}, "hash_key_file"),
        ({"bucket_s": 0.5}, "bucket_s"),
        ({"bucket_s": 6}, "bucket_s"),
        ({"speed": 1}, "speed"),
    ],
)
def test_a_mistake_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        EpcisConfig(**{"url": URL} | table)


def test_a_small_table_is_enough() -> None:
    assert EpcisConfig(url=URL).epc_uris == "digital_link"
    assert EpcisConfig(url="http://127.0.0.1:8080/capture", allow_plaintext=True).url.startswith("http:")
    assert EpcisConfig(url=URL, uri_base="urn:x-shops:0421", gln="6901234567892").gln == "6901234567892"


def test_a_short_key_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_key(tmp_path / "key")
    (tmp_path / "key").write_text("0123456789abcde\n", "utf-8")
    with pytest.raises(ConfigError, match="15 bytes; 16"):
        read_key(tmp_path / "key")
