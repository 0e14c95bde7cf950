"""Where a data set's tables and models are, as conf/base/catalog*.yml has them (a test holds the two equal)."""

from pathlib import Path
from typing import NamedTuple

from movie_recs.errors import UserError
from movie_recs.saved_models import MARKER, parts

OBJECTIVES = ("ranking", "rating")


class Places(NamedTuple):
    """The files and folders of one data set below `data_dir`, a local folder."""

    data_dir: Path
    dataset: str

    def table(self, name: str) -> Path:
        """The folder of `ratings`, `movies`, `user_ids` or `movie_ids`.

        While a run replaces a table, the earlier one has another name for a moment.
        """
        layer = "02_intermediate" if name.endswith("_ids") else "03_primary"
        folder = self.data_dir / layer / self.dataset / name
        replaced = folder.with_name(f"{name}.replaced")
        return replaced if replaced.exists() and not folder.exists() else folder

    def parts(self, name: str) -> list[Path]:
        """The Parquet files of a table, in order."""
        return parts(self.table(name))

    def model(self, objective: str, name: str = "factor_model") -> Path:
        """The folder of the versions of a model."""
        return self.data_dir / "06_models" / self.dataset / objective / name

    @property
    def data_summary(self) -> Path:
        """What the data set is."""
        return self.data_dir / "03_primary" / self.dataset / "data_summary.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.data_dir / "08_reporting" / self.dataset / "report.html"


def find_places(data_dir: Path, dataset: str | None) -> Places:
    """The places of a data set that has a ranking model.

    Args:
        data_dir: The root of what runs write.
        dataset: Its name; None if there is only one.

    Raises:
        UserError: There is no such model, or there are several data sets.
    """
    markers = data_dir.glob(f"06_models/*/ranking/factor_model/*/factor_model/{MARKER}")
    names = sorted({marker.relative_to(data_dir).parts[1] for marker in markers})
    if dataset is None and len(names) == 1:
        return Places(data_dir, names[0])
    if dataset in names:
        return Places(data_dir, str(dataset))
    there = f"there are models of {', '.join(names)}" if names else "there are no models of any"
    if dataset is None:
        raise UserError(f"Which data set? In {data_dir} {there}: name one by --dataset, or run kedro run first.")
    advice = f"run kedro run --params dataset={dataset}"
    raise UserError(f"There is no complete model of {dataset} in {data_dir} ({there}): {advice}.")
