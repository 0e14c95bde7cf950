"""Which hyperparameters of the rating model are best, found in two stages on the same folds.

First the baselines. Then ALS on what the best biases and the best taste leave of each rating; the reference, ALS on the
ratings themselves, is one more row.
"""

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.cross_validation import NO_MEMORY, Memory, best_candidate, cross_validate
from movie_recs.engines import choose_engine, measure_data, open_engine
from movie_recs.movie_features import Catalogue
from movie_recs.parameters import AlsParameters, Candidate, TuningParameters
from movie_recs.search_strategies import Listed, Strategy, baseline_strategy, factor_strategy
from movie_recs.trial_log import TrialLog
from movie_recs.trials import Engine


def search(
    train_ratings: DataFrame,
    catalogue: Catalogue,
    tuning: TuningParameters,
    reference: AlsParameters,
    folds: int,
    log: TrialLog | None = None,
) -> pd.DataFrame:
    """A row a candidate of bias, taste, reference_als, bias_als and taste_als, as `cross_validation.summarise` has it.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: The movies, all that are rated among them.
        tuning: What to try, and how.
        reference: Hyperparameters of the reference.
        folds: Number of folds.
        log: Trials that are in it are not run again, and those that end are added to it.
    """
    size = measure_data(train_ratings)
    engine_name = choose_engine(train_ratings, catalogue, tuning, size)
    memory = NO_MEMORY
    if log is not None:
        context = {
            "code": _digest(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))),
            "engine": engine_name,
            "seed": tuning.seed,
            "data": [*size, folds],
            "movies": _digest([catalogue.ids.tobytes(), catalogue.features.tobytes()]),
            "weights": catalogue.weights.model_dump(),
        }
        memory = Memory(partial(log.find, context), partial(log.add, context))
    with open_engine(engine_name, train_ratings, catalogue, tuning) as engine:
        run = partial(_run, engine=engine, folds=folds, memory=memory, halving=tuning.halving)
        baselines = run([baseline_strategy(model, tuning) for model in ("bias", "taste")])
        listed = Listed([Candidate(model="reference_als", **reference.model_dump())])
        best = {model: best_candidate(baselines, model) for model in ("bias", "taste")}
        factors = run([listed, *(factor_strategy(f"{model}_als", base, tuning) for model, base in best.items())])
    return pd.concat([baselines, factors], ignore_index=True)


def _run(strategies: list[Strategy], engine: Engine, folds: int, memory: Memory, halving: bool) -> pd.DataFrame:
    """The results of all that the strategies propose, side by side until none has more to propose."""
    tables: list[list[pd.DataFrame]] = [[] for _ in strategies]
    while any(asked := [strategy.ask() for strategy in strategies]):
        together = [candidate for candidates in asked for candidate in candidates]
        results = cross_validate(together, folds, engine, memory, halving)
        for strategy, candidates, table in zip(strategies, asked, tables, strict=True):
            own, results = results.iloc[: len(candidates)], results.iloc[len(candidates) :]
            strategy.tell(own)
            table.append(own)
    return pd.concat([part for table in tables for part in table], ignore_index=True)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
