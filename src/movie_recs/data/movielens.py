"""Where the raw data comes from: a folder on disk, or one of GroupLens' MovieLens archives.

Only `download` uses the network; it installs the whole data set or nothing.
"""

import argparse
import hashlib
import http.client
import logging
import os
import re
import stat
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

import rich.progress
from rich.console import Console

from movie_recs.data.sources.description import SourceDescription
from movie_recs.data.sources.layouts import REQUIRED, describe_layouts
from movie_recs.errors import UserError
from movie_recs.project import IS_CLONE

logger = logging.getLogger(__name__)

DEFAULT = "ml-latest-small"
SAMPLE = "sample"

_FILES = describe_layouts()
_MAX_BYTES = 8 * 1024**3  # several times the largest archive, unpacked
# Errors of the network and the disk, and of zipfile on a damaged file.
_IO_ERRORS = (OSError, http.client.HTTPException)
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
_TERMS = (
    "MovieLens is for research: no commercial use without GroupLens' permission, no claim of their endorsement.\n"
    "{sharing}\n"
    "Publications must cite {citation}"
)
_CITATION = "Harper & Konstan (2015), The MovieLens Datasets: History and Context, https://doi.org/10.1145/2827872."
_SHARING = {
    True: "You may redistribute it, also transformed, under these same terms.",
    False: "You may not redistribute it without GroupLens' separate permission.",
}


@dataclass(frozen=True)
class Archive:
    """The zip of a data set.

    Attributes:
        url: Where GroupLens publishes it.
        size: Bytes, or None if GroupLens may still change it.
        sha256: Hexadecimal, or None likewise.
        folder: The one folder that it unpacks to; by default it is named as the data set.
        readme: The file in that folder with the terms of use.
        redistributable: Whether those terms allow redistribution.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    folder: str | None = None
    readme: str = "README.txt"
    redistributable: bool = False


_SIZE_AND_SHA256 = {
    "ml-latest-small": (978_202, "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"),
    "ml-100k": (4_924_029, "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
    "ml-1m": (5_917_549, "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
    "ml-10m": (65_566_137, "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862"),
    "ml-20m": (198_702_078, "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"),
    "ml-25m": (261_978_986, "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa"),
    "ml-32m": (238_950_008, "e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee"),
    "ml-latest": (None, None),  # GroupLens replaces it from time to time
}
_README = {"ml-100k": "README", "ml-1m": "README", "ml-10m": "README.html"}
_REDISTRIBUTABLE = {"ml-latest-small", "ml-32m", "ml-latest"}
ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        name: Archive(
            f"https://files.grouplens.org/datasets/movielens/{name}.zip",
            size,
            sha256,
            folder="ml-10M100K" if name == "ml-10m" else None,
            readme=_README.get(name, "README.txt"),
            redistributable=name in _REDISTRIBUTABLE,
        )
        for name, (size, sha256) in _SIZE_AND_SHA256.items()
    }
)


class Dataset(NamedTuple):
    """A data set on disk."""

    name: str
    folder: Path


def find_dataset(name: str, *raw_dirs: Path) -> Path | None:
    """The folder that holds the data set: `$MOVIELENS_DIR/<name>`, else the first `raw_dir/<name>`, else None.

    Raises:
        UserError: `name` is not a plain folder name, or MOVIELENS_DIR is not a folder.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"{name!r} is not a valid data set name: use only letters, digits, '.', '_' and '-'.")
    folders = (root / name for root in _roots(raw_dirs))
    return next((folder for folder in folders if _is_dataset(folder)), None)


def resolve_dataset(name: str, *raw_dirs: Path, source: SourceDescription | None = None) -> Dataset:
    """The data set to read; "auto" is ml-latest-small if it is on disk, else the synthetic sample.

    Args:
        name: A folder's name, or auto.
        raw_dirs: Folders of data sets, after MOVIELENS_DIR.
        source: What the data set's files are; None for a release of MovieLens.

    Raises:
        UserError: The data set is not on disk.
    """
    if source is not None and source.format != "movielens":
        return _find_own(name, source, _roots(raw_dirs))
    candidates = (DEFAULT, SAMPLE) if name == "auto" else (name,)
    for candidate in candidates:
        if folder := find_dataset(candidate, *raw_dirs):
            if name == "auto" and candidate == SAMPLE:
                message = "%s is not on disk, so the data is SYNTHETIC (%s): for real ratings, %s."
                logger.warning(message, DEFAULT, folder, _how_to_get(DEFAULT))
            return Dataset(candidate, folder)
    wanted, roots = candidates[0], _roots(raw_dirs)
    ratings = (path for root in roots for (file, *_) in REQUIRED.values() for path in root.glob(f"*/{file}"))
    found = sorted({path.parent.name for path in ratings if _is_dataset(path.parent)})
    raise UserError(
        f"The data set {wanted!r} is not in {' or '.join(map(str, roots))}, as a folder with"
        f" {_FILES} (found there: {', '.join(found) or 'none'}): {_how_to_get(wanted)}."
    )


def describe_terms(name: str, synthetic: bool) -> str:
    """The licence of a data set in one line."""
    if synthetic:
        return "Apache-2.0, as the generator's code"
    if name not in ARCHIVES:
        return "that of its owner, which this project does not know"
    sharing = _SHARING[ARCHIVES[name].redistributable]
    return f"GroupLens' terms: research, no commercial use without permission. {sharing} Cite {_CITATION}"


def download(
    name: str,
    raw_dir: Path,
    zip_path: Path | None = None,
    archives: Mapping[str, Archive] = ARCHIVES,
    timeout: float = 30.0,
) -> Path:
    """The folder of the data set, which is downloaded and unpacked to `raw_dir/<name>` unless it is on disk.

    Args:
        name: A key of `archives`.
        raw_dir: Folder of raw data sets.
        zip_path: An archive that was downloaded by other means; it goes through the same checks.
        archives: The zip of each data set.
        timeout: Seconds to wait for the connection, and then for each next piece of data.

    Raises:
        UserError: The archive cannot be downloaded or fails a check; nothing is left in `raw_dir`.
    """
    if folder := find_dataset(name, raw_dir):
        print(f"{name} is already on disk: {folder}")
        return folder
    if name not in archives:
        raise UserError(f"{name!r} cannot be downloaded, only {', '.join(archives)} can.")
    archive, target = archives[name], raw_dir / name
    if os.path.lexists(target):
        raise UserError(f"{target} lacks {_FILES}: move it away and try again.")
    try:
        raw_dir.mkdir(parents=True, exist_ok=True)
        # Inside raw_dir, so on the same file system: the last step is a single rename.
        with tempfile.TemporaryDirectory(dir=raw_dir, prefix=f".{name}-") as scratch:
            local_zip = zip_path or _fetch(archive, Path(scratch, "archive.zip"), timeout)
            _verify(local_zip, archive)
            _unpack(local_zip, archive.folder or name, Path(scratch)).rename(target)
    except (*_IO_ERRORS, *_ZIP_ERRORS) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        cause = error.reason if type(error) is urllib.error.URLError else error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise UserError(
            f"{name} could not be installed from {zip_path or archive.url} ({reason}), and nothing was kept:"
            f" try again, or download {archive.url} elsewhere and unpack it to {target}, or pass the zip to"
            f" `python -m movie_recs.data.movielens {name} --archive FILE`,"
            f" or set MOVIELENS_DIR to the folder that holds {name}/."
        ) from error
    return target


def main(argv: Sequence[str] | None = None, archives: Mapping[str, Archive] = ARCHIVES) -> int:
    """The exit code: 0 if the data set is on disk now, 1 if it is not, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="python -m movie_recs.data.movielens", description="Download MovieLens.")
    parser.add_argument("name", nargs="?", default=DEFAULT, help=f"{', '.join(archives)}; default: {DEFAULT}")
    parser.add_argument("--raw-dir", type=Path, default=Path("data/01_raw"), help="default: %(default)s")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="unpack this zip instead of downloading")
    args = parser.parse_args(argv)
    try:
        folder = download(args.name, args.raw_dir, args.archive, archives)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing was kept.", file=sys.stderr)
        return 130
    if archive := archives.get(args.name):
        print(f"{args.name} is in {folder}, its terms of use in {folder / archive.readme}")
        print(_TERMS.format(sharing=_SHARING[archive.redistributable], citation=_CITATION))
    return 0


def _find_own(name: str, source: SourceDescription, roots: Sequence[Path]) -> Dataset:
    """The folder of one's own data set; it need not be there if its tables come from catalog entries of one's own."""
    if name == "auto":
        raise UserError("Which data set does source describe? Name its folder: dataset: mine.")
    file = None if source.ratings is None else source.ratings.file
    folders = [root / name for root in roots]
    found = next((folder for folder in folders if file is None or os.path.exists(folder / file)), None)  # noqa: PTH110
    if found is None:
        there = sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir()})
        raise UserError(
            f"source.ratings.file is {file!r}, which is not in {' or '.join(map(str, folders))} "
            f"(found: {', '.join(there) or 'none'})."
        )
    return Dataset(name, found)


def _roots(raw_dirs: Sequence[Path]) -> list[Path]:
    configured = os.environ.get("MOVIELENS_DIR")
    if not configured:
        return list(raw_dirs)
    root = Path(configured).expanduser().absolute()
    if not root.is_dir():
        raise UserError(f"MOVIELENS_DIR is {configured!r}, which is not a folder: correct it or unset it.")
    return [root, *raw_dirs]


def _is_dataset(folder: Path) -> bool:
    # Not is_file: Spark writes a folder ratings.csv. Not Path.exists: it raises where access is denied.
    return any(all(os.path.exists(folder / file) for file in files) for files in REQUIRED.values())  # noqa: PTH110


def _how_to_get(name: str) -> str:
    archive = name if name in ARCHIVES else f"<{'|'.join(ARCHIVES)}>"
    command = f"make data DATASET={archive}" if IS_CLONE else f"python -m movie_recs.data.movielens {archive}"
    return f"run `{command}` or set MOVIELENS_DIR to the folder that holds {name}/"


class _HttpsOnly(urllib.request.BaseHandler):
    """Refuses every request and redirect that is not https, before any other handler sees it."""

    def default_open(self, request: urllib.request.Request) -> None:
        if request.type != "https":
            raise urllib.error.URLError(f"{request.full_url} is not https")


def _fetch(archive: Archive, destination: Path, timeout: float) -> Path:
    print(f"Downloading {archive.url}")
    request = urllib.request.Request(archive.url, headers={"User-Agent": "movie_recs (Python urllib)"})  # noqa: S310
    console = Console(stderr=True)
    received = 0
    with (
        urllib.request.build_opener(_HttpsOnly).open(request, timeout=timeout) as response,
        destination.open("wb") as file,
    ):
        expected = response.length or archive.size or 0
        with rich.progress.wrap_file(
            response, expected, description="", console=console, disable=not console.is_terminal
        ) as body:
            while chunk := body.read(64 * 1024):
                received += file.write(chunk)
                if received > (archive.size or _MAX_BYTES):
                    raise zipfile.BadZipFile("it is larger than expected")
    if received < expected:
        raise zipfile.BadZipFile(f"the connection broke after {received:,} of {expected:,} bytes")
    return destination


def _verify(zip_path: Path, archive: Archive) -> None:
    size = zip_path.stat().st_size
    if archive.size not in (None, size):
        raise zipfile.BadZipFile(f"it has {size:,} bytes instead of {archive.size:,}")
    with zip_path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if archive.sha256 not in (None, sha256):
        raise zipfile.BadZipFile(f"its SHA-256 is {sha256} instead of {archive.sha256}")


def _unpack(zip_path: Path, folder: str, parent: Path) -> Path:
    """`parent/<folder>`, the zip's one folder; nothing is written unless all members are safe."""
    with zipfile.ZipFile(zip_path) as file:
        members = file.infolist()
        for member in members:
            parts = PurePosixPath(member.filename).parts
            if parts[:1] != (folder,) or ".." in parts or re.search(r"[\\:]", member.filename):
                raise zipfile.BadZipFile(f"its member {member.filename!r} is not in {folder}/")
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise zipfile.BadZipFile(f"its member {member.filename!r} is neither a file nor a folder")
        # Checking the declared sizes is enough: zipfile never unpacks more.
        if sum(member.file_size for member in members) > _MAX_BYTES:
            raise zipfile.BadZipFile(f"it would unpack to more than {_MAX_BYTES:,} bytes")
        file.extractall(parent)
    if not _is_dataset(parent / folder):
        raise zipfile.BadZipFile(f"it lacks {_FILES}")
    return parent / folder


if __name__ == "__main__":
    sys.exit(main())
