"""Names and explanations for readers: figures, models, columns and hyperparameters."""

from typing import Any, NamedTuple

from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.metrics import RELEVANCE
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning.candidate import Measure

FIGURES = {  # title, caption
    "genres": ("Movies per genre", "A movie counts for each of its genres."),
    "distributions": (
        "Distributions of the ratings",
        "Ratings by stars and by year; users and movies by mean rating and by number of ratings.",
    ),
    "top_movies": (
        "Most rated and best rated movies",
        "The damped mean adds ratings at the global mean to each movie's own, so that a single 5.0 does not win.",
    ),
    "tags": ("Most used tags", "Words that users gave to movies; upper and lower case count as one."),
    "rating_tuning": (
        "Candidates for predicting stars",
        "RMSE in cross-validation with its standard error, for the best candidates of each model. Lower is better.",
    ),
    "ranking_tuning": (
        "Candidates for ranking movies",
        "NDCG in cross-validation with its standard error, for the best candidates of each model. Higher is better.",
    ),
    "ladder": (
        "What each part of the model adds",
        "First the error over all test ratings, then by the number of train ratings of the movie: "
        "the fewer, the harder to predict.",
    ),
    "predictions": (
        "Predicted against actual stars",
        "How the predictions are distributed for each number of actual stars. "
        "A perfect model would lie on the dotted line.",
    ),
    "errors": (
        "Error by actual stars",
        "Models of this kind shrink towards the mean: low ratings are predicted too high, high ones too low.",
    ),
    "leaderboard": (
        "Accuracy against coverage",
        "NDCG of each model's lists, against the share of all movies that are in at least one of them.",
    ),
}

EVENT_FIGURES = {  # of events without ratings
    "distributions": ("Distributions of the events", "Events by year; users and movies by number of events."),
    "top_movies": ("Most used movies", "Each pair of user and movie counts once."),
}

MODELS = {
    "global_mean": "the mean of all ratings",
    "bias": "the mean, and a bias for each user and each movie",
    "reference_als": "plain ALS, as in the notebook that this project started from",
    "als": "plain ALS, with the hyperparameters that cross-validation found",
    "bias_als": "biases, and ALS on their residuals",
    "taste": "biases, and each user's taste for genres, years, popularity and audiences",
    "taste_als": "biases, tastes, and ALS on their residuals",
    "bayes": "biases, tastes and factors in one Bayesian model, with each user's own noise",
    "random": "movies drawn at random",
    "most_popular": "the most rated movies, the same for everybody",
    "damped_mean": "the best rated movies, the same for everybody",
    "rating_by_stars": "the rating model's predicted stars, highest first",
    "implicit_als": "implicit ALS: which user has rated which movie",
    "recent_als": "implicit ALS, with a user's ratings weighted by stars and age",
    "ease": "EASE: a linear model of which movies are rated together",
    "blend": "the scores of EASE and ALS, added",
    "sequential": "the better of EASE and blend, with what users rate next added to its score",
    "with_stars": "the best of the others, with the predicted stars added to its score",
    "reranked": "the winner's best candidates, in the order of a second stage",
}

SPLITS = {  # which ratings are the test
    "random": "drawn at random",
    "temporal": "each user's last",
    "new_users": "of users who are in no fit",
    "given": "the data set's own",
}


MEASURES = {
    "rmse": "RMSE",
    "ndcg": "NDCG",
    "ndcg_liked": "NDCG of liked movies",
    "ndcg_graded": "graded NDCG",
}


class Objective(NamedTuple):
    """An objective: its key in the metrics, its measure, the model to beat, and that model's name in a sentence."""

    key: str
    measure: Measure
    baseline: str
    baseline_name: str

    def tested_by(self, best_params: dict[str, Any]) -> str:
        """The key of the measure on the test ratings by which the winner with these parameters was chosen."""
        return RELEVANCE[best_params.get("relevance", "all")] if self.key == "ranking" else self.measure.name

    def loses(self, winner: float, baseline: float) -> bool:
        """Whether the winner's measure on the test ratings is worse than the baseline's."""
        return self.measure.loss(winner) > self.measure.loss(baseline)


OBJECTIVES = (
    Objective("rating", RatingCandidate.MEASURE, "reference_als", "the reference, plain ALS,"),
    Objective("ranking", RankingCandidate.MEASURE, "most_popular", "the most popular movies"),
)


class Column(NamedTuple):
    """A column of the leaderboard: key in the metrics, heading, decimals, meaning, and whether higher is better."""

    key: str
    head: str
    digits: int
    meaning: str
    more_is_better: bool = True


COLUMNS = (
    Column("ndcg", "NDCG", 3, "Hits near the top count more: 1 if all relevant movies come first."),
    Column("ndcg_liked", "NDCG liked", 3, "The same, with only held-out movies of at least 4 stars as hits."),
    Column("ndcg_graded", "NDCG graded", 3, "The same, where a hit counts more the more stars it got: 2^stars - 1."),
    Column("recall", "Recall", 3, "Share of the user's held-out movies that are in the list."),
    Column("precision", "Precision", 3, "Share of the list that the user has rated in the test set."),
    Column("map", "MAP", 3, "Mean of the precision at each hit."),
    Column("mrr", "MRR", 3, "One divided by the rank of the first hit."),
    Column("hit_rate", "Hit rate", 3, "Share of users with at least one hit."),
    Column("below_mean", "Below mean", 3, "Share of movies with predicted stars below the user's own mean.", False),
    Column("coverage", "Coverage", 3, "Share of all movies that are in at least one list.", False),
    Column("novelty", "Novelty", 2, "How unknown the movies are, in bits: one more is half as many ratings.", False),
    Column("diversity", "Diversity", 2, "How different the genres of a list's movies are: 1 means no overlap.", False),
    Column(
        "popularity_lift",
        "Popularity lift",
        2,
        "Popularity of the list against the movies that its user has rated: 0 is equal, 1 is twice as popular.",
        False,
    ),
)

PARAMETERS = {
    "user_damping": "pseudo-ratings at the mean, added to each user's own",
    "movie_damping": "pseudo-ratings as its features predict, added to each movie's own",
    "taste_reg": "regularisation of a user's tastes towards the shared ones",
    "prior_reg": "regularisation of the shared tastes towards 0",
    "rank": "number of ALS factors",
    "reg_param": "regularisation of the ALS factors",
    "max_iter": "iterations of ALS",
    "alpha": "confidence in a rating is 1 + alpha times its weight",
    "ease_reg": "regularisation of EASE",
    "ease_rank": "singular vectors that EASE keeps",
    "ease_diagonal": "up to which weight a movie may predict itself in EASE's fit",
    "als_weight": "weight of the ALS score, added to the score of EASE",
    "sequential_reg": "regularisation of what users rate next",
    "sequential_weight": "weight of what users rate next, added to the score",
    "stars_weight": "weight of the predicted stars, added to the score",
    "star_weight": "added to a rating's weight for each star above the user's mean",
    "half_life": "number of later ratings that halve a rating's weight",
    "old_weight": "lower limit of an old rating's weight",
}
