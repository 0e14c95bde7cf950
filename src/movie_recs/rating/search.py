"""Searches the best hyperparameters of the rating model, in two stages on the same folds.

First the baselines. Then ALS: on the ratings themselves, with the reference's hyperparameters and with the best ones;
and on the residuals of the best biases and of the best taste. Beside them, Bayesian factorisations, which have their
own biases and tastes. Any of these can win: where users and movies have many ratings, plain ALS can be the best.
"""

import logging
import math
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
from movie_recs.tuning.memory import LOCAL, Choice, DataSize
from movie_recs.tuning.strategies import Listed, Strategy, choose_strategy, run_strategies
from movie_recs.tuning.trial_log import TrialLog, digest, fingerprint, remember

WINNERS = ("bias", "taste", "reference_als", "als", "bias_als", "taste_als", "bayes")

FIRST_REG_PARAMS = [0.2, 0.3]  # the best of ml-latest-small lies between
THERE = DataSize(ratings=100_836, users=610, movies=9_742)

logger = logging.getLogger(__name__)


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


def first_values(tuning: RatingTuningParameters, size: DataSize) -> RatingTuningParameters:
    """The same parameters; a `reg_param` of `auto` becomes the first values for data of this size, logged.

    They are `FIRST_REG_PARAMS` for data as dense as ml-latest-small, and times `reg_factor` for others.
    """
    if tuning.grid.reg_param:
        return tuning
    first = [reg * reg_factor(THERE, size) for reg in FIRST_REG_PARAMS]
    logger.info("The first reg_param of ALS are %s, as users and movies have %.0f ratings", first, density(size))
    return tuning.model_copy(update={"grid": tuning.grid.model_copy(update={"reg_param": first})})


def density(size: DataSize) -> float:
    """Ratings of a user or a movie: the geometric mean of the mean number of each."""
    return size.ratings / math.sqrt(size.users * size.movies)


def reg_factor(known: DataSize, size: DataSize) -> float:
    """By how much the best `reg_param` differs from that of data of a known size, a power of two.

    ALS multiplies it by a user's or a movie's number of ratings, but the pull that is right for noise of one variance
    and factors of another does not grow with that number. So it is inverse to the density.
    """
    return 2.0 ** round(math.log2(density(known) / density(size)))


def for_all_users(best: list[RatingCandidate], part: DataSize, size: DataSize) -> list[RatingCandidate]:
    """The best on a sample of the users, and each with the `reg_param` that follows for the denser data of all users.

    Args:
        best: The finalists; that of the reference, which is fixed, has no other.
        part: Size of the sample.
        size: Size of all data.
    """
    factor = reg_factor(part, size)
    denser = [
        each.model_copy(update={"reg_param": each.reg_param * factor})
        for each in best
        if each.reg_param and each.model != "reference_als"
    ]
    return list(dict.fromkeys([*best, *denser]))


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
