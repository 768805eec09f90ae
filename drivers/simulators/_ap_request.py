"""What the access point's small web server makes of a request: query, form fields, and multipart with its trap.

Pure, and total: any bytes give some `Request`. The trap: a multipart part with a Content-Type header is a file, never a
field, so a client that labels its text fields `text/plain` sends no field at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote_plus

MAX_FIELDS = 200
MAX_PARTS = 200


@dataclass(frozen=True)
class FilePart:
    """A file, and the fields that had been read when its first byte came: later ones are not seen by its handler."""

    name: str
    filename: str
    data: bytes
    fields: dict[str, str]


@dataclass(frozen=True)
class Request:
    """One request, read as the access point reads it. `fields` are those of the body, `query` those of the address."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    files: tuple[FilePart, ...] = ()
    body: bytes = b""


Fate = Literal["answered", "lost", "refused"]


@dataclass(frozen=True)
class Response:
    """The answer. `fate`: `lost` = the request was carried out, the answer never arrives; `refused` = no connection."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fate: Fate = "answered"
    delay_s: float = 0.0


def read_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Take a request apart."""
    path, _, query = target.partition("?")
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    fields: dict[str, str] = {}
    files: tuple[FilePart, ...] = ()
    lowered = content_type.lower()
    if lowered.startswith("multipart/form-data"):
        fields, files = _multipart(body, _boundary(content_type))
    elif lowered.startswith("application/x-www-form-urlencoded"):
        fields = _pairs(body.decode("utf-8", "replace"))
    return Request(method.upper(), unquote_plus(path), _pairs(query), fields, files, body)


def _pairs(text: str) -> dict[str, str]:
    """Of several fields of one name the first counts."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        return {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _boundary(content_type: str) -> bytes:
    _, found, boundary = content_type.partition("boundary=")
    return boundary.split(";")[0].strip().strip('"').encode("utf-8", "replace") if found else b""


def _multipart(body: bytes, boundary: bytes) -> tuple[dict[str, str], tuple[FilePart, ...]]:
    fields: dict[str, str] = {}
    files: list[FilePart] = []
    if not boundary:
        return fields, ()
    chunks = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS)
    for chunk in chunks[1:]:
        if chunk.startswith(b"--"):
            break
        head, separator, data = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not separator:
            continue
        told = _headers(head)
        name, filename = _disposition(told.get("content-disposition", ""))
        if "content-type" in told:
            files.append(FilePart(name, filename, data, dict(fields)))
        else:
            fields.setdefault(name, data.decode("utf-8", "replace"))
    return fields, tuple(files)


def _headers(head: bytes) -> dict[str, str]:
    lines = (line.decode("utf-8", "replace").partition(":") for line in head.split(b"\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _disposition(text: str) -> tuple[str, str]:
    told = dict(piece.strip().partition("=")[::2] for piece in text.split(";")[1:])
    return told.get("name", "").strip('"'), told.get("filename", "").strip('"')
