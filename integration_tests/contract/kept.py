"""Parts of earlier releases, because a clone need not have the history.

An archive is made of a release's tree: of ``handlers``, and of the neighbour also the Terraform files and the zips that
``scripts/build_handlers.py`` of that release builds without the authorizer. Compressed by xz, zips take next to no room
beside the handlers, which they repeat.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tarfile
import tempfile
from pathlib import Path

NEIGHBOUR = "0.2.0"
"""The release that must be deployed before this one: it reads rows and tasks of ``roomcast.v1``."""


@functools.cache
def unpacked(release: str) -> Path:
    """Return the folder with what is kept of a release.

    That is its handlers with their fakes, and of the neighbour the configuration and its zips as well, all without the
    authorizer.

    Args:
        release: Its version, as an archive in ``releases/`` is named.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"roomcast-{release}-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (archive,) = Path(__file__).with_name("releases").glob(f"{release}.tar.*")
    with tarfile.open(archive) as files:
        files.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2, Debian 12's, has none
        files.extractall(folder)  # noqa: S202 - made by this project
    return folder
