"""The registered pipelines; `kedro run` runs all of them, in the order of their data."""

from kedro.pipeline import Pipeline

from movie_recs.pipelines import data_processing, eda, evaluation, recommend, reporting, tuning


def register_pipelines() -> dict[str, Pipeline]:
    """Pipelines by name."""
    pipelines = {
        "data_processing": data_processing.create_pipeline(),
        "eda": eda.create_pipeline(),
        "tuning": tuning.create_pipeline("rating") + tuning.create_pipeline("ranking"),
        "evaluation": evaluation.create_pipeline(),
        "recommend": recommend.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    return {**pipelines, "__default__": sum(pipelines.values(), start=Pipeline([]))}
