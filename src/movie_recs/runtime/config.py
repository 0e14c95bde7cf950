"""Kedro's configuration loader, extended by the data set of a run and the place of its raw files."""

from pathlib import Path
from typing import Any

from click import ClickException
from kedro.config import OmegaConfigLoader

from movie_recs.data.movielens import resolve_dataset
from movie_recs.errors import UserError

PROJECT = Path(__file__).parents[3]


class ConfigLoader(OmegaConfigLoader):
    """`OmegaConfigLoader` that gives the catalog `${globals:dataset}`, `raw_dir` and `new_user_ratings`.

    They follow from the parameters `dataset` and `recommend.new_user_ratings`, which may come from any parameters file
    or from the command line; only the loader sees all of these before the catalog is read, with and without hooks.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            person = (self["parameters"].get("recommend") or {}).get("new_user_ratings")
            self["globals"] = {**super().__getitem__("globals"), **self._dataset(), "new_user_ratings": person}
        return super().__getitem__(key)

    def _dataset(self) -> dict[str, str]:
        name, data_dir = str(self["parameters"].get("dataset", "auto")), str(self._globals["data_dir"])
        if "://" in data_dir:
            if name == "auto":
                raise ClickException(f"Which data set in {data_dir}/01_raw? Name it: --params dataset=ml-32m.")
            return {"dataset": name, "raw_dir": f"{data_dir}/01_raw/{name}"}
        shipped = PROJECT / "data" / "01_raw"  # the sample, and what `make data` fetches
        try:
            name, folder = resolve_dataset(name, *dict.fromkeys((PROJECT / data_dir / "01_raw", shipped)))
        except UserError as error:
            raise ClickException(str(error)) from error
        return {"dataset": name, "raw_dir": folder.resolve().as_posix()}
