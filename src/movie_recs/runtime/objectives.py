"""What of the pipelines a run has: by its data, and by its parameters; set before Kedro asks for the pipelines."""

from kedro.framework.project import pipelines

_has_ratings = True
_reranks = False


def has_ratings() -> bool:
    """False for events, of which the objective `ranking` alone makes sense."""
    return _has_ratings


def reranks() -> bool:
    """Whether lists have a second stage."""
    return _reranks


def use_ratings(value: bool) -> None:
    """Sets `has_ratings`; pipelines that Kedro has for other data are forgotten."""
    global _has_ratings
    if value != _has_ratings:
        _has_ratings = value
        pipelines.configure("movie_recs.pipeline_registry")


def use_second_stage(value: bool) -> None:
    """Sets `reranks` in the same way."""
    global _reranks
    if value != _reranks:
        _reranks = value
        pipelines.configure("movie_recs.pipeline_registry")
