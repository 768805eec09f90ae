"""Fields that the drivers of serial RFID readers have in common. Not here: what only one family has (the drivers)."""

from pathlib import Path

from pydantic import Field

from gateway.driver import DeviceConfig


class SerialReaderConfig(DeviceConfig):
    """One RFID reader on a serial line."""

    port: str = Field(
        min_length=1,
        max_length=400,
        pattern=r"^(/|COM|usb:|(socket|rfc2217)://)",
        description="serial port by a name that stays: `/dev/serial/by-id/...` or `usb:VID:PID[:SERIAL]`; "
        "on the network `socket://host:port` (plain TCP) or `rfc2217://host:port` (not tried yet)",
        examples=["usb:1A86:7523"],
    )
    allow_writes: bool = Field(default=False, description="let administrators encode, lock and kill tags here")
    access_password_file: Path | None = Field(
        default=None,
        description="file with the access password of the tags, 8 hex digits; needed to lock",
        examples=["tags.access"],
    )
    kill_password_file: Path | None = Field(
        default=None,
        description="file with the kill password of the tags, 8 hex digits; needed to kill",
        examples=["tags.kill"],
    )
