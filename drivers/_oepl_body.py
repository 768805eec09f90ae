"""Request bodies for an OpenEPaperLink access point, by hand.

Pure. Its web server takes every multipart part that carries a Content-Type for a file, and then silently drops the
request with status 200; HTTP libraries add that header to each part. So text parts carry Content-Disposition only.
"""

import hashlib
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


def form_body(fields: dict[str, str]) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an ordinary form."""
    return {"Content-Type": FORM}, urlencode(fields).encode("ascii")


def upload_body(fields: dict[str, str], jpeg: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of `/imgupload`: the fields in order (`mac` first), then the picture."""
    boundary = _boundary(jpeg)
    parts = [_text_part(boundary, name, value) for name, value in fields.items()]
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="face.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = b"".join([*parts, head.encode("ascii"), jpeg, f"\r\n--{boundary}--\r\n".encode("ascii")])
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def _text_part(boundary: str, name: str, value: str) -> bytes:
    if not (name.isascii() and value.isascii() and name.isidentifier()) or "\r" in value or "\n" in value:
        raise ValueError(f"not a plain form field: {name!r}={value!r}")
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode("ascii")


def _boundary(jpeg: bytes) -> str:
    """Return a boundary that the picture does not hold; from its digest, so that bodies can be compared in tests."""
    boundary = hashlib.sha256(jpeg).hexdigest()[:48]
    while boundary.encode("ascii") in jpeg:
        boundary = hashlib.sha256(boundary.encode("ascii")).hexdigest()[:48]
    return boundary
