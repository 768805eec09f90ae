"""Where a database may live: local, writable, ours alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.store.place import Lock, check_place, file_system

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
server:/export /srv nfs4 rw 0 0
/dev/vdb /srv/local\040disk xfs rw 0 0
//server/share /mnt/share cifs rw 0 0
user@host:/x /mnt/ssh fuse.sshfs rw 0 0
host /mnt/nine 9p rw 0 0
nonsense
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/lib/aisled", "ext4"), ("/srv/aisled", "nfs4"), ("/srv/local disk/aisled", "xfs"), ("/srvx", "ext4"),
        ("/mnt/share", "cifs"), ("/mnt/ssh/a/b", "fuse.sshfs"), ("/mnt/nine/a", "9p"),
    ],
)  # fmt: skip
def test_the_mount_that_holds_a_directory(directory: str, kind: str) -> None:
    assert file_system(MOUNTS, Path(directory)) == kind


def test_a_later_mount_over_the_same_point_counts() -> None:
    assert file_system("/dev/a /x ext4 rw 0 0\nserver:/x /x nfs rw 0 0\n", Path("/x/y")) == "nfs"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused_with_what_to_do(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nx {tmp_path.resolve()} {kind} rw 0 0\n")
    with pytest.raises(ConfigError, match="data_dir to a directory on a local disk"):
        check_place(tmp_path, mounts)


def test_a_directory_is_made_and_no_trace_of_the_check_stays(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "deep")
    assert list((tmp_path / "new" / "deep").iterdir()) == []


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        check_place(tmp_path / "file" / "data")


def test_a_directory_that_another_user_owns_is_refused(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from gateway.errors import ConfigError; "
        "from gateway.store.place import check_place\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"  # root may write everywhere
        "try: check_place(Path(sys.argv[1]))\nexcept ConfigError as error: print(error)"
    )
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for parent in locked.parents[:3]:
        if os.getuid() == parent.stat().st_uid and parent != Path("/tmp"):
            parent.chmod(0o755)
    command = [sys.executable, "-c", code, str(locked)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written (Permission denied): make it owned by the user" in answer.stdout


def test_the_lock_names_its_owner_and_ends_with_it(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take()
    with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
        second.take()
    first.release()
    second.take()
    second.release()
