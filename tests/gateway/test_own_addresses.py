"""Which addresses the machine has, from the kernel's tables."""

import socket
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509

from gateway.certificates import StoreCertificates, own_addresses, server_context
from gateway.certificates.addresses import ipv4_in, ipv6_in
from tests.gateway.tls_shop import NAME, extension, shake, trusting

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.20.0.0/24 2 0 2
        |-- 10.20.0.0
           /24 link UNICAST
        |-- 10.20.0.5
           /32 host LOCAL
        |-- 10.20.0.255
           /32 link BROADCAST
Local:
     +-- 127.0.0.0/31 1 0 0
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 192.168.9.1
        /31 link UNICAST
        /32 host LOCAL
"""
IF_INET6 = """\
fd000000000000000000000000000002 04 40 00 82     eth0
fd00000000000000a1b2c3d4e5f60708 04 40 00 01     eth0
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000003 04 40 00 40     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_the_kernels_tables() -> None:
    assert [str(one) for one in ipv4_in(FIB_TRIE)] == ["10.20.0.5", "127.0.0.1", "192.168.9.1"]
    assert [str(one) for one in ipv6_in(IF_INET6)] == ["fd00::2", "fe80::fc:ff:fe00:1", "::1"]


def test_own_addresses(tmp_path: Path) -> None:
    loopback = {ip_address("127.0.0.1"), ip_address("::1")}
    assert own_addresses(tmp_path) == loopback
    (tmp_path / "fib_trie").write_text(FIB_TRIE)
    assert {ip_address("10.20.0.5"), *loopback} <= own_addresses(tmp_path)


@pytest.mark.skipif(not Path("/proc/net/fib_trie").exists(), reason="no such table here")
def test_own_addresses_are_what_the_system_says() -> None:
    psutil = pytest.importorskip("psutil")
    listed = {
        ip_address(one.address)
        for found in psutil.net_if_addrs().values()
        for one in found
        if one.family == socket.AF_INET
    }
    assert {one for one in own_addresses() if one.version == 4} == listed | {ip_address("127.0.0.1")}


def test_loopback_is_served_whatever_the_machine_has(tmp_path: Path) -> None:
    live = StoreCertificates(tmp_path / "tls", [NAME], lambda: datetime.now(UTC))
    files = live.ensure()
    shake(server_context(files), trusting(files.ca), "127.0.0.1")
    found = extension(x509.load_pem_x509_certificate(files.cert.read_bytes()), x509.SubjectAlternativeName).value
    private = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")]
    assert all(
        any(address in network for network in private)
        for address in found.get_values_for_type(x509.IPAddress)
        if address.version == 4 and not address.is_link_local
    )
