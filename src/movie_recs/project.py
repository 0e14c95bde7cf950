"""The folder of the project: where its data are, unless MOVIE_RECS_DATA_DIR says otherwise."""

from pathlib import Path

_CLONE = Path(__file__).parents[2]

IS_CLONE = (_CLONE / "pyproject.toml").is_file()  # False of an installed package
PROJECT = _CLONE if IS_CLONE else Path.cwd()
