"""Trials where a fold's ratings fit in one task's memory: each is one Spark task that runs compiled loops.

All ratings are broadcast once. A Python worker keeps the fold, and the baseline, that it had last, so that the next
trial of the same finds them; trials that differ only in the number of alternations are one fit. Every trial is one
thread's work on the same arrays, so that its outcome does not depend on how many run beside it.
"""

import gc
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property, lru_cache
from itertools import groupby
from typing import NamedTuple
from uuid import uuid4

import numpy as np
from pyspark import AccumulatorParam, Broadcast
from pyspark.sql import DataFrame

from movie_recs.in_memory import (
    Interactions,
    Seen,
    Tastes,
    UserRidges,
    collect_interactions,
    fit_audience,
    fit_factors,
    movie_features,
    select_seen,
)
from movie_recs.movie_features import Catalogue
from movie_recs.parameters import BaselineParameters, Candidate
from movie_recs.schemas import MAX_STARS, MIN_STARS
from movie_recs.trials import Outcome, Trial, attempt, failed

POLL = 0.05  # seconds between looks at what has ended


class TrialData(NamedTuple):
    """What every task has: all ratings and movies, and each fold's audience factors, as `fit_audience` gives them."""

    interactions: Interactions
    catalogue: Catalogue | None
    seed: int
    audience: dict[int, np.ndarray]


class FoldData:
    """The ratings of all folds but one, those of that one, and what was fitted last."""

    def __init__(self, data: TrialData, fold: int):
        self.data, self.fold = data, fold
        held_out = data.interactions.folds == fold
        self.seen: Seen = select_seen(data.interactions, fold)
        self.users, self.movies = data.interactions.users[held_out], data.interactions.movies[held_out]
        self.stars = data.interactions.ratings[held_out].astype(float)
        self.warm = self.seen.rated_users[self.users] & (self.seen.movie_counts[self.movies] > 0)
        self._last: Tastes | None = None

    def measure(self, candidate: Candidate, iterations: list[int | None]) -> Iterator[dict[str, float | None]]:
        """`rmse` and `rmse_warm` after each of these numbers of alternations; one None for a baseline alone."""
        if candidate.als is None:
            yield self._errors(self._baseline(candidate.baseline).scores(self.users, self.movies))
            return
        if candidate.baseline is None:
            base, left = 0.0, self.seen.ratings
        else:
            tastes = self._baseline(candidate.baseline)
            base = tastes.scores(self.users, self.movies)
            left = self.seen.ratings - tastes.scores(self.seen.users, self.seen.movies)
        fits = fit_factors(self.seen, left.astype(np.float32), candidate.als, iterations, self.data.seed)
        for factors in fits:
            yield self._errors(base + self._products(*factors, with_baseline=candidate.baseline is not None))

    def _products(self, users: np.ndarray, items: np.ndarray, with_baseline: bool) -> np.ndarray:
        """What the factors say of the held-out pairs: of those that are unknown nothing, or as `model.score` the mean.

        As in the composed model, where factors follow a baseline, those of an unknown movie or user are zeros.
        """
        vectors = users[self.users].astype(float), items[self.movies].astype(float)
        if not with_baseline:
            are_users, are_rated = self.seen.rated_users, self.seen.movie_counts > 0
            vectors[0][~are_users[self.users]] = users[are_users].mean(axis=0, dtype=float)
            vectors[1][~are_rated[self.movies]] = items[are_rated].mean(axis=0, dtype=float)
        return np.einsum("ij,ij->i", *vectors)

    def _errors(self, scores: np.ndarray) -> dict[str, float | None]:
        squares = (self.stars - np.clip(scores, MIN_STARS, MAX_STARS)) ** 2
        warm = squares[self.warm]
        return {
            "rmse": np.sqrt(squares.mean()) if len(squares) else None,
            "rmse_warm": np.sqrt(warm.mean()) if len(warm) else None,
        }

    def _baseline(self, parameters: BaselineParameters) -> Tastes:
        if self._last is None or self._last.side.problem.parameters != parameters:
            ridges = self._biases if parameters.taste_reg is None else self._tastes
            self._last = ridges.fit(parameters, self.fold)
        return self._last

    @cached_property
    def _biases(self) -> UserRidges:
        return UserRidges(self.seen, np.zeros((len(self.seen.movie_counts), 0)))

    @cached_property
    def _tastes(self) -> UserRidges:
        data = self.data
        return UserRidges(self.seen, movie_features(self.seen, data.catalogue, data.audience.get(self.fold)))


class KernelEngine:
    """Runs trials as Spark tasks.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: The movies, all that are rated among them; None if no candidate has a baseline.
        seed: Of the factors' first values.
    """

    def __init__(self, train_ratings: DataFrame, catalogue: Catalogue | None, seed: int):
        self._context = train_ratings.sparkSession.sparkContext
        interactions = collect_interactions(train_ratings, None if catalogue is None else catalogue.ids)
        self._data = TrialData(interactions, catalogue, seed, {})
        self._shared: Broadcast | None = None

    def __enter__(self) -> "KernelEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self._share(None)

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, as soon as the task that ran it has ended."""
        self._prepare(trials)
        paths = _paths(trials)
        waiting = set(range(len(paths)))
        try:
            for place, outcomes in self._run_job(paths, sorted(waiting)):
                waiting.remove(place)
                yield from zip(paths[place], outcomes, strict=True)
        except Exception as error:  # a worker has died, and Spark's retries with it
            if "cancelled" in str(error):
                raise
            for place in sorted(waiting):
                yield from self._run_alone(paths, place)

    def _run_alone(self, paths: list[list[Trial]], place: int) -> list[tuple[Trial, Outcome]]:
        """One path in a job of its own, so that what kills its worker harms no other."""
        try:
            ((_, outcomes),) = self._run_job(paths, [place])
        except Exception as error:
            outcomes = [failed(error, trial.fold) for trial in paths[place]]
        return list(zip(paths[place], outcomes, strict=True))

    def _run_job(self, paths: list[list[Trial]], places: list[int]) -> Iterator[tuple[int, list[Outcome]]]:
        """The place and the outcomes of each path as it ends: tasks report through an accumulator."""
        shared, ended = self._shared, self._context.accumulator([], _Gather())
        group = f"trials-{uuid4()}"

        def run(numbered: tuple[int, list[Trial]]) -> None:
            place, path = numbered
            ended.add([(place, _run_path(shared, path))])

        def run_all() -> None:
            self._context.setJobGroup(group, "cross-validation", interruptOnCancel=True)
            numbered = [(place, paths[place]) for place in places]
            self._context.parallelize(numbered, len(places)).foreach(run)

        given = 0
        with ThreadPoolExecutor(1) as pool:
            job: Future = pool.submit(run_all)
            try:
                while True:
                    is_over = bool(wait([job], POLL).done)
                    new = ended.value[given:]
                    given += len(new)
                    yield from new
                    if is_over:
                        break
            finally:
                while not job.done():  # again and again: what has not begun yet cannot be cancelled
                    self._context.cancelJobGroup(group)
                    wait([job], POLL)
        job.result()  # raises what Spark has raised

    def _prepare(self, trials: list[Trial]) -> None:
        """Broadcasts the data, with the audience of all folds that need one and have none yet."""
        catalogue, seed = self._data.catalogue, self._data.seed
        tasted = {trial.fold for trial in trials if trial.candidate.taste_reg is not None}
        missing = sorted(tasted - set(self._data.audience)) if catalogue and catalogue.weights.audience else []
        if self._shared is None:
            self._share(self._data)
        if missing:
            shared = self._shared

            def fit(fold: int) -> tuple[int, np.ndarray]:
                return fold, fit_audience(select_seen(shared.value.interactions, fold), seed)

            found = self._context.parallelize(missing, len(missing)).map(fit).collect()
            self._data = self._data._replace(audience={**self._data.audience, **dict(found)})
            self._share(self._data)

    def _share(self, data: TrialData | None) -> None:
        if self._shared is not None:
            self._shared.destroy()
        self._shared = None if data is None else self._context.broadcast(data)


class _Gather(AccumulatorParam):
    """Lists, joined on the driver as tasks end; Spark counts a task that ran twice once."""

    def zero(self, value: list) -> list:  # noqa: ARG002 - PySpark gives one
        return []

    def addInPlace(self, value1: list, value2: list) -> list:  # noqa: N802 - PySpark's name
        value1.extend(value2)
        return value1


def _paths(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Trials that are one fit, by ascending `max_iter`; those of a fold and of a baseline one after the other."""

    def path(trial: Trial) -> tuple:
        candidate = trial.candidate.model_copy(update={"max_iter": None, "model": ""})
        rest = [-1.0 if value is None else value for value in candidate.model_dump(exclude={"model"}).values()]
        return (trial.fold, *rest)

    ordered = sorted(trials, key=lambda trial: (path(trial), trial.candidate.max_iter or 0))
    return [list(same) for _, same in groupby(ordered, path)]


def _run_path(shared: Broadcast, path: list[Trial]) -> list[Outcome]:
    """In a task."""
    _keep_modules()
    fold, candidate = path[0].fold, path[0].candidate
    iterations = [trial.candidate.max_iter for trial in path]
    return attempt(lambda: _fold_data(shared, fold).measure(candidate, iterations), fold, len(path))


@lru_cache
def _keep_modules() -> None:
    """Takes what the worker has imported out of the garbage collection that PySpark does after every task: 40 ms."""
    gc.freeze()


@lru_cache(maxsize=1)
def _fold_data(shared: Broadcast, fold: int) -> FoldData:
    """Built once for a run of trials of the same fold: PySpark has one `Broadcast` for all tasks of a worker."""
    return FoldData(shared.value, fold)
