"""`aisled backup` and `aisled restore`: the words around `store/backup.py`, which says what makes them safe."""

import sys
from pathlib import Path

from gateway.config import load
from gateway.errors import ConfigError
from gateway.store import backup as copies


def backup(config_path: Path, target: Path) -> int:
    """Copy the running database; never over a file that is there."""
    if target.exists():
        raise ConfigError(f"{target} is there already; name a new file")
    database = load(config_path).gateway.database
    copies.backup(database, target)
    sys.stdout.write(f"{target}: a checked copy of {database}, {target.stat().st_size} bytes\n")
    return 0


def restore(config_path: Path, source: Path, *, force: bool) -> int:
    """Put a backup in the database's place."""
    database = load(config_path).gateway.database
    aside = copies.restore(source, database, force=force)
    kept = f"; the one before is {aside}" if aside else ""
    sys.stdout.write(f"{database}: restored from {source}{kept}\n")
    return 0
