"""Where a secret's file is. A `..._file` field names a file; its content is read late, by who needs it.

In this order: the environment variable `AISLED_<TABLE>_<FIELD>` (`AISLED_HQ_PASSWORD_FILE`, or the device id for a
device), an absolute path, a name in systemd's `${CREDENTIALS_DIRECTORY}`, a path beside the configuration file.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

SUFFIX = "_file"
PUBLIC = (
    "ca_file",
    "cert_file",
    "certificate_file",
    "client_ca_file",
)  # certificates are no secrets: everybody may read them


def find_secrets(table_name: str, table: Mapping[str, Any], fields: Iterable[str], beside: Path) -> dict[str, Any]:
    """Return the table with each `..._file` value made a full path; `fields` are those that the table may have.

    Values that are no text are left to the check.
    """
    found = {**table, **_from_environment(table_name, fields)}
    for field, value in found.items():
        if field.endswith(SUFFIX) and isinstance(value, str) and value:
            found[field] = str(_locate(value, beside))
    return found


def secret_warnings(where: str, table: BaseModel) -> list[str]:
    """Say which secret files other users of this machine may read, or which are not there."""
    files = [
        (field, Path(value))
        for field in type(table).model_fields
        if field.endswith(SUFFIX) and (value := getattr(table, field)) is not None
    ]
    return [f"{where} {field}: {warning}" for field, path in files for warning in _warnings(field, path)]


def _from_environment(table_name: str, fields: Iterable[str]) -> dict[str, str]:
    prefix = f"AISLED_{table_name}_".replace("-", "_")
    named = {field: os.environ.get((prefix + field).upper()) for field in fields if field.endswith(SUFFIX)}
    return {field: value for field, value in named.items() if value}


def _locate(value: str, beside: Path) -> Path:
    path = Path(value).expanduser()
    if path.is_absolute():
        return path
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / path).exists():
        return Path(credentials) / path
    return (beside / path).resolve()


def _warnings(field: str, path: Path) -> Iterator[str]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        yield f"{path}: {error.strerror}"
        return
    if field not in PUBLIC and mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield f"{path} has mode {mode:04o}, others can read it; run: chmod 600 {path}"
