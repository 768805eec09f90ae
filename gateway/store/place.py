"""Is this directory fit for the database: local, writable, ours alone? Not here: is the file sound (`salvage.py`)."""

import contextlib
import errno
import fcntl
import os
import re
import tempfile
from pathlib import Path

from gateway.errors import ConfigError

# SQLite's log needs shared memory and the kernel's locks: neither is sound across machines (sqlite.org/wal.html).
NETWORK_TYPES = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smbfs",
        "smb2",
        "smb3",
        "9p",
        "afs",
        "ncpfs",
        "glusterfs",
        "ceph",
        "lustre",
        "davfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.davfs2",
        "fuse.smbnetfs",
    ]
)
MOUNTS = Path("/proc/mounts")


def check_place(directory: Path, mounts: Path = MOUNTS) -> None:
    """Make the directory if need be. Raises ConfigError when it is on a network file system or cannot be written."""
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        _refuse_network(directory, mounts)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".aisled-"):
            pass
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return  # full is not unfit: the database may still have room inside
        raise ConfigError(
            f"{directory} cannot be written ({error.strerror}): make it owned by the user that runs the gateway, "
            "or set gateway.data_dir to a directory on a local disk"
        ) from error


def _refuse_network(directory: Path, mounts: Path) -> None:
    try:
        text = mounts.read_text(errors="replace")
    except OSError:
        return  # not Linux, or no /proc: nothing to judge by
    kind = file_system(text, directory.resolve())
    if kind in NETWORK_TYPES:
        raise ConfigError(
            f"{directory} is on a network file system ({kind}), where a database gets damaged: "
            "set gateway.data_dir to a directory on a local disk"
        )


def file_system(mounts_text: str, directory: Path) -> str:
    """Return the type of the mount that holds the directory, from the text of /proc/mounts (proc(5): octal escapes)."""
    best, kind = -1, ""
    for line in mounts_text.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1]))
        if (directory == point or point in directory.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


class Lock:
    """One gateway per database: a file lock that the kernel drops with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def take(self) -> None:
        """Hold it until `release`. Raises ConfigError when another process has it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise ConfigError(
                f"another gateway (process {owner}) uses this database ({self._path}): stop it, or set another data_dir"
            ) from error
        self._handle = handle
        with contextlib.suppress(OSError):  # a full disk: the number is for people only
            os.truncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
