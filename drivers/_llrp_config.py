"""The `[[device]]` table of one LLRP reader, and what can be said of it before the reader is asked.

What the reader itself must be able to do is checked when it has told its capabilities (`_llrp_plan.py`).
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.driver import DeviceConfig

TLS_PORT, PLAIN_PORT = 5085, 5084  # as registered with IANA
ANTENNAS_MAX = 64  # readers have up to 8, with multiplexers up to 64

Dbm = Annotated[float, Field(ge=-10, le=36)]
Antenna = Annotated[int, Field(ge=1, le=ANTENNAS_MAX)]


def _sha256(text: str) -> str:
    digits = text.replace(":", "").replace(" ", "").lower()
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError("a SHA-256 fingerprint has 64 hex digits; print it with: openssl x509 -fingerprint -sha256")
    return digits


class Config(DeviceConfig):
    """One reader."""

    host: str = Field(min_length=1, description="address of the reader", examples=["10.20.0.41"])
    port: int | None = Field(
        default=None, ge=1, le=65535, description="its LLRP port; not set = 5085, or 5084 if insecure", examples=[5085]
    )
    insecure: bool = Field(
        default=False,
        description="talk plain LLRP: whoever reaches the reader can read along and take it over; only on a network "
        "of its own",
    )
    ca_file: Path | None = Field(
        default=None,
        description="certificate authority that signed the reader's certificate",
        examples=["reader-ca.pem"],
    )
    fingerprint: Annotated[str, AfterValidator(_sha256)] | None = Field(
        default=None,
        description="SHA-256 of the reader's own certificate, instead of ca_file",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    tls_name: str | None = Field(
        default=None,
        description="name in the reader's certificate when it is not the host (with ca_file)",
        examples=["impinj-14-02-a7"],
    )
    antennas: tuple[Antenna, ...] = Field(
        default=(), description="antennas to read with; none = all that the reader has", examples=[[1, 2]]
    )
    power_dbm: Dbm | dict[Antenna, Dbm] | None = Field(
        default=None,
        description="transmit power in dBm, one for all or a table by antenna (`{ 1 = 27.5, 2 = 20 }`); the next lower "
        "one that the reader lists is taken; not set = as the reader is set",
        examples=[27.5],
    )
    session: int = Field(
        default=1, ge=0, le=3, description="Gen2 session: 0 at exits, 1 at counts, 2 or 3 on the floor"
    )
    search: Literal["single", "dual", "focus"] | None = Field(
        default=None, description="how an Impinj reader turns to tags that it has read", examples=["dual"]
    )
    mode: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="RF mode by the reader's own number (`aisled check` lists them); not set = the reader's choice",
        examples=[1002],
    )
    tag_population: int = Field(default=32, ge=1, le=65535, description="tags that answer at once, about")
    report_every: int = Field(default=1, ge=1, le=10_000, description="reads that the reader puts into one report")
    report_ms: int | None = Field(
        default=None,
        ge=50,
        le=60_000,
        description="fetch also what is less every so many milliseconds; needed with report_every",
        examples=[250],
    )
    gpi_start: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="read only while this input is high (a light barrier); not set = always",
        examples=[1],
    )
    gpi_most_s: float = Field(default=0, ge=0, le=3600, description="and at most for so long; 0 = no limit")
    rssi_floor_dbm: float | None = Field(
        default=None, ge=-120, le=0, description="reads weaker than this are left out", examples=[-70]
    )
    vendor: Literal["auto", "impinj", "zebra", "standard"] = Field(
        default="auto", description="whose extensions are used; standard = none"
    )
    antenna_silent_min: float = Field(
        default=60,
        ge=1,
        le=7 * 24 * 60,
        description="minutes without any read after which an antenna is looked at, while others read",
    )
    allow_writes: bool = Field(default=False, description="let commands encode, lock and kill tags here")
    access_password_file: Path | None = Field(
        default=None,
        description="file with the access password of the shop's tags, 8 hex digits",
        examples=["access.hex"],
    )
    kill_password_file: Path | None = Field(
        default=None, description="file with their kill password, 8 hex digits", examples=["kill.hex"]
    )

    @property
    def where(self) -> str:
        """Address for people."""
        return f"{self.host}:{self.tcp_port}"

    @property
    def tcp_port(self) -> int:
        """Port to dial."""
        return self.port or (PLAIN_PORT if self.insecure else TLS_PORT)

    @model_validator(mode="after")
    def _is_secured(self) -> Self:
        pinned = self.ca_file is not None or self.fingerprint is not None
        if not self.insecure and not pinned:
            raise ValueError(
                "no way to know the reader: set ca_file or fingerprint, or insecure = true on a network of its own"
            )
        if self.insecure and pinned:
            raise ValueError("insecure = true and a certificate: leave one out")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.report_every > 1 and self.report_ms is None:
            raise ValueError(f"report_every = {self.report_every} holds reads back for ever: set report_ms, say 250")
        if self.search == "focus" and self.session != 1:
            raise ValueError(f'search = "focus" works in session 1 only, not {self.session}')
        unknown = set(self.power_dbm) - set(self.antennas) if isinstance(self.power_dbm, dict) and self.antennas else ()
        if unknown:
            raise ValueError(f"power_dbm names antenna {min(unknown)}, antennas does not")
        return self
