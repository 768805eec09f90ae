"""The tills' tokens: who a till is that has no certificate of its own. One till, one secret, shown to a person once.

A token is `ait_<terminal>_<43 characters>`: 256 random bits, so that SHA-256 is all the protection that the file needs.
A slow hash defends what people make up and others can guess; nobody guesses 256 bits, and a till asks at every scan.
A new token is made beside the old one, which stays good for a while (`rotate`), so that no till stops in between.
Not here: the file (`_terminal_tokens_file.py`), client certificates (`gateway/certificates`).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from drivers._terminal_tokens_file import MAX_TOKENS, Stamp, Terminals, Token, changing, read, stamp_of
from gateway.errors import ConfigError

SECRET_BYTES = 32
TOKEN = re.compile(r"ait_([a-z0-9][a-z0-9_-]{0,39})_([A-Za-z0-9_-]{43})")
TERMINAL = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
REMEMBER = timedelta(days=30)  # an expired token is told from an unknown one for so long: it names the till to mend


class Reason(StrEnum):
    """Why a token is good or not."""

    OK = "ok"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Who(NamedTuple):
    """Whose token it is. `terminal` only when it is good; `expired` names the till for the log, and lets nobody in."""

    reason: Reason
    terminal: str | None = None
    expired: str | None = None


UNKNOWN = Who(Reason.UNKNOWN)


class _Entry(NamedTuple):
    digest: bytes
    terminal: str
    not_after: datetime | None


class TerminalTokens:
    """What the gateway knows of the file. Empty until `reload_if_changed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._entries: tuple[_Entry, ...] = ()

    def reload_if_changed(self) -> bool:
        """Read the file when it is another than before; cheap enough for every request. A file that went = no tills.

        Raises ConfigError, each time until it is mended, and goes on with what was known: the shop stays open.
        """
        if stamp_of(self._path) == self._stamp:
            return False
        found = read(self._path)
        self._entries = tuple(
            _Entry(bytes.fromhex(token.sha256), terminal, token.not_after)
            for terminal, tokens in found.terminals.items()
            for token in tokens
        )
        self._stamp = found.stamp
        return True

    def who(self, token: str, now: datetime) -> Who:
        """Tell whose token it is. Every known one is compared, each in constant time: the delay says nothing."""
        match = TOKEN.fullmatch(token)
        if match is None:
            return UNKNOWN
        digest = _digest(token)
        fits = [entry for entry in self._entries if hmac.compare_digest(entry.digest, digest)]
        own = [entry for entry in fits if entry.terminal == match[1]]  # a line copied to another till is nobody's
        if not own:
            return UNKNOWN
        if any(entry.not_after is None or now < entry.not_after for entry in own):
            return Who(Reason.OK, terminal=match[1])
        return Who(Reason.EXPIRED, expired=match[1])


def add(path: Path, terminal: str, now: datetime) -> str:
    """Return the first token of a new till; it cannot be had again. Raises ConfigError."""
    _check(terminal)
    with changing(path) as terminals:
        if terminal in terminals:
            raise ConfigError(f"{terminal} has a token already: use rotate for a new one")
        return _give(terminals, terminal, (), now)


def rotate(path: Path, terminal: str, now: datetime, overlap: timedelta) -> str:
    """Return a new token; the earlier ones are good for `overlap` more, or less. Raises ConfigError."""
    with changing(path) as terminals:
        earlier = _tokens_of(terminals, terminal)
        return _give(terminals, terminal, (_until(token, now + overlap) for token in earlier), now)


def revoke(path: Path, terminal: str) -> int:
    """Forget a till's tokens at once, all of them, and return how many there were. Raises ConfigError."""
    with changing(path) as terminals:
        tokens = _tokens_of(terminals, terminal)
        del terminals[terminal]
        return len(tokens)


def known(path: Path) -> Terminals:
    """Return every till's tokens, newest first: when each was made and until when it is good. Raises ConfigError."""
    return dict(sorted(read(path).terminals.items()))


def _check(terminal: str) -> None:
    if not TERMINAL.fullmatch(terminal):
        raise ConfigError(f'"{terminal}" is no id of a till: 1 to 40 of a-z 0-9 _ -, for example till-3')


def _tokens_of(terminals: Terminals, terminal: str) -> tuple[Token, ...]:
    try:
        return terminals[terminal]
    except KeyError:
        there = ", ".join(sorted(terminals)) or "none"
        raise ConfigError(f'no till "{terminal}" has a token; there are: {there}') from None


def _give(terminals: Terminals, terminal: str, earlier: Iterable[Token], now: datetime) -> str:
    token = f"ait_{terminal}_{secrets.token_urlsafe(SECRET_BYTES)}"
    fresh = Token(sha256=_digest(token).hex(), made_at=now)
    kept = [one for one in earlier if one.not_after is None or now < one.not_after + REMEMBER]
    terminals[terminal] = (fresh, *kept)[:MAX_TOKENS]
    return token


def _until(token: Token, end: datetime) -> Token:
    return token.model_copy(update={"not_after": end if token.not_after is None else min(end, token.not_after)})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
