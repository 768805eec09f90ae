"""Back up the running database, and restore one without ever using a sequence number twice.

A backup is one file, checked before it gets its name. It carries the mark `restored`: whoever opens it as the gateway's
database, by `restore` or by a plain copy, goes on far above its numbers and declares the hole (`opening.py`). Rows that
were sent after the backup are sent again with the same ids, which head office drops.
"""

import contextlib
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import ConfigError
from gateway.messages import Stream
from gateway.store.place import Lock, check_place
from gateway.store.salvage import judge, sync_directory
from gateway.store.schema import STREAMS, connect_reader


def backup(path: Path, target: Path) -> None:
    """Copy the database while the gateway runs. Raises ConfigError when it cannot be read, written, or is damaged."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        with contextlib.closing(connect_reader(path)) as source, contextlib.closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)  # in one go: a read transaction, which holds up no writer
            _finish(copy)
        _require_sound(partial)
        _sync(partial)
        partial.rename(target)
        sync_directory(target.parent)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise ConfigError(f"no backup of {path} to {target}: {error}") from error


def _finish(copy: sqlite3.Connection) -> None:
    copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    with copy:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        copy.execute("DELETE FROM store_state WHERE key = 'clean'")
        copy.execute("INSERT OR REPLACE INTO store_state VALUES ('restored', ?)", [now])


def restore(source: Path, target: Path, *, force: bool = False) -> Path | None:
    """Put a backup in the database's place; return where the old one was set aside.

    Raises ConfigError when the gateway runs, the backup is damaged, or the database there is newer and not `force`.
    """
    _require_sound(source)
    check_place(target.parent)
    lock = Lock(target.with_name(target.name + ".lock"))
    lock.take()
    try:
        if not force:
            _refuse_newer(source, target)
        return _replace(source, target)
    except OSError as error:
        raise ConfigError(f"{source} could not be restored to {target}: {error}") from error
    finally:
        lock.release()


def _replace(source: Path, target: Path) -> Path | None:
    partial = target.with_name(target.name + ".restoring")
    shutil.copyfile(source, partial)
    _sync(partial)
    aside = None
    if target.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        aside = target.with_name(f"{target.name}.replaced-{stamp}")
        aside.hardlink_to(target)
    for side in ("-shm", "-wal"):  # before the new file appears: an old log must never meet it
        log = target.with_name(target.name + side)
        if log.exists():
            log.rename((aside or target).with_name((aside or target).name + (side if aside else f"{side}.stale")))
    partial.replace(target)
    sync_directory(target.parent)
    return aside


def _refuse_newer(source: Path, target: Path) -> None:
    if not target.exists():
        return
    old, new = _last(target), _last(source)
    if any(old[stream] > new[stream] for stream in STREAMS):
        raise ConfigError(
            f"{target} is newer than the backup ({old['business']} business events against {new['business']}): what it "
            "holds beyond the backup would be lost; use --force if that is what you want"
        )


def _last(path: Path) -> dict[Stream, int]:
    """Return the newest numbers; a file that cannot tell counts as older than anything."""
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            rows = dict(connection.execute("SELECT name, last FROM outbox_stream").fetchall())
    except sqlite3.Error:
        rows = {}
    return {stream: rows.get(stream, -1) for stream in STREAMS}


def _require_sound(path: Path) -> None:
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            found = judge(connection, full=True)
            connection.execute("SELECT count(*) FROM outbox_stream").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found is not None:
        raise ConfigError(f"{path} is not a sound database of this gateway: {found}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
