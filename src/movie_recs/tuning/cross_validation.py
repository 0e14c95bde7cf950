"""Cross-validation: every candidate on every fold, whatever runs the trials, one failure not the end of all."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pandas as pd

from movie_recs.errors import UserError
from movie_recs.tuning.candidate import Candidate
from movie_recs.tuning.trial import Outcome, Runner, Trial

logger = logging.getLogger(__name__)

TIE = 1e-6  # measures closer than this are equal: the last digits are those of float32 factors
SECONDS_BETWEEN_REPORTS = 2.0


class Memory(NamedTuple):
    """What is known of trials already, and where to keep what is found: `trial_log.TrialLog` in one context."""

    find: Callable[[Trial], Outcome | None] = lambda trial: None  # noqa: ARG005 - nothing is known
    add: Callable[[Trial, Outcome], None] = lambda trial, outcome: None  # noqa: ARG005


NO_MEMORY = Memory()


def cross_validate(
    candidates: list[Candidate],
    folds: int | list[int],
    runner: Runner,
    memory: Memory = NO_MEMORY,
    halving: bool = False,
) -> pd.DataFrame:
    """The measure of each candidate, averaged over the folds.

        mean = sum over folds of the measure / folds,    std_error = sd(measure over folds) / sqrt(folds)

    A candidate is compared only if all its folds succeeded; else its mean is empty and `error` says why.

    Args:
        candidates: What to compare, all of one objective.
        folds: Number of folds, numbered from 0; or which of them are held out in turn.
        runner: What runs the trials.
        memory: Trials that are known are not run.
        halving: After the first fold, and again after the second, only the better half of each model's candidates
            goes on (successive halving; Jamieson & Talwalkar 2016). All have been measured on the same rows, so that
            they are compared fairly; the winner has been measured on all folds.

    Returns:
        A row a candidate, in their order, as `summarise` gives it.
    """
    outcomes: dict[Candidate, list[Outcome]] = {candidate: [] for candidate in candidates}
    numbers = list(range(folds)) if isinstance(folds, int) else folds
    rounds = [numbers[:1], numbers[1:2], numbers[2:]] if halving and len(numbers) > 2 else [numbers]
    going_on = list(outcomes)
    for number, some_folds in enumerate(rounds):
        if number:
            going_on = _better_half(going_on, outcomes)
        found = _run([Trial(candidate, fold) for candidate in going_on for fold in some_folds], runner, memory)
        for candidate in going_on:
            outcomes[candidate] += [found[Trial(candidate, fold)] for fold in some_folds]
    for candidate in outcomes.keys() - set(going_on):
        if not any(outcome.error for outcome in outcomes[candidate]):
            measured = len(outcomes[candidate])
            stopped = f"not among the better half after {measured} of {len(numbers)} folds"
            outcomes[candidate].append(Outcome({}, 0.0, stopped))
    return summarise(candidates, [outcomes[candidate] for candidate in candidates])


def _run(trials: list[Trial], runner: Runner, memory: Memory) -> dict[Trial, Outcome]:
    known = {trial: memory.find(trial) for trial in trials}
    outcomes = {trial: outcome for trial, outcome in known.items() if outcome}
    models = ", ".join(dict.fromkeys(trial.candidate.model for trial in trials))
    known_trials = f"; {len(outcomes)} known from an earlier run" if outcomes else ""
    logger.info("%d trials of %s%s", len(trials), models, known_trials)
    waiting = [trial for trial, outcome in known.items() if not outcome]
    if not waiting:
        return outcomes
    progress = _Progress(trials, outcomes)
    with closing(runner.run(waiting)) as running:
        for trial, outcome in running:
            memory.add(trial, outcome)
            progress.add(trial, outcome)
    return outcomes


class _Progress:
    """Says from time to time how far the trials are."""

    def __init__(self, trials: list[Trial], outcomes: dict[Trial, Outcome]):
        self._trials, self._outcomes = trials, outcomes
        self._started = self._reported = time.perf_counter()
        self._first: tuple[float, int] | None = None  # before it, workers start and code is loaded

    def add(self, trial: Trial, outcome: Outcome) -> None:
        self._outcomes[trial] = outcome
        done, total = len(self._outcomes), len(self._trials)
        if outcome.error:
            logger.warning("%s failed and is left out: %s", trial.candidate, outcome.error)
        now = time.perf_counter()
        if self._first is None:
            self._first = now, done
            self._reported = now - SECONDS_BETWEEN_REPORTS / 2  # there is no rate yet
        if done < total and now - self._reported < SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        loss, best = self._best()
        name, value = best.MEASURE.name.upper(), best.MEASURE.loss(loss)
        is_measured = math.isfinite(loss)
        if done == total:
            best_of_all = f"; best {name} {value:.4f} by {best.model}" if is_measured else ""
            logger.info("%d of %d done in %.1f s%s", done, total, now - self._started, best_of_all)
        else:
            since, before = self._first
            seconds = (now - since) / max(done - before, 1) * (total - done)
            time_left = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
            best_so_far = f"; best {name} so far {value:.4f}" if is_measured else ""
            logger.info("%d of %d done, about %s left%s", done, total, time_left, best_so_far)

    def _best(self) -> tuple[float, Candidate]:
        """The lowest mean loss, infinite where trials are still to be done, and whose it is."""
        losses: dict[Candidate, list[float]] = {}
        for trial in self._trials:
            losses.setdefault(trial.candidate, []).append(_loss(trial.candidate, self._outcomes.get(trial)))
        loss, _, best = min((sum(each) / len(each), str(candidate), candidate) for candidate, each in losses.items())
        return loss, best


def _loss(candidate: Candidate, outcome: Outcome | None) -> float:
    """What came of a trial, less being better; infinite if nothing did."""
    measure = candidate.MEASURE
    value = outcome and outcome.measures.get(measure.name)
    return math.inf if value is None else measure.loss(value)


def _better_half(candidates: list[Candidate], outcomes: dict[Candidate, list[Outcome]]) -> list[Candidate]:
    """Of each model the half with the lowest mean loss so far, in their order; none that has failed."""
    kept = set()
    for model in {candidate.model for candidate in candidates}:
        rivals = [candidate for candidate in candidates if candidate.model == model]
        sound = [candidate for candidate in rivals if not any(outcome.error for outcome in outcomes[candidate])]
        sound.sort(key=lambda candidate: sum(_loss(candidate, outcome) for outcome in outcomes[candidate]))
        kept.update(sound[: math.ceil(len(rivals) / 2)])
    return [candidate for candidate in candidates if candidate in kept]


def summarise(candidates: list[Candidate], outcomes: list[list[Outcome]]) -> pd.DataFrame:
    """The table cv_results.

    Args:
        candidates: What was tried, all of one objective.
        outcomes: For each candidate, those of its folds.

    Returns:
        A row a candidate: the fields of the candidates; the mean of their measure, std_error, the means of the other
        measures; seconds (summed), error. With one fold the standard error is the trial's own, if it has one.
    """
    rows = [_summary(*pair) for pair in zip(candidates, outcomes, strict=True)]
    texts, integers = ("model", "error"), ("rank", "max_iter")
    kinds = {name: "Int64" if name in integers else "float64" for name in rows[0] if name not in texts}
    return pd.DataFrame(rows).astype(kinds)


def _summary(candidate: Candidate, outcomes: list[Outcome]) -> dict[str, str | float | None]:
    errors = [outcome.error for outcome in outcomes if outcome.error]
    measure = candidate.MEASURE
    values = {
        name: np.array([outcome.measures.get(name) for outcome in outcomes], dtype=float)
        for name in (measure.name, f"{measure.name}_se", *measure.others)
    }
    deciding = values[measure.name]
    spread = deciding.std(ddof=1) / np.sqrt(len(deciding)) if len(deciding) > 1 else values[f"{measure.name}_se"][0]
    return {
        **candidate.model_dump(),
        measure.mean: None if errors else deciding.mean(),
        "std_error": None if errors else spread,
        **{f"mean_{name}": None if errors else values[name].mean() for name in measure.others},
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "error": "; ".join(errors),
    }


def best_candidate(results: pd.DataFrame, kind: type[Candidate], *models: str) -> Candidate:
    """The candidate of these models with the best mean; of equal ones the simplest, as `kind.SIMPLER` has it.

    Args:
        results: As `cross_validate` gives them, or as read from a file.
        kind: The objective's candidates.
        models: Which kinds of model to choose from; the others' rows are not looked at.

    Raises:
        UserError: There is none, or none could be fitted on all folds.
    """
    names = " or ".join(models)
    tried = results[results["model"].isin(models)]
    if tried.empty:
        raise UserError(f"There is no candidate of {names} among the results: run the pipeline tuning again.")
    finished = tried.dropna(subset=kind.MEASURE.mean)
    if finished.empty:
        raise UserError(
            f"None of the {len(tried)} candidates of {names} could be fitted on all folds; "
            f"the first error: {tried['error'].iloc[0]}"
        )
    losses = kind.MEASURE.loss(finished[kind.MEASURE.mean])
    tied = finished[losses <= losses.min() + TIE]
    # What a candidate does not have makes it simpler than any value would.
    best = tied.sort_values(list(kind.SIMPLER), ascending=list(kind.SIMPLER.values()), na_position="first").iloc[0]
    return kind.from_row(best)
