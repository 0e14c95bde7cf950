"""The registered pipelines; `kedro run` runs all of them but `refresh`, in the order of their data.

Of events without ratings they leave the objective `rating` out, and without `ranking.rerank` the second stage of lists.
"""

from kedro.pipeline import Pipeline

from movie_recs.pipelines import data_processing, eda, evaluation, recommend, refresh, reporting, tuning
from movie_recs.runtime.objectives import parts


def register_pipelines() -> dict[str, Pipeline]:
    """Pipelines by name."""
    rated, reranked = parts()
    objectives = ("rating", "ranking") if rated else ("ranking",)
    pipelines = {
        "data_processing": data_processing.create_pipeline(),
        "eda": eda.create_pipeline(),
        "tuning": sum((tuning.create_pipeline(each, rated, reranked) for each in objectives), start=Pipeline([])),
        "evaluation": evaluation.create_pipeline(rated, reranked),
        "recommend": recommend.create_pipeline(rated, reranked),
        "reporting": reporting.create_pipeline(rated),
    }
    default = sum(pipelines.values(), start=Pipeline([]))
    return {**pipelines, "refresh": refresh.create_pipeline(rated), "__default__": default}
