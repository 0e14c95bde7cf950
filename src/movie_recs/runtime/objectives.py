"""What of the pipelines a run has: by its data, and by its parameters; set before Kedro asks for the pipelines."""

from typing import NamedTuple

from kedro.framework.project import pipelines


class Parts(NamedTuple):
    """What the pipelines have.

    Args:
        has_ratings: False for events, of which the objective `ranking` alone makes sense.
        reranks: Whether lists have a second stage.
    """

    has_ratings: bool = True
    reranks: bool = False


_parts = Parts()


def parts() -> Parts:
    """What the pipelines of this run have."""
    return _parts


def use_parts(value: Parts) -> None:
    """Sets `parts`; pipelines that Kedro has with others are forgotten."""
    global _parts
    if value != _parts:
        _parts = value
        pipelines.configure("movie_recs.pipeline_registry")
