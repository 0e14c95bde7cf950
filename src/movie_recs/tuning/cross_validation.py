"""Cross-validation: every candidate on every fold, on either carrier; a failed trial does not stop the rest."""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Generic, NamedTuple

import numpy as np
import pandas as pd

from movie_recs.errors import UserError
from movie_recs.tuning.candidate import Candidate, Kind
from movie_recs.tuning.trial import Outcome, Runner, Trial

logger = logging.getLogger(__name__)

TIE = 1e-6  # measures closer than this are equal: the last digits are those of float32 factors
SECONDS_BETWEEN_REPORTS = 2.0


class Memory(NamedTuple):
    """Finds finished trials and stores new ones: a `trial_log.TrialLog` in one context."""

    find: Callable[[Trial], Outcome | None] = lambda trial: None  # noqa: ARG005 - finds nothing
    add: Callable[[Trial, Outcome], None] = lambda trial, outcome: None  # noqa: ARG005 - stores nothing


NO_MEMORY = Memory()


def cross_validate(
    candidates: list[Kind],
    folds: int | list[int],
    runner: Runner[Kind],
    memory: Memory = NO_MEMORY,
    halving: bool = False,
    rivals: dict[Kind, Kind] | None = None,
    earlier: dict[Kind, list[Outcome]] | None = None,
) -> pd.DataFrame:
    """The measure of each candidate, averaged over the folds.

        mean = sum over folds of the measure / folds,    std_error = sd(measure over folds) / sqrt(folds)

    A candidate is compared only if all its folds succeeded; otherwise its mean is empty, and `error` has the reason.

    Args:
        candidates: Candidates of one objective.
        folds: Number of folds, numbered from 0, or the numbers of those that are held out in turn.
        runner: Runs the trials.
        memory: Finished trials, which are not run again.
        halving: After the first fold, and again after the second, only the better half of each model's candidates
            goes on (successive halving; Jamieson & Talwalkar 2016). Candidates are compared on the same folds, and the
            winner has been measured on all.
        rivals: Some candidates' rivals among `earlier`. Such a candidate goes on after the first fold only if it is
            better than its rival there.
        earlier: The outcomes of earlier candidates by fold; those of these candidates are added.

    Returns:
        One row per candidate, in their order, as `summarise` returns them.
    """
    rivals = rivals or {}
    outcomes: dict[Kind, list[Outcome]] = {**(earlier or {}), **{candidate: [] for candidate in candidates}}
    numbers = list(range(folds)) if isinstance(folds, int) else folds
    halving = halving and len(numbers) > 2
    rounds = [numbers[:1], numbers[1:2], numbers[2:]] if halving else [numbers[:1], numbers[1:]]
    going_on, stopped = list(dict.fromkeys(candidates)), dict.fromkeys(candidates, "")
    if len(numbers) == 1 or not (halving or rivals):
        rounds = [numbers]
    for number, some_folds in enumerate(rounds):
        if number == 1 and rivals:
            lost = {each for each in going_on if each in rivals and not _wins(each, rivals[each], outcomes)}
            stopped |= dict.fromkeys(lost, "not better on the first fold than the best before it")
            going_on = [each for each in going_on if each not in lost]
        if number and halving:
            better = _better_half(going_on, outcomes)
            worse = f"not among the better half after {number} of {len(numbers)} folds"
            stopped |= dict.fromkeys(set(going_on) - set(better), worse)
            going_on = better
        if not going_on:
            break
        found = _run([Trial(candidate, fold) for candidate in going_on for fold in some_folds], runner, memory)
        for candidate in going_on:
            outcomes[candidate] += [found[Trial(candidate, fold)] for fold in some_folds]
    if earlier is not None:
        earlier |= {candidate: outcomes[candidate] for candidate in stopped}
    tables = [
        [*outcomes[each], Outcome({}, 0.0, stopped[each])]
        if stopped[each] and not any(outcome.error for outcome in outcomes[each])
        else outcomes[each]
        for each in candidates
    ]
    return summarise(candidates, tables)


def _run(trials: list[Trial[Kind]], runner: Runner[Kind], memory: Memory) -> dict[Trial[Kind], Outcome]:
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


class _Progress(Generic[Kind]):
    """Logs the progress of the trials, every few seconds."""

    def __init__(self, trials: list[Trial[Kind]], outcomes: dict[Trial[Kind], Outcome]):
        self._trials, self._outcomes = trials, outcomes
        self._started = self._reported = time.perf_counter()
        paths = Counter(trial.path for trial in trials)
        self._costs = {trial: 1 + trial.candidate.fit_cost / paths[trial.path] for trial in trials}
        self._first: tuple[float, float] | None = None  # time and cost done; before, workers start and load code

    def add(self, trial: Trial[Kind], outcome: Outcome) -> None:
        self._outcomes[trial] = outcome
        done, total = len(self._outcomes), len(self._trials)
        if outcome.error:
            logger.warning("%s failed and is left out: %s", trial.candidate, outcome.error)
        now, cost = time.perf_counter(), sum(self._costs[each] for each in self._outcomes)
        if self._first is None:
            self._first = now, cost
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
            seconds = (now - since) / max(cost - before, 1) * (sum(self._costs.values()) - cost)
            time_left = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
            best_so_far = f"; best {name} so far {value:.4f}" if is_measured else ""
            logger.info("%d of %d done, about %s left%s", done, total, time_left, best_so_far)

    def _best(self) -> tuple[float, Kind]:
        """The lowest mean loss, infinite for a candidate with trials still to run, and its candidate."""
        losses: dict[Kind, list[float]] = {}
        for trial in self._trials:
            losses.setdefault(trial.candidate, []).append(_loss(trial.candidate, self._outcomes.get(trial)))
        loss, _, best = min((sum(each) / len(each), str(candidate), candidate) for candidate, each in losses.items())
        return loss, best


def _loss(candidate: Candidate, outcome: Outcome | None) -> float:
    """The loss of a trial; infinite if it failed or has not run."""
    measure = candidate.MEASURE
    value = outcome and outcome.measures.get(measure.name)
    return math.inf if value is None else measure.loss(value)


def _wins(candidate: Kind, rival: Kind, outcomes: dict[Kind, list[Outcome]]) -> bool:
    """Whether its loss on the first fold is lower than its rival's."""
    return _loss(candidate, outcomes[candidate][0]) < _loss(rival, outcomes[rival][0])


def _better_half(candidates: list[Kind], outcomes: dict[Kind, list[Outcome]]) -> list[Kind]:
    """For each model the half with the lowest mean loss so far, in their order, without failed candidates."""
    kept = set()
    for model in {candidate.model for candidate in candidates}:
        rivals = [candidate for candidate in candidates if candidate.model == model]
        sound = [candidate for candidate in rivals if not any(outcome.error for outcome in outcomes[candidate])]
        sound.sort(key=lambda candidate: sum(_loss(candidate, outcome) for outcome in outcomes[candidate]))
        kept.update(sound[: math.ceil(len(rivals) / 2)])
    return [candidate for candidate in candidates if candidate in kept]


def summarise(candidates: Sequence[Candidate], outcomes: list[list[Outcome]]) -> pd.DataFrame:
    """The table cv_results.

    Args:
        candidates: Candidates of one objective.
        outcomes: For each candidate, the outcomes of its folds.

    Returns:
        One row per candidate: the fields of the candidates; the mean of their measure, std_error, the means of the
        other measures; seconds (summed), error. With one fold the standard error is the trial's own, if it has one.
    """
    rows = [_summary(*pair) for pair in zip(candidates, outcomes, strict=True)]
    texts, integers = ("model", "error"), ("rank", "max_iter", "ease_rank")
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


def is_finished(results: pd.DataFrame) -> pd.Series:
    """Which candidates have no error, and no other reason why they cannot win."""
    return results["error"].fillna("") == ""


def best_candidate(results: pd.DataFrame, kind: type[Kind], *models: str) -> Kind:
    """The candidate of these models with the best mean; of tied ones the simplest by `kind.SIMPLER`.

    A candidate with an error, or with another reason why it cannot win, is left out.

    Args:
        results: Results of `cross_validate`, or the same as read from a file.
        kind: The class of the objective's candidates.
        models: The models to choose from; rows of others are ignored.

    Raises:
        UserError: There is none, or none could be fitted on all folds.
    """
    names = " or ".join(models)
    tried = results[results["model"].isin(models)]
    if tried.empty:
        raise UserError(f"There is no candidate of {names} among the results: run the pipeline tuning again.")
    finished = tried[tried[kind.MEASURE.mean].notna() & is_finished(tried)]
    if finished.empty:
        raise UserError(
            f"None of the {len(tried)} candidates of {names} could be fitted on all folds; "
            f"the first error: {tried['error'].iloc[0]}"
        )
    losses = kind.MEASURE.loss(finished[kind.MEASURE.mean])
    tied = finished[losses <= losses.min() + TIE]
    return min((kind.from_row(row) for _, row in tied.iterrows()), key=lambda candidate: candidate.complexity)
