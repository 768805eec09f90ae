"""The `[hq]` table: where head office's broker is and how to sign in there. Only data; the connection is `mqtt.py`."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers._mqtt import MqttOptions
from gateway.errors import ConfigError

MAX_SECRET_BYTES = 4096


class HqConfig(BaseModel):
    """Head office. Without this table the shop runs alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        description="MQTT broker of head office; mqtts:// is encrypted", examples=["mqtts://broker.example:8883"]
    )
    fallback_url: str | None = Field(
        default=None,
        description="second broker, tried in turn with the first whenever one does not answer",
        examples=["mqtts://broker2.example:8883"],
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=120,
        description="MQTT client id, unique at the broker; not set = aisled-<store>-<gateway>",
        examples=["aisled-0421-gw1"],
    )
    username: str | None = Field(default=None, description="user name at the broker", examples=["0421-gw1"])
    password_file: Path | None = Field(
        default=None, description="file that holds the password, mode 0600", examples=["/etc/aisled/hq.password"]
    )
    ca_file: Path | None = Field(
        default=None,
        description="trust only this authority (PEM); not set = the system's",
        examples=["/etc/aisled/hq-ca.pem"],
    )
    cert_file: Path | None = Field(
        default=None, description="client certificate (PEM), if the broker wants one", examples=["/etc/aisled/gw1.pem"]
    )
    key_file: Path | None = Field(
        default=None, description="key of the client certificate (PEM), mode 0600", examples=["/etc/aisled/gw1.key"]
    )
    allow_plaintext: bool = Field(
        default=False,
        description="permit mqtt:// without encryption; for a trial on one machine only",
        examples=[False],
    )
    keep_alive_s: int = Field(
        default=20, ge=5, le=600, description="seconds of silence after which the link is probed", examples=[20]
    )
    session_expiry_h: int = Field(
        default=168,
        ge=1,
        le=8760,
        description="hours that the broker keeps orders for us while we are away",
        examples=[168],
    )
    max_message_kib: int = Field(
        default=256,
        ge=16,
        le=65536,
        description="largest message that the broker takes; an event above it is set aside with an alarm",
        examples=[256],
    )

    @field_validator("url", "fallback_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is not None:
            try:
                MqttOptions(url, "probe").address  # noqa: B018  (the property is the check)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return url

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        for url in self.urls:
            if url.startswith("mqtt:") and not self.allow_plaintext:
                raise ValueError(f"{url} is not encrypted; use mqtts://, or set allow_plaintext = true for a trial")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file is set without cert_file; name the certificate as well")
        if self.password_file and not self.username:
            raise ValueError("password_file is set without username; name the user as well")
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """Every broker, the preferred one first."""
        return (self.url,) if self.fallback_url is None else (self.url, self.fallback_url)


def read_secret(path: Path) -> str:
    """Return a secret's text without its line end. Read at each connection, so that a changed password just works."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the password file {path}: {getattr(error, 'strerror', None) or 'no UTF-8'}"
        ) from error
