"""The file of the tills' tokens: JSON, mode 0600, changed under a lock and in one rename, so that nobody tears it.

It holds no token, only what proves one (`_terminal_tokens.py` says why that is enough). The gateway reads it while a
person changes it from the command line, so the reader needs no lock: it finds the old file or the new one.
"""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import ConfigError

MAX_BYTES = 1024 * 1024
MAX_TERMINALS = 200  # a hypermarket has 60 lanes; `who` looks at every token each time
MAX_TOKENS = 8  # of one till: the newest, those that overlap with it, and some that expired
LOCK_WAIT_S = 5.0  # another change takes milliseconds
LOCK_STEP_S = 0.02

TerminalId: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Stamp: TypeAlias = tuple[int, ...]


class Token(BaseModel):
    """What is kept of one token: its SHA-256, and until when it is good (None: until it is rotated or revoked)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    made_at: AwareDatetime
    not_after: AwareDatetime | None = None


Terminals: TypeAlias = dict[str, tuple[Token, ...]]


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Literal[1] = 1
    terminals: dict[TerminalId, Annotated[tuple[Token, ...], Field(max_length=MAX_TOKENS)]] = Field(
        default={}, max_length=MAX_TERMINALS
    )


class Found(NamedTuple):
    """What the file holds, and the stamp that tells it from the next one."""

    terminals: Terminals
    stamp: Stamp | None


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes with every change of the file; None when there is none. Raises ConfigError."""
    try:
        return _stamp(path.stat())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def read(path: Path) -> Found:
    """Read the file; none = no tills. Raises ConfigError, also when others could write tokens of their own into it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Found({}, None)
    except OSError as error:
        raise _unreadable(path, error) from error
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path} can be written by others, who could let themselves in; run: chmod 600 {path}")
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes: it is no file of tokens")
    return Found(_parse(path, raw), _stamp(status))


@contextlib.contextmanager
def changing(path: Path) -> Iterator[Terminals]:
    """Lock, hand over what is there to be changed, and write it when the block ends well. Raises ConfigError."""
    try:
        with _locked(path.parent):
            terminals = read(path).terminals
            yield terminals
            _write(path, _serialised(terminals))
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed: {error.strerror}") from error


def _parse(path: Path, raw: bytes) -> Terminals:
    try:
        return dict(_Content.model_validate_json(raw).terminals)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]  # no input: it may be another file's secret
        place = ".".join(str(step) for step in first["loc"][:-1]) or "its content"
        raise ConfigError(
            f"{path} is damaged ({place}: {first['msg']}); put a backup there, or remove it and add the tills anew"
        ) from error


def _serialised(terminals: Terminals) -> bytes:
    if len(terminals) > MAX_TERMINALS:
        raise ConfigError(f"more than {MAX_TERMINALS} tills at one gateway: revoke those that are gone")
    return _Content(terminals=terminals).model_dump_json(indent=1).encode("ascii") + b"\n"


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The folder, not the file: a rename would leave us with the lock of the old one."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} is not there yet: start the gateway once, it makes its folder") from error
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ConfigError(f"another command changes the tokens in {folder} and does not end") from None
            time.sleep(LOCK_STEP_S)
        else:
            return


def _write(path: Path, content: bytes) -> None:
    """Write beside, sync, rename: after a kill or a power cut there is the old file or the new one."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)  # of a run that was killed
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        _give_to_the_owner(file.fileno(), path)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def _give_to_the_owner(handle: int, path: Path) -> None:
    """Let the gateway's user own what root writes from the command line: else the gateway could not read it."""
    if os.geteuid() == 0:
        owner = (path if path.exists() else path.parent).stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)  # the rename itself is kept by the folder
    finally:
        os.close(handle)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be read: {error.strerror}; the gateway's user must own it")
