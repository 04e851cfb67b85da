"""On which file system a folder is. SQLite's locks and its WAL are not safe on one that is shared over a network."""

import re
from fnmatch import fnmatch
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
"""Its format: proc_pid_mountinfo(5)."""

NETWORK = (
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fakeowner", "fuse", "fuse.*", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs[0-9]", "orangefs", "prl_fs", "smb*", "vboxsf", "virtiofs", "vmhgfs",
)  # fmt: skip
"""Types of file systems, as patterns. A folder of the host, bound into a container on a desktop, is one of them."""


def network_file_system(path: Path, mountinfo: str) -> str | None:
    """The type of the network file system that ``path`` is on; None if it is on none, as far as ``mountinfo`` tells.

    The path need not exist yet.
    """
    path = path.resolve()
    longest, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount = re.sub(r"\\(\d{3})", lambda escaped: chr(int(escaped[1], 8)), before.split(" ")[4])
        if path.is_relative_to(mount) and len(mount) >= longest:  # of two at one place, the later hides the other
            longest, kind = len(mount), after.split(" ")[0]
    return kind if any(fnmatch(kind, pattern) for pattern in NETWORK) else None
