"""The fit of the second stage: candidates of models that have not seen a fold, by what their users rated in it."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from movie_recs.data.block_types import add_up
from movie_recs.data.interactions import Interactions, is_in_sample, take, take_users
from movie_recs.data.movie_filters import MovieFacts
from movie_recs.data.scale import EVENTS, Scale
from movie_recs.errors import UserError
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import ItemSide
from movie_recs.model.search import search
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import ease_features
from movie_recs.ranking.fit import RankingParts, compose_items, fit_sequential
from movie_recs.ranking.metrics import gains_of
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.rerank.features import FirstStage, Known, describe_candidates
from movie_recs.ranking.rerank.lambdamart import ABOVE, FIRST_WEIGHT, Reranker, fit_trees
from movie_recs.ranking.rerank.lists import CANDIDATES, find_candidates
from movie_recs.ranking.trial import RankingTrialData

BELOW_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
HALF_STARS = [2 ** (label / 2) - 1 for label in range(11)]  # the graded gain of 0 to 5 stars

logger = logging.getLogger(__name__)


class Examples(NamedTuple):
    """Lists to learn from.

    Args:
        features: Columns (n,) float32 by their names, list after list.
        labels: (n,) int8, see `labels_of`.
        lengths: (lists,), the number of candidates of each.
    """

    features: dict[str, np.ndarray]
    labels: np.ndarray
    lengths: np.ndarray


class Aim(NamedTuple):
    """Whose candidates are examples, about this share of the users, and what their held-out ratings are worth."""

    relevance: str
    scale: Scale
    share: float
    seed: int


def fit_reranker(
    data: RankingTrialData,
    candidate: RankingCandidate,
    best_params: dict[str, Any],
    parameters: RankingParameters,
    folds: Iterable[int],
    facts: MovieFacts,
) -> Reranker:
    """The second stage for this candidate's lists; each fold is held out once.

    Args:
        data: The train ratings with their folds, the rows of known features, and each fold's rating model.
        candidate: Hyperparameters of the first stage.
        best_params: The same, as they are saved.
        parameters: The aim, the limit, the seed, and how many users are a sample.
        folds: Numbers of the held-out folds.
        facts: The movies of the data, by ascending id; their number of ratings is counted in each fold's fit.

    Raises:
        UserError: There is nothing to learn from.
    """
    tuning, scale = parameters.tuning, parameters.preference.scale
    aim = Aim(tuning.relevance, scale, tuning.most_measured / max(len(data.blocks.user_ids), 1), tuning.seed)
    found: list[Examples] = []
    for fold in folds:
        stage = _first_stage(data, candidate, parameters, fold, facts)
        items = prepare_items(
            stage.ranking.items.ids, stage.ranking.items.bias[:-1], stage.ranking.items.features[:-1], DOT
        )
        found += data.blocks.collect(partial(_examples, stage, items, fold, aim))
    found = [each for each in found if len(each.labels)]
    if not found:
        raise UserError("No held-out rating is among the best movies of its user: set ranking.rerank=false.")
    examples = _concatenate(found)
    gains = HALF_STARS if _is_graded(aim) else [0.0, 1.0]
    trees = fit_trees(examples.features, examples.labels, examples.lengths, gains, tuning.seed)
    reranker = Reranker(trees, 0.0, FIRST_WEIGHT, best_params)
    if tuning.relevance == "all" or ABOVE not in examples.features:
        return reranker
    return _within_limit(reranker, examples, tuning.most_below_mean, parameters.evaluation.k)


def labels_of(ratings: np.ndarray, relevance: str, scale: Scale) -> np.ndarray:
    """(n,) int8: the label of each held-out rating: half stars where their number counts, else 1 for a hit and 0.

    Args:
        ratings: (n,).
        relevance: As of `metrics.gains_of`.
        scale: The scale of the ratings.
    """
    if relevance == "graded" and scale != EVENTS:
        return np.rint(2 * scale.in_stars(ratings.astype(float))).astype(np.int8)
    return gains_of(ratings, relevance, scale).astype(np.int8)


def _is_graded(aim: Aim) -> bool:
    return aim.relevance == "graded" and aim.scale != EVENTS


def _first_stage(
    data: RankingTrialData, candidate: RankingCandidate, parameters: RankingParameters, fold: int, facts: MovieFacts
) -> FirstStage:
    """The candidate's model of the ratings outside the fold, and how many those are by movie."""
    ids = data.blocks.movie_ids
    counts, sums = add_up(data.blocks.collect(partial(_count, fold)))
    has_stars = parameters.preference.scale != EVENTS
    known = Known.of(ids, facts._replace(rated=counts), sums if has_stars else None)
    ranking = _item_side(data, candidate, parameters, fold)
    return FirstStage(ranking, data.stars.get(fold), known, parameters.preference.scale.star)


def _item_side(
    data: RankingTrialData, candidate: RankingCandidate, parameters: RankingParameters, fold: int
) -> ItemSide:
    opened, ids, stars = data.open(fold), data.blocks.movie_ids, data.stars.get(fold)
    nothing = np.zeros((len(ids), 0), np.float32)
    als_items = nothing if candidate.als is None else opened.fit_als(candidate.als)
    ease_items = nothing
    if candidate.ease_reg is not None:
        spectrum = opened.decompose(candidate.ease_rank)
        ease_items = ease_features(spectrum, candidate.ease_reg, candidate.ease_diagonal or 0.0)
    parts = RankingParts(None, ids, als_items, ease_items, np.zeros(len(ids)), stars)
    if candidate.sequential_reg is not None:
        rest = data.blocks.map(partial(_without, fold))
        parts = parts._replace(sequential_items=fit_sequential(rest, candidate, parameters, ease_items))
    items, rule = compose_items(parts, candidate, parameters.preference)
    return ItemSide(items, 0.0, rule)


def _without(fold: int, interactions: Interactions) -> Interactions:
    return take(interactions, interactions.folds != fold)


def _count(fold: int, interactions: Interactions) -> np.ndarray:
    """(2, m): the number of each movie's ratings outside the fold, and their sum."""
    kept, number = _without(fold, interactions), len(interactions.movie_ids)
    return np.stack([np.bincount(kept.movies, weights, number) for weights in (None, kept.ratings)])


def _examples(stage: FirstStage, items: Items, fold: int, aim: Aim, interactions: Interactions) -> Examples:
    """The candidates of a block's users with a hit among them."""
    asked = np.flatnonzero(is_in_sample(interactions.user_ids, aim.share, aim.seed))
    users = take_users(interactions, asked)
    rated, held_out = take(users, users.folds != fold), take(users, users.folds == fold)
    rule, counts = stage.ranking.rule, np.bincount(rated.users, minlength=len(asked))
    vectors = rule.user_vectors(rated, stage.ranking.items, 0.0)
    seen = rated.movie_ids[rated.movies]
    parts = search(users.user_ids, vectors.bias, vectors.features, seen, counts, items, min(CANDIDATES, len(items.ids)))
    pairs = held_out.users.astype(np.int64) * len(users.movie_ids) + held_out.movies
    order, worth = np.argsort(pairs), labels_of(held_out.ratings, aim.relevance, aim.scale)
    pairs, worth = np.append(pairs[order], -1), np.append(worth[order], 0)
    examples = []
    for found in parts:
        candidates, _, own = find_candidates(found, rated)
        rows = np.searchsorted(users.user_ids, own.user_ids)[candidates.users]
        wanted = rows * np.int64(len(users.movie_ids)) + candidates.movies
        places = np.searchsorted(pairs[:-1], wanted)
        labels = np.where(pairs[places] == wanted, worth[places], 0).astype(np.int8)
        lengths = np.bincount(candidates.users, minlength=len(own.user_ids))
        has_hit = np.bincount(candidates.users, labels, len(own.user_ids)) > 0
        kept = has_hit[candidates.users]
        features = describe_candidates(stage, own, candidates)
        columns = {name: column[kept].astype(np.float32) for name, column in features.items()}
        examples.append(Examples(columns, labels[kept], lengths[has_hit]))
    return _concatenate(examples) if examples else Examples({}, np.zeros(0, np.int8), np.zeros(0, np.int64))


def _concatenate(examples: list[Examples]) -> Examples:
    return Examples(
        {name: np.concatenate([each.features[name] for each in examples]) for name in examples[0].features},
        np.concatenate([each.labels for each in examples]),
        np.concatenate([each.lengths for each in examples]),
    )


def _within_limit(reranker: Reranker, examples: Examples, most: float, k: int) -> Reranker:
    """The second stage with the least `below_weight` by which the lists of the examples keep the limit."""
    lists = np.repeat(np.arange(len(examples.lengths)), examples.lengths)
    ranks = np.arange(len(lists)) - np.searchsorted(lists, lists)
    for weight in BELOW_WEIGHTS:
        weighed = reranker._replace(below_weight=weight)
        order = np.lexsort((-weighed.scores(examples.features), lists))
        share = np.mean(examples.features[ABOVE][order][ranks < k] < 0)
        if share <= most:
            break
    else:
        logger.warning("No weight keeps the second stage's lists within %g below the user's mean", most)
    logger.info("The second stage has %.1f %% below the user's mean with below_weight %g", 100 * share, weight)
    return weighed
