"""The `[epcis]` table: which repository takes events of EPCIS 2.0, and what they may say. Only data."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from yarl import URL

from gateway.codes.gtin import check_digit
from gateway.errors import ConfigError

MAX_SECRET_BYTES = 4096
MIN_KEY_BYTES = 16


class EpcisConfig(BaseModel):
    """EPCIS 2.0 export. Without this table nothing is exported and nothing is kept for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        description="capture interface of the EPCIS 2.0 repository", examples=["https://epcis.example/v2/capture"]
    )
    token_file: Path | None = Field(
        default=None, description="file that holds a bearer token, mode 0600", examples=["/etc/aisled/epcis.token"]
    )
    username: str | None = Field(
        default=None, description="user name, if it wants basic access", examples=["shop-0421"]
    )
    password_file: Path | None = Field(
        default=None, description="file that holds the password, mode 0600", examples=["/etc/aisled/epcis.password"]
    )
    ca_file: Path | None = Field(
        default=None,
        description="trust only this authority (PEM); not set = the system's",
        examples=["/etc/aisled/epcis-ca.pem"],
    )
    allow_plaintext: bool = Field(
        default=False,
        description="permit http:// without encryption; for a trial on one machine only",
        examples=[False],
    )
    gln: str | None = Field(
        default=None,
        pattern=r"^[0-9]{13}$",
        description="GLN of the shop: its zones are then named by it; not set = names of our own",
        examples=["6901234567892"],
    )
    uri_base: str | None = Field(
        default=None,
        pattern=r"^(?:https://[^\s?#]+[^\s?#/]|urn:[a-z0-9][a-z0-9-]{1,30}:[^\s?#]*[^\s?#:])$",
        max_length=120,
        description="names of zones, tills and documents begin so; not set = urn:x-aisled:<store>",
        examples=["https://shops.example/0421"],
    )
    epc_uris: Literal["digital_link", "urn"] = Field(
        default="digital_link", description="how items are named, urn = urn:epc:id:", examples=["digital_link"]
    )
    serials: Literal["full", "hashed"] = Field(
        default="full",
        description="hashed: a keyed digest stands for each serial, the same one for the same item",
        examples=["full"],
    )
    hash_key_file: Path | None = Field(
        default=None,
        description="file that holds the key for hashed serials, 16 bytes or more, the same in all shops; mode 0600",
        examples=["/etc/aisled/epcis.key"],
    )
    baskets: bool = Field(
        default=False,
        description="name till and basket of sold items; whoever has receipts can then tell who bought them",
        examples=[False],
    )
    arrivals: bool = Field(
        default=False,
        description="two steps at goods in, arriving and accepting, instead of the one, receiving",
        examples=[False],
    )
    bucket_s: float = Field(
        default=2, ge=1, le=5, description="items of one step within so many seconds are one event", examples=[2]
    )
    max_document_kib: int = Field(
        default=256, ge=128, le=16384, description="largest document that is sent at once", examples=[256]
    )
    max_items: int = Field(
        default=500_000,
        ge=1000,
        description="items that wait while the repository is away; above it the oldest are dropped, and it is said",
        examples=[500_000],
    )

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        self._check_url()
        if self.gln is not None and int(self.gln[12]) != check_digit(self.gln[:12]):
            raise ValueError(f"gln ends in {self.gln[12]}, its check digit is {check_digit(self.gln[:12])}")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together; set both or neither")
        if self.token_file is not None and self.username is not None:
            raise ValueError("token_file and username are two ways to sign in; set one of them")
        if self.serials == "hashed" and self.hash_key_file is None:
            raise ValueError('serials = "hashed" needs hash_key_file')
        return self

    def _check_url(self) -> None:
        try:
            url = URL(self.url)
        except ValueError as error:
            raise ValueError(f"url is no web address: {error}") from None
        if url.scheme not in ("http", "https") or not url.host or url.user is not None or url.query_string:
            raise ValueError("url is the address of a capture interface, like https://epcis.example/v2/capture")
        if url.scheme == "http" and not self.allow_plaintext:
            raise ValueError(f"{self.url} is not encrypted; use https://, or set allow_plaintext = true for a trial")


def read_secret(path: Path) -> str:
    """Return a secret's text without its line end. Read at each attempt, so that a changed one just works."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'no UTF-8'}") from error


def read_key(path: Path) -> bytes:
    """Return the key for hashed serials. Raises ConfigError: not there, or shorter than 16 bytes."""
    key = read_secret(path).encode()
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(f"the key in {path} has {len(key)} bytes; {MIN_KEY_BYTES} are needed")
    return key
