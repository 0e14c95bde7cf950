"""Kedro's configuration loader, extended by the data set of a run and the place of its raw files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from click import ClickException
from kedro.config import OmegaConfigLoader
from pydantic import ValidationError

from movie_recs.data.movielens import resolve_dataset
from movie_recs.data.sources.description import SourceDescription
from movie_recs.data.sources.layouts import find_test_file, resolve
from movie_recs.errors import UserError
from movie_recs.project import PROJECT
from movie_recs.runtime.java import LOG4J
from movie_recs.runtime.long_lists import LongLists
from movie_recs.scratch import scratch_folder
from movie_recs.tuning.memory import MIB, machine_memory

LARGE = 128 * MIB  # of ratings.csv: five million ratings
LONG = 16 * MIB  # of ratings.csv: runs of minutes
FOR_SHORT_RUNS = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
    "-XX:InitialRAMPercentage=5 -XX:MetaspaceSize=256m"  # else a full collection at each step by which they grow
)


class ConfigLoader(OmegaConfigLoader):
    """`OmegaConfigLoader` that gives the catalog `${globals:dataset}`, `raw_dir`, `source` and what else it needs.

    To conf/*/spark.yml it gives `${globals:driver_memory}` and `java_options`, by the size of the data set's ratings.
    They follow from parameters (`dataset`, `source`, `split`, `keep_versions`, `recommend.new_user_ratings`,
    `refresh.ratings`), and only
    the loader sees those of all files and of the command line before the catalog is read, with and without hooks.
    """

    _found: dict[str, str] | None = None  # the warning that a data set is synthetic is given once

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fs: Any = LongLists(self._fs)

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "parameters" and key not in self:
            self[key] = self._fs.put_back(super().__getitem__(key))  # read once, as reading may take seconds
        if key in ("catalog", "spark", "mlflow"):  # all at once, as Kedro keeps the globals that it resolves first
            person = (self["parameters"].get("recommend") or {}).get("new_user_ratings")
            ratings_bytes = self._ratings_bytes()
            sizes = {"ratings_bytes": ratings_bytes, **java_sizes(ratings_bytes, machine_memory())}
            found = self._found or (self._dataset() if key == "catalog" else {})
            named = {"source": self._described(), "given_test": self._given_test(), "new_user_ratings": person}
            # Without those of `recommend`, which change no model: OmegaConf takes a minute for 10,000 new users.
            lasting = {name: value for name, value in self["parameters"].items() if name != "recommend"}
            named["changed_parameters"] = changed(lasting, self._defaults())
            named["refresh_ratings"] = (self["parameters"].get("refresh") or {}).get("ratings")
            named["keep_versions"] = self["parameters"].get("keep_versions")
            self["globals"] = {**super().__getitem__("globals"), **found, **sizes, **named}
        return super().__getitem__(key)

    def spark_conf_dir(self) -> Path:
        """The folder of log4j2.properties; a copy where the configuration is an archive or remote."""
        base = self._get_conf_env_path(self.base_env)
        if self._protocol == "file":
            return Path(base)
        folder = scratch_folder() / "spark-conf"
        folder.mkdir(exist_ok=True)
        if self._fs.exists(f"{base}/{LOG4J}"):
            (folder / LOG4J).write_bytes(self._fs.cat_file(f"{base}/{LOG4J}"))
        return folder

    def logging(self) -> dict[str, Any] | None:
        """logging.yml beside the environments, or None; Kedro itself looks for it in the working folder alone."""
        path = str(Path(self._get_conf_env_path(self.base_env)).with_name("logging.yml"))
        return yaml.safe_load(self._fs.cat_file(path)) if self._fs.exists(path) else None

    def _defaults(self) -> dict[str, Any]:
        """The parameters of the base environment."""
        files = sorted(self._fs.glob(f"{self._get_conf_env_path(self.base_env)}/parameters*.yml"))
        blocks = (yaml.safe_load(self._fs.cat_file(file)) or {} for file in files)
        return {name: value for block in blocks for name, value in block.items()}

    def _described(self) -> dict[str, Any]:
        return self["parameters"].get("source") or {}

    def _source(self) -> SourceDescription:
        """The parameter `source`; `check_parameters` says what is wrong with it."""
        try:
            return SourceDescription.model_validate(self._described())
        except ValidationError:
            return SourceDescription()

    def _given_test(self) -> str | None:
        """The file of the data set's own test set."""
        split = self["parameters"].get("split") or {}
        if split.get("strategy") != "given":
            return None
        folder, given = Path(self._dataset()["raw_dir"]), split.get("given")
        try:
            return find_test_file(folder, None if given is None else str(given))
        except UserError as error:
            raise ClickException(str(error)) from error

    def _ratings_bytes(self) -> int:
        """The size of the ratings, a file or Spark's folder of parts; 0 where it is not known before Spark starts."""
        try:
            folder = Path(self._dataset()["raw_dir"])
            table = resolve(self._source(), [path.name for path in folder.iterdir()]).description.table("ratings")
            if table is None or table.file is None:
                return 0
            path = folder / table.file
            return sum(part.stat().st_size for part in (path.iterdir() if path.is_dir() else [path]))
        except (ClickException, UserError, OSError):
            return 0

    def _dataset(self) -> dict[str, str]:
        if self._found is None:
            self._found = self._find_dataset()
        return self._found

    def _find_dataset(self) -> dict[str, str]:
        name, data_dir = str(self["parameters"].get("dataset", "auto")), str(self._globals["data_dir"])
        if "://" in data_dir:
            if name == "auto":
                raise ClickException(f"Which data set in {data_dir}/01_raw? Name it: --params dataset=ml-32m.")
            return {"dataset": name, "raw_dir": f"{data_dir}/01_raw/{name}"}
        shipped = PROJECT / "data" / "01_raw"  # the sample, and what `make data` fetches
        try:
            roots = dict.fromkeys((PROJECT / data_dir / "01_raw", shipped))
            name, folder = resolve_dataset(name, *roots, source=self._source())
        except UserError as error:
            raise ClickException(str(error)) from error
        return {"dataset": name, "raw_dir": folder.resolve().as_posix()}


def changed(parameters: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The parameters that differ from the defaults, by their names with dots, in the order of the defaults."""
    found: dict[str, Any] = {}
    for name in [*(name for name in defaults if name in parameters), *sorted(parameters.keys() - defaults.keys())]:
        value, default = parameters[name], defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            found.update(changed(value, default, f"{prefix}{name}."))
        elif value != default or name not in defaults:
            found[f"{prefix}{name}"] = value
    return found


def java_sizes(ratings_bytes: int, machine: int) -> dict[str, str]:
    """`driver_memory` and `java_options` of Spark inside this process.

    Memory: 4 GB, and eight times what the file has beyond five million ratings, but at most half of the machine's.
    Options: the JVM's second compiler, and a parallel collector of garbage, pay off in runs of more than a few minutes.

    Args:
        ratings_bytes: Size of ratings.csv; a million ratings take about 25 MB.
        machine: The machine's memory in bytes.
    """
    wanted = 4096 + max(0, ratings_bytes - LARGE) * 8 // MIB
    return {
        "driver_memory": f"{max(min(wanted, machine // (2 * MIB)), 1024)}m",
        "java_options": FOR_SHORT_RUNS if ratings_bytes < LONG else "",
    }
