"""Names of serial ports: a `usb:` name finds one port, or the error says which there are."""

import pytest
from serialx import SerialPortInfo

from drivers._serial_ports import choose, listed
from gateway.errors import ConfigError, LinkDown


def port(device: str, vid: int | None = None, pid: int | None = None, serial: str | None = None) -> SerialPortInfo:
    unknown = dict.fromkeys(("manufacturer", "product", "bcd_device", "interface_description", "interface_num"))
    return SerialPortInfo(
        device=device, resolved_device=device, vid=vid, pid=pid, serial_number=serial, port_number=None, **unknown
    )


PORTS = [
    port("/dev/ttyS0"),
    port("/dev/ttyUSB0", 0x1A86, 0x7523),
    port("/dev/ttyUSB1", 0x10C4, 0xEA60, "0001"),
    port("/dev/ttyUSB2", 0x10C4, 0xEA60, "0002"),
]


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("usb:1A86:7523", "/dev/ttyUSB0"),
        ("usb:1a86:7523", "/dev/ttyUSB0"),
        ("usb:10C4:EA60:0002", "/dev/ttyUSB2"),
    ],
)
def test_one_port_fits(name: str, device: str) -> None:
    assert choose(name, PORTS) == device


def test_several_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        choose("usb:10C4:EA60", PORTS)
    assert "/dev/ttyUSB1 (usb:10C4:EA60:0001), /dev/ttyUSB2 (usb:10C4:EA60:0002)" in str(caught.value)
    assert "ttyUSB0" not in str(caught.value)


@pytest.mark.parametrize("name", ["usb:1A86:7524", "usb:1A86:7523:0009", "usb:10C4:EA60:0003"])
def test_none_may_be_plugged_in_later(name: str) -> None:
    with pytest.raises(LinkDown, match=r"/dev/ttyS0, /dev/ttyUSB0 \(usb:1A86:7523\)"):
        choose(name, PORTS)


@pytest.mark.parametrize("name", ["usb:", "usb:1A86", "usb:XXXX:7523", "usb:1A86:7523:"])
def test_what_is_no_name_needs_a_person(name: str) -> None:
    with pytest.raises(ConfigError, match="write usb:VID:PID"):
        choose(name, PORTS)


def test_no_port_at_all() -> None:
    assert listed([]) == "none"
