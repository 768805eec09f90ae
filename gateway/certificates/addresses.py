"""Which addresses this machine has, without asking the network: the kernel's own tables, as text.

A name server may be away, or slow, when the gateway starts. Not here: which of them a certificate may have (`mint.py`).
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address

LOOPBACK: frozenset[IPAddress] = frozenset([IPv4Address("127.0.0.1"), IPv6Address("::1")])
NET = Path("/proc/net")
# linux/if_addr.h: temporary, failed, deprecated, tentative. They come and go; a certificate should not with them.
PASSING = 0x01 | 0x08 | 0x20 | 0x40


def own_addresses(net: Path = NET) -> frozenset[IPAddress]:
    """Return what the kernel lists, loopback always included. A table that cannot be read counts as empty."""
    return LOOPBACK | {*ipv4_in(_text(net / "fib_trie")), *ipv6_in(_text(net / "if_inet6"))}


def ipv4_in(fib_trie: str) -> Iterator[IPv4Address]:
    """Yield the machine's own addresses in the text of /proc/net/fib_trie: the leaves marked `/32 host LOCAL`."""
    leaf = ""
    for line in fib_trie.splitlines():
        mark, _, rest = line.strip().partition(" ")
        if mark == "|--":
            leaf = rest
        elif (mark, rest) == ("/32", "host LOCAL"):
            yield IPv4Address(leaf)


def ipv6_in(if_inet6: str) -> Iterator[IPv6Address]:
    """Yield the lasting addresses in the text of /proc/net/if_inet6 (32 hex digits, index, prefix, scope, flags)."""
    for line in if_inet6.splitlines():
        digits, _, _, _, flags, _ = line.split()
        if not int(flags, 16) & PASSING:
            yield IPv6Address(int(digits, 16))


def _text(table: Path) -> str:
    try:
        return table.read_text("ascii")
    except OSError:
        return ""
