"""`aisled prove`: what label and till said about a product in a past minute, and whether the journal's chain is whole.

Reads the database of the configuration, also while the gateway runs. How it is found out: `store/proof.py`.
"""

import contextlib
import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import Config, load
from gateway.errors import ConfigError, Refused, StoreError
from gateway.hq.tables import gtin14
from gateway.hq.when import instant
from gateway.store.journal import verify
from gateway.store.proof import Proof
from gateway.store.proof import prove as look_up
from gateway.store.proof_text import text
from gateway.store.schema import connect_reader, snapshot


def prove(config_path: Path, gtin: str, at: str, *, as_json: bool) -> int:
    """Print the proof. Returns 0, or 1 when the chain is broken or the till may have charged too much."""
    config = load(config_path)
    try:
        product = gtin14(gtin)
    except Refused as error:
        raise ConfigError(f"--{error}") from None
    now = datetime.now(UTC)
    proof, broken_at = _read(config, product, instant(at, config.store.zone, now))
    chain = "whole" if broken_at is None else f"BROKEN at row {broken_at}"
    if as_json:
        sys.stdout.write(json.dumps(proof.to_json() | {"chain": chain}, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(f"{text(proof)}\n  journal: the chain is {chain}\n")
    return 1 if broken_at is not None or proof.fair is False else 0


def _read(config: Config, gtin: str, at: datetime) -> tuple[Proof, int | None]:
    database = config.gateway.database
    if not database.exists():
        raise ConfigError(f"{database} is not there; has the gateway ever run with this configuration?")
    try:
        with contextlib.closing(connect_reader(database)) as connection, snapshot(connection):
            return look_up(connection, gtin, at, config.store.timezone), verify(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{database}: {error}") from error
