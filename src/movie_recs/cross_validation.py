"""Cross-validation: every candidate on every fold, several fits at a time, one failure not the end of all."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
import pandas as pd

from movie_recs.errors import UserError
from movie_recs.parameters import Candidate

logger = logging.getLogger(__name__)

TIE = 1e-6  # errors closer than this are equal: the last digits are those of float32 factors

SIMPLER = {  # of equal candidates, which comes first; True for the lowest value
    "rank": True,
    "reg_param": False,
    "max_iter": True,
    "taste_reg": False,
    "movie_damping": False,
    "user_damping": False,
    "prior_reg": False,
}

Trial = Callable[[Candidate, int], dict[str, Any]]
"""Fits a candidate on all folds but one, and gives its errors on that one, with at least `rmse` and `rmse_warm`."""


def cross_validate(candidates: list[Candidate], folds: int, trial: Trial, parallelism: int) -> pd.DataFrame:
    """The error of each candidate, averaged over the folds.

        mean_rmse = sum over folds of rmse / folds,    std_error = sd(rmse over folds) / sqrt(folds)

    A candidate is compared only if all its folds succeeded; else its `mean_rmse` is empty and `error` says why.

    Args:
        candidates: What to compare.
        folds: Number of folds, numbered from 0.
        trial: Fits and measures one candidate on one fold; it runs in threads.
        parallelism: Trials at a time.

    Returns:
        A row a candidate, in their order, as `summarise` gives it.
    """
    trials = [(candidate, fold) for candidate in candidates for fold in range(folds)]
    outcomes: dict[tuple[Candidate, int], dict[str, Any]] = {}
    started = time.perf_counter()
    pool = ThreadPoolExecutor(parallelism, thread_name_prefix="trial")
    try:
        waiting = {pool.submit(_attempt, trial, *each): each for each in trials}
        for done in as_completed(waiting):
            candidate, fold = waiting[done]
            outcomes[candidate, fold] = done.result()
            left = len(trials) - len(outcomes)
            half_done = min(parallelism, left) / 2  # the trials under way
            seconds_left = (time.perf_counter() - started) / (len(outcomes) + half_done) * left
            progress = f"trial {len(outcomes)} of {len(trials)}"
            _report(progress, candidate, fold, outcomes[candidate, fold], seconds_left)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return summarise(candidates, [[outcomes[candidate, fold] for fold in range(folds)] for candidate in candidates])


def summarise(candidates: list[Candidate], outcomes: list[list[dict[str, Any]]]) -> pd.DataFrame:
    """The table cv_results.

    Args:
        candidates: What was tried.
        outcomes: For each candidate, and each fold: rmse, rmse_warm (stars), seconds, error (empty if none).

    Returns:
        A row a candidate: the fields of `Candidate`; mean_rmse, std_error, mean_rmse_warm (stars), seconds (summed),
        error.
    """
    rows = [_summary(*pair) for pair in zip(candidates, outcomes, strict=True)]
    texts, integers = ("model", "error"), ("rank", "max_iter")
    kinds = {name: "Int64" if name in integers else "float64" for name in rows[0] if name not in texts}
    return pd.DataFrame(rows).astype(kinds)


def _summary(candidate: Candidate, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [outcome["error"] for outcome in outcomes if outcome["error"]]
    rmse = np.array([outcome["rmse"] for outcome in outcomes], dtype=float)
    warm = np.array([outcome["rmse_warm"] for outcome in outcomes], dtype=float)
    return {
        **candidate.model_dump(),
        "mean_rmse": None if errors else rmse.mean(),
        "std_error": None if errors else rmse.std(ddof=1) / np.sqrt(len(rmse)),
        "mean_rmse_warm": None if errors else warm.mean(),
        "seconds": sum(outcome["seconds"] for outcome in outcomes),
        "error": "; ".join(errors),
    }


def best_candidate(results: pd.DataFrame, model: str) -> Candidate:
    """The model's candidate with the lowest mean RMSE; of equal ones the simplest.

    Simpler is a lower rank, then more regularisation and damping, then fewer iterations.

    Args:
        results: As `cross_validate` gives them, or as read from a file.
        model: Which rung of the ladder; the others' rows are not looked at.

    Raises:
        UserError: There is none, or none could be fitted on all folds.
    """
    tried = results[results["model"] == model]
    if tried.empty:
        raise UserError(f"There is no candidate of {model} among the results: run the pipeline tuning again.")
    finished = tried.dropna(subset="mean_rmse")
    if finished.empty:
        raise UserError(
            f"None of the {len(tried)} candidates of {model} could be fitted on all folds; "
            f"the first error: {tried['error'].iloc[0]}"
        )
    tied = finished[finished["mean_rmse"] <= finished["mean_rmse"].min() + TIE]
    best = tied.sort_values(list(SIMPLER), ascending=list(SIMPLER.values())).iloc[0]
    return Candidate(**{name: best[name] for name in Candidate.model_fields if pd.notna(best[name])})


def _attempt(trial: Trial, candidate: Candidate, fold: int) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        outcome = trial(candidate, fold)
        if not np.isfinite(outcome["rmse"] if outcome["rmse"] is not None else np.nan):
            raise ArithmeticError(f"its RMSE is {outcome['rmse']}")
    except Exception as error:  # whatever went wrong in this fit, the others go on
        outcome = {"error": f"fold {fold}: {_reason(error)}"}
    return {"rmse": None, "rmse_warm": None, "error": None, **outcome, "seconds": time.perf_counter() - started}


def _reason(error: Exception) -> str:
    """The first line that says something: of an error in the JVM the first only names the call."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("An error occurred while calling")]
    return lines[0].removeprefix(": ") if lines else type(error).__name__


def _report(progress: str, candidate: Candidate, fold: int, outcome: dict[str, Any], seconds_left: float) -> None:
    name = f"{candidate}, fold {fold}"
    if outcome["error"]:
        logger.warning("%s: %s failed and is left out: %s", progress, name, outcome["error"])
        return
    logger.info("%s: %s: RMSE %.4f; about %.0f s left", progress, name, outcome["rmse"], seconds_left)
