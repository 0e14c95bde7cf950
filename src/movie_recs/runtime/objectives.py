"""Which objectives the data of a run allow; set before Kedro asks for the pipelines."""

from kedro.framework.project import pipelines

_has_ratings = True


def has_ratings() -> bool:
    """False for events, of which the objective `ranking` alone makes sense."""
    return _has_ratings


def use_ratings(value: bool) -> None:
    """Sets `has_ratings`; pipelines that Kedro has for other data are forgotten."""
    global _has_ratings
    if value != _has_ratings:
        _has_ratings = value
        pipelines.configure("movie_recs.pipeline_registry")
