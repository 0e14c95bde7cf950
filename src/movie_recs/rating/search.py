"""Searches the best hyperparameters of the rating model, in two stages on the same folds.

First the baselines. Then ALS: on the ratings themselves, with the reference's hyperparameters and with the best ones;
and on the residuals of the best biases and of the best taste. Beside them, Bayesian factorisations, which have their
own biases and tastes. Any of these can win: where users and movies have many ratings, plain ALS can be the best.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.als.parameters import AlsParameters, Grid
from movie_recs.data.blocks import open_blocks
from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue
from movie_recs.rating.parameters import BaselineGrid, BaselineParameters, RatingTuningParameters
from movie_recs.rating.trial import RatingTrialData
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import LOCAL, Choice
from movie_recs.tuning.strategies import Listed, Strategy, choose_strategy, run_strategies
from movie_recs.tuning.trial_log import TrialLog, digest, fingerprint, remember

WINNERS = ("bias", "taste", "reference_als", "als", "bias_als", "taste_als", "bayes")


def search(
    train_ratings: DataFrame,
    catalogue: Catalogue,
    tuning: RatingTuningParameters,
    reference: AlsParameters,
    folds: int | list[int],
    choice: Choice = LOCAL,
    log: TrialLog | None = None,
    scale: Scale = HALF_STARS,
) -> pd.DataFrame:
    """One row per candidate of each of `WINNERS`, `bayes` where it has a grid; columns of `summarise`.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: All movies, every rated one among them.
        tuning: The candidates, and how they are searched.
        reference: Hyperparameters of the reference.
        folds: Number of folds, or the numbers of those that are held out in turn.
        choice: The carrier, and how many trials run at a time.
        log: Finished trials, which are not run again; new ones are added.
        scale: The scale of the ratings.
    """
    with _trials(train_ratings, catalogue, tuning, folds, choice, log, scale) as run:
        baselines = run([baseline_strategy(model, tuning) for model in ("bias", "taste")])
        listed = Listed([RatingCandidate(model="reference_als", **reference.model_dump())])
        best = {model: best_candidate(baselines, RatingCandidate, model) for model in ("bias", "taste")}
        following = [factor_strategy(f"{model}_als", base, tuning) for model, base in best.items()]
        factors = run([listed, factor_strategy("als", None, tuning), *following, *bayes_strategies(tuning)])
    return pd.concat([baselines, factors], ignore_index=True)


def compare(
    train_ratings: DataFrame,
    catalogue: Catalogue,
    candidates: list[RatingCandidate],
    tuning: RatingTuningParameters,
    folds: int | list[int],
    choice: Choice = LOCAL,
    log: TrialLog | None = None,
    scale: Scale = HALF_STARS,
) -> pd.DataFrame:
    """One row per candidate; the other arguments are those of `search`."""
    with _trials(train_ratings, catalogue, tuning, folds, choice, log, scale) as run:
        return run([Listed(candidates)])


@contextmanager
def _trials(
    train_ratings: DataFrame,
    catalogue: Catalogue,
    tuning: RatingTuningParameters,
    folds: int | list[int],
    choice: Choice,
    log: TrialLog | None,
    scale: Scale,
) -> Iterator[Callable[[list[Strategy[RatingCandidate]]], pd.DataFrame]]:
    """A function that runs strategies on these ratings."""
    context = {
        "seed": tuning.seed,
        "data": [fingerprint(train_ratings), folds, *scale],
        "movies": digest([catalogue.ids.tobytes(), catalogue.features.tobytes()]),
        "weights": catalogue.weights.model_dump(),
    }
    blocks = open_blocks(choice.carrier, train_ratings, catalogue.ids)
    try:
        data = RatingTrialData(blocks, catalogue, tuning.seed, {}, scale)
        runner = TrialRunner(train_ratings.sparkSession, data, *choice)
        yield partial(run_strategies, runner=runner, folds=folds, memory=remember(log, context), halving=tuning.halving)
    finally:
        blocks.close()


def baseline_strategy(model: str, tuning: RatingTuningParameters) -> Strategy[RatingCandidate]:
    """Candidates of `bias` or `taste`."""
    grid = tuning.baseline_grid
    names = list(BaselineGrid.model_fields)[: 2 if model == "bias" else None]
    combinations = grid.bias_candidates() if model == "bias" else grid.taste_candidates()
    listed = [RatingCandidate(model=model, **parameters.model_dump()) for parameters in combinations]
    return choose_strategy(listed, {name: getattr(grid, name) for name in names}, tuning)


def factor_strategy(
    model: str, base: RatingCandidate | None, tuning: RatingTuningParameters
) -> Strategy[RatingCandidate]:
    """Candidates of `als`, or of `bias_als` or `taste_als`: factors on the residuals of this baseline."""
    fixed = {} if base is None else base.model_dump(include=set(BaselineParameters.model_fields))
    listed = [RatingCandidate(model=model, **fixed, **als.model_dump()) for als in tuning.grid.candidates()]
    return choose_strategy(listed, {name: getattr(tuning.grid, name) for name in Grid.model_fields}, tuning)


def bayes_strategies(tuning: RatingTuningParameters) -> list[Strategy[RatingCandidate]]:
    """The listed candidates of `bayes`, none beyond: its posterior makes no use of factors that it does not need."""
    if tuning.bayes is None:
        return []
    return [Listed([RatingCandidate(model="bayes", **each.model_dump()) for each in tuning.bayes.candidates()])]
