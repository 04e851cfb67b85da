"""``python -m set_up.vendor``, for ``make vendor``: fetches the page's one foreign library anew, and checks it.

The files stand in the repository, so that neither a clone nor a running service asks a registry for them. To take
another version, change ``VERSION`` and ``INTEGRITY`` here (``npm view uplot dist.integrity`` prints it). The standard
library and npm alone; ``tests/unit/test_vendored.py`` compares the files with ``vendor.json``, without the network.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from deployments.launcher.console import say
from set_up.steps import SetUpError

PACKAGE, VERSION = "uplot", "1.6.32"
INTEGRITY = "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
MEMBERS = ("package/LICENSE", "package/dist/uPlot.iife.min.js", "package/dist/uPlot.min.css")
FOLDER = Path(__file__).parents[1] / "app/page/vendor"
INDEX = "vendor.json"


def main() -> int:
    """0 when the files are there, as published; 1 after a line that says what failed."""
    try:
        with TemporaryDirectory(prefix="fibonacci-vendor-") as name:
            archive = _fetched(Path(name))
            _check(archive)
            _unpack(archive)
    except (SetUpError, OSError, tarfile.TarError) as error:
        say(f"error: {error}")
        return 1
    say(f"{PACKAGE} {VERSION} is in {FOLDER}")
    return 0


def _fetched(folder: Path) -> Path:
    """The archive as npm's registry, or the mirror of it that npm is set to, has it."""
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts"]
    if subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode:  # noqa: S603 (npm, named by us)
        raise SetUpError(f"npm could not fetch {PACKAGE} {VERSION}")
    (archive,) = folder.glob("*.tgz")
    return archive


def _check(archive: Path) -> None:
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != INTEGRITY:
        raise SetUpError(f"{PACKAGE} {VERSION} is not what it was: {found} instead of {INTEGRITY}; nothing is changed")


def _unpack(archive: Path) -> None:
    """Write the files and, last, what they must be."""
    with tarfile.open(archive) as tar:
        contents = {Path(member).name: _content(tar, member) for member in MEMBERS}
    for name, content in contents.items():
        (FOLDER / name).write_bytes(content)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    index = {"package": PACKAGE, "version": VERSION, "integrity": INTEGRITY, "files": files}
    (FOLDER / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _content(tar: tarfile.TarFile, member: str) -> bytes:
    """Read, never extracted: nothing in an archive decides where it is written."""
    file = tar.extractfile(member) if member in tar.getnames() else None
    if file is None:
        raise SetUpError(f"{PACKAGE} {VERSION} has no file {member}")
    return file.read()


if __name__ == "__main__":
    sys.exit(main())
