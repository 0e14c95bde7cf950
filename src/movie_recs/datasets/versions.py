"""Removes old versions of what the catalog versions, `<name>/<version>/<name>`; a complete one has a marker."""

import logging
import re
from pathlib import PurePosixPath

from fsspec import AbstractFileSystem

logger = logging.getLogger(__name__)

VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")  # the time when Kedro's session began


def remove_old_versions(
    filesystem: AbstractFileSystem, folder: PurePosixPath, marker: str, keep: int, needed: set[str]
) -> None:
    """Removes complete versions but the newest, and what runs that died have left before the newest complete one.

    Folders with other names stay. A version loses its marker first, so that a removal which is cut short leaves no
    version that looks complete.

    Args:
        filesystem: Where the versions are. On any other than the local one, where runs do not exclude each other, an
            incomplete version may be one that is being written, and stays.
        folder: The folder of the versions.
        marker: The name of the file that only a complete version has.
        keep: How many complete versions stay.
        needed: Versions that stay in any case.
    """
    names = [path.rstrip("/").rsplit("/", 1)[-1] for path in filesystem.ls(str(folder), detail=False)]
    versions = sorted((name for name in names if VERSION.fullmatch(name)), reverse=True)
    complete = [each for each in versions if filesystem.exists(f"{folder}/{each}/{folder.name}/{marker}")]
    remnants = [each for each in versions if complete and each < complete[0] and each not in complete]
    is_local = "file" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,))
    for version in {*complete[keep:], *(remnants if is_local else ())} - needed:
        try:
            if version in complete:
                filesystem.rm(f"{folder}/{version}/{folder.name}/{marker}")
            filesystem.rm(f"{folder}/{version}", recursive=True)
        except OSError as error:  # the new version is saved
            logger.warning("An old version, %s/%s, cannot be removed: %s", folder, version, error)
