"""Folders that a save replaces only by whole ones: the new one is written beside the old one, and then moved."""

from fsspec import AbstractFileSystem


def beside(path: str) -> tuple[str, str]:
    """Where a new folder is written, and where the old one is while the new one is moved to its place."""
    return f"{path}.staged", f"{path}.replaced"


def move_whole(filesystem: AbstractFileSystem, staged: str, path: str) -> None:
    """Moves a complete folder to its place. A process that dies in between leaves the old one there, or beside it."""
    replaced = beside(path)[1]
    if filesystem.exists(path):
        remove(filesystem, replaced)
        filesystem.mv(path, replaced, recursive=True)
    filesystem.mv(staged, path, recursive=True)
    remove(filesystem, replaced)


def remove(filesystem: AbstractFileSystem, path: str) -> None:
    """Removes a folder, if it is there."""
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)
