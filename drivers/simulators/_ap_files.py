"""File and database endpoints of the simulated access point: `/edit`, `/check_file`, `/littlefs_put`, backup."""

import hashlib
import json
from collections.abc import Callable

from drivers.simulators._ap_box import Box
from drivers.simulators._ap_record import restored
from drivers.simulators._ap_request import Request, Response

_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain"}
_BYTES = {"Content-Type": "application/octet-stream"}
MAX_FILE_BYTES = 8_000_000


def file_routes(
    box: Box, save: Callable[[], None], wake: Callable[[], None]
) -> dict[tuple[str, str], Callable[[Request], Response]]:
    """Return the routes. `save` writes the database to flash, `wake` lets the content runner look."""

    def backup(_: Request) -> Response:
        save()
        return Response(200, _BYTES, _dump(box))

    def restore(request: Request) -> Response:
        if request.files:
            _load(box, request.files[0].data)
            wake()
        return Response(200)

    return {
        ("GET", "/edit"): lambda request: _edit(box, request),
        ("DELETE", "/edit"): lambda request: _delete(box, request),
        ("GET", "/check_file"): lambda request: _check(box, request),
        ("POST", "/littlefs_put"): lambda request: _put(box, request),
        ("GET", "/backup_db"): backup,
        ("POST", "/restore_db"): restore,
    }


def _dump(box: Box) -> bytes:
    return ("[" + ",".join(record.as_json() for record in box.records.values()) + "]").encode()


def _load(box: Box, data: bytes) -> None:
    """Destroy the database and read another; what cannot be read ends it."""
    box.records.clear()
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return
    for one in told if isinstance(told, list) else []:
        record = restored(one, box.later(60)) if isinstance(one, dict) else None
        if record is None:
            return
        box.records[record.mac] = record


def _edit(box: Box, request: Request) -> Response:
    query = request.query
    if "list" in query:
        return Response(200, _JSON, json.dumps(_listing(box, query["list"])).encode())
    name = "/" + query.get("download", query.get("edit", ""))
    data = box.files.get(name)
    return Response(404) if data is None else Response(200, _BYTES, data)


def _listing(box: Box, folder: str) -> list[dict[str, object]]:
    """One level: folders without a size; a name that is not rooted lists nothing."""
    if not folder.startswith("/"):
        return []
    root = folder.rstrip("/") + "/"
    below = {name[len(root) :]: len(data) for name, data in box.files.items() if name.startswith(root)}
    folders = sorted({name.split("/")[0] for name in below if "/" in name})
    files: list[dict[str, object]]
    files = [{"type": "file", "name": name, "size": size} for name, size in below.items() if "/" not in name]
    told: list[dict[str, object]] = [{"type": "dir", "name": name} for name in folders]
    return told + files


def _delete(box: Box, request: Request) -> Response:
    if "path" not in request.fields:
        return Response(404)
    box.files.pop("/" + request.fields["path"], None)
    return Response(200, _TEXT)


def _check(box: Box, request: Request) -> Response:
    if "path" not in request.query:
        return Response(400)
    data = box.files.get(request.query["path"])
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest() if data is not None else ""
    return Response(200, _JSON, json.dumps({"filesize": len(data or b""), "md5": digest}).encode())


def _put(box: Box, request: Request) -> Response:
    for file in request.files:
        path = file.fields.get("path")
        if path is None or len(file.data) > min(MAX_FILE_BYTES, box.free_bytes()):
            return Response(507, _TEXT, b"Error. Disk full?")
        box.files[path] = file.data
    return Response(200, _TEXT, b"Ok, file written" if request.files else b"")
