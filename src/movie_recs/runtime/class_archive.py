"""Spark's Java classes, parsed once and for all: an archive that Java maps into memory (AppCDS, JEP 350).

    python -m movie_recs.runtime.class_archive

makes it, in a minute, in the Python environment (about 200 MB). Every later run with Spark inside the process starts
with it. Without it, or with another Java or Spark than it was made by, which Java sees itself, a run only takes longer.
Its own run of a part of the pipelines on the sample compiles Numba's loops too, whose machine code is kept as well.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from movie_recs.errors import UserError
from movie_recs.runtime.java import find_java

FOLDER = Path(sys.prefix) / "share" / "movie_recs"
BASE, ARCHIVE = FOLDER / "java.jsa", FOLDER / "spark.jsa"  # Java's own classes, where it brings no archive; Spark's
QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # about an archive that does not fit
NODES = ",".join(
    (
        *("rating.evaluation.fit_reference", "eda.summarise", "eda.rank_movies", "eda.rank_tags"),  # most classes
        "ranking.tuning.cross_validate_candidates",  # all loops
    )
)


def archive_options() -> str:
    """Java's options for the archive; none where there is no archive, or where one is being made."""
    if not ARCHIVE.exists() or "ArchiveClassesAtExit" in os.environ.get("SPARK_SUBMIT_OPTS", ""):
        return ""
    return f"{_share(BASE, ARCHIVE)} {QUIET}"


def make_archive() -> None:
    """Runs a part of the pipelines on the sample, and keeps the classes that Java has loaded.

    Raises:
        UserError: The run failed, or Java has not written the archive.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    java = str(find_java().home / "bin" / "java")
    for old in (BASE, ARCHIVE):
        old.unlink(missing_ok=True)
    if subprocess.run([java, "-Xshare:on", "-version"], capture_output=True, check=False).returncode:
        subprocess.run([java, "-Xshare:dump", f"-XX:SharedArchiveFile={BASE}"], capture_output=True, check=False)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        written = Path(folder) / ARCHIVE.name
        options = f"{_share(BASE)} -XX:ArchiveClassesAtExit={written}"
        environment = {**os.environ, "MOVIE_RECS_DATA_DIR": folder, "SPARK_SUBMIT_OPTS": options}
        command = [sys.executable, "-m", "kedro", "run", "--params=dataset=sample", f"--to-nodes={NODES}"]
        # Java, which writes when the run has ended, holds the output open until it ends itself.
        run = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if run.returncode or not written.exists():
            raise UserError(f"No archive of Java's classes could be made:\n{run.stdout}")
        written.replace(ARCHIVE)


def _share(*archives: Path) -> str:
    """The option that names those of the archives that exist."""
    existing = os.pathsep.join(str(path) for path in archives if path.exists())
    return f"-XX:SharedArchiveFile={shlex.quote(existing)}" if existing else ""


if __name__ == "__main__":
    try:
        make_archive()
    except UserError as error:
        sys.exit(f"Error: {error}")
