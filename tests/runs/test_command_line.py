"""Errors on the command line: one sentence, exit code 1, and nothing else."""

import pytest
from runs.project import kedro


@pytest.mark.parametrize(
    ("parameters", "sentences"),
    [
        (
            "rating.tuning.grid.rank=-3,split.folds=1,recomend.top_n=3",
            [
                "rating.tuning.grid.rank is -3 but should be greater than or equal to 1",
                "split.folds is 1 but should be greater than or equal to 2",
                "recomend is no parameter (there are dataset,",
            ],
        ),
        ("dataset=ml-32m", ["run `make data DATASET=ml-32m` or set MOVIELENS_DIR"]),
    ],
)
def test_a_wrong_parameter_stops_the_run_with_a_sentence(tmp_path, parameters, sentences):
    run = kedro(tmp_path, "run", "--params", parameters)
    assert run.returncode == 1
    for sentence in sentences:
        assert sentence in run.stderr
    assert run.stderr.startswith("Error: ")
    assert run.stdout == ""


def test_recommend_without_a_model_names_what_is_missing_and_what_to_run(tmp_path):
    run = kedro(tmp_path, "run", "--pipeline=recommend", "--params", "dataset=sample")
    assert run.returncode == 1
    assert run.stderr.startswith("Error: ")
    assert "ranking.factor_model" in run.stderr
    assert "rating.factor_model" in run.stderr
    assert "run `kedro run` first" in run.stderr
    assert run.stdout == ""


def test_a_pipeline_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    run = kedro(tmp_path, "run", "--pipeline=recomend", "--params", "dataset=sample")
    assert run.returncode == 1
    assert run.stderr == (
        "Error: No pipeline is called recomend, perhaps recommend: there are data_processing, eda, tuning, evaluation, "
        "recommend, reporting, refresh.\n"
    )
    assert run.stdout == ""
