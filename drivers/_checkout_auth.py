"""Who asks: a till's token, or its client certificate. Failures are counted by address, and logged once.

A good token is good whoever else failed from the same address, so nobody can lock a till out. Who fails too often
hears 429 in place of 401 and is not logged again. Not here: the tokens themselves (`_terminal_tokens.py`), TLS
(`_checkout_gate.py`).
"""

import logging
import re
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from drivers._checkout_problem import Problem
from drivers._terminal_tokens import Reason, TerminalTokens
from gateway.driver import Certificates, Clock
from gateway.errors import ConfigError

FAILURES, WITHIN_S, LOCKED_S = 10, 300.0, 300.0
MAX_ADDRESSES = 1_000  # remembered; the one that failed longest ago is forgotten first
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="aisled"'}
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/-]+=*)")

log = logging.getLogger(__name__)


class Failures:
    """Failed attempts by address. Pure: `now_s` is handed in."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, deque[float]] = OrderedDict()
        self._locked: dict[str, float] = {}

    def note(self, address: str, now_s: float) -> None:
        """Count one failure."""
        times = self._at.setdefault(address, deque(maxlen=FAILURES))
        self._at.move_to_end(address)
        times.append(now_s)
        if len(times) == FAILURES and now_s - times[0] < WITHIN_S:
            self._locked[address] = now_s + LOCKED_S
            times.clear()
        while len(self._at) > MAX_ADDRESSES:
            self._locked.pop(self._at.popitem(last=False)[0], None)

    def locked_s(self, address: str, now_s: float) -> float:
        """Return for how long the address hears 429; 0 = it does not."""
        until_s = self._locked.get(address, now_s)
        if until_s <= now_s:
            self._locked.pop(address, None)
        return max(0.0, until_s - now_s)


class Doorkeeper:
    """Tells which terminal asks, or raises Problem (401, 429)."""

    def __init__(
        self, device: str, tokens: TerminalTokens, clock: Clock, certificates: Certificates | None = None
    ) -> None:
        self._device, self._tokens, self._clock, self._certificates = device, tokens, clock, certificates
        self._failures = Failures()
        self.trouble: str | None = None  # why the file of tokens cannot be read now
        self.refused = 0  # since the start

    def reload(self) -> None:
        """Read the file of tokens again if it changed. A bad one is logged, and what was known stays good."""
        try:
            self._tokens.reload_if_changed()
        except ConfigError as error:
            self.trouble = str(error)
            log.warning("%s; the tokens known before stay good", error, extra=self._once("tokens"))
        else:
            self.trouble = None

    def terminal(
        self, authorization: str | None, certificate: Mapping[str, Any] | None, address: str, asked: str, now_s: float
    ) -> str:
        """Return the terminal that asks. `asked` is the one that the path names, for the log."""
        if authorization is None and certificate and self._certificates is not None:
            named = self._certificates.terminal_of(certificate)
            if named is not None:
                return named
        reason, terminal = self._judge(authorization)
        if reason is None:
            return terminal
        raise self._failed(reason, terminal or asked, address, now_s)

    def is_good(self, authorization: str | None) -> bool:
        """Tell whether a token that was good still is; a certificate is good for its connection."""
        return authorization is None or self._judge(authorization)[0] is None

    def _judge(self, authorization: str | None) -> tuple[str | None, str]:
        if authorization is None:
            return "no token", ""
        found = _BEARER.fullmatch(authorization)
        if found is None:
            return "no bearer token", ""
        who = self._tokens.who(found[1], self._clock.now())
        if who.reason is Reason.OK and who.terminal is not None:
            return None, who.terminal
        return f"{who.reason.value} token", who.expired or ""

    def _failed(self, reason: str, terminal: str, address: str, now_s: float) -> Problem:
        self.refused += 1
        wait_s = self._failures.locked_s(address, now_s)
        if wait_s > 0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            return Problem(429, "too-many-failures", f"{FAILURES} failures from this address", headers=headers)
        self._failures.note(address, now_s)
        said = f"{reason}, for {terminal}" if terminal else reason
        log.warning("refused %s: %s", address, said, extra=self._once(f"auth {reason} {terminal}"))
        return Problem(401, reason.replace(" ", "-"), _ADVICE.get(reason, _ADVICE["no token"]), headers=CHALLENGE)

    def _once(self, key: str) -> dict[str, str]:
        return {"device": self._device, "once": key}


_ADVICE = {
    "no token": "send `Authorization: Bearer <token>`, the token that was given out for this terminal",
    "no bearer token": "the header must be `Authorization: Bearer <token>`",
    "unknown token": "this token is not known here, or was revoked: ask for a new one for this terminal",
    "expired token": "this token was replaced by a newer one and its time is over: put the newer one in",
}
