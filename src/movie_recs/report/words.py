"""What the page calls things: figures, models, columns and hyperparameters, in a reader's words."""

from typing import NamedTuple

FIGURES = {  # title, what to see in it
    "genres": ("Movies per genre", "A movie counts for each of its genres."),
    "distributions": (
        "How the ratings are spread",
        "Stars, the means of users and of movies, when people rated, and how many ratings users and movies have.",
    ),
    "top_movies": (
        "Best known and best loved movies",
        "A damped mean adds ratings at the mean of all to each movie's own, so that one 5.0 makes no best movie.",
    ),
    "tags": ("Most given tags", "What people wrote beside their ratings; upper and lower case count as one."),
    "rating_tuning": (
        "Candidates for predicting stars",
        "RMSE in cross-validation with its standard error, the best candidates of each model. Less is better.",
    ),
    "ranking_tuning": (
        "Candidates for ordering movies",
        "NDCG in cross-validation with its standard error, the best candidates of each model. More is better.",
    ),
    "ladder": (
        "What each part of the model adds",
        "First the error over all test ratings, then the same by how many train ratings the movie has: "
        "the fewer, the harder.",
    ),
    "predictions": (
        "Predicted against actual stars",
        "Of the test ratings of each number of stars, the share that was predicted as what. "
        "A perfect model would lie on the dotted line.",
    ),
    "errors": (
        "Error by actual stars",
        "Every model of this kind pulls towards the mean: low ratings come out too high, high ones too low.",
    ),
    "leaderboard": (
        "Accuracy against variety",
        "How well each model's lists hit, against the share of all movies that they show to anybody.",
    ),
}

MODELS = {
    "global_mean": "the mean of all ratings",
    "bias": "how much a user likes movies, and how much a movie is liked",
    "reference_als": "plain ALS as in the notebook that this project started from",
    "bias_als": "biases, and ALS on what they leave",
    "taste": "biases, and each user's taste for genres, years, popularity and audiences",
    "taste_als": "biases, tastes, and ALS on what they leave",
    "random": "movies drawn at random",
    "most_popular": "the most rated movies, the same for everybody",
    "damped_mean": "the best rated movies, the same for everybody",
    "rating_by_stars": "the rating model's predicted stars, highest first",
    "implicit_als": "ALS on who rated what",
    "recent_als": "the same, with a user's ratings weighted by their stars and age",
    "ease": "EASE: movies by the company they keep in users' ratings",
    "blend": "EASE and ALS together",
}


class Objective(NamedTuple):
    """An objective: its key in the metrics, its measure, the model to beat, and that model's name in a sentence."""

    key: str
    measure: str
    baseline: str
    baseline_name: str


OBJECTIVES = (
    Objective("rating", "rmse", "reference_als", "the reference, plain ALS,"),
    Objective("ranking", "ndcg", "most_popular", "the most popular movies"),
)


class Column(NamedTuple):
    """A column of the leaderboard: its key in the metrics, its head, digits, what it means, and if more is better."""

    key: str
    head: str
    digits: int
    meaning: str
    more_is_better: bool = True


COLUMNS = (
    Column("ndcg", "NDCG", 3, "Hits count more the higher they stand: 1 where all relevant movies lead the list."),
    Column("ndcg_liked", "NDCG liked", 3, "The same, but only held-out movies with 4 stars or more are hits."),
    Column("recall", "Recall", 3, "Share of a user's held-out movies that are in her list."),
    Column("precision", "Precision", 3, "Share of the list that she has rated in the test set."),
    Column("map", "MAP", 3, "Mean of the precision at each hit."),
    Column("mrr", "MRR", 3, "One divided by the rank of the first hit."),
    Column("hit_rate", "Hit rate", 3, "Share of users with at least one hit."),
    Column("coverage", "Coverage", 3, "Share of all movies that are in at least one list.", False),
    Column("novelty", "Novelty", 2, "How unusual the movies are, in bits: one more is half as many ratings.", False),
    Column("diversity", "Diversity", 2, "How little the genres of a list's movies overlap: 1 is not at all.", False),
    Column(
        "popularity_lift",
        "Popularity lift",
        2,
        "How much more popular the list is than what its user has rated: 0 is as popular, 1 is twice as popular.",
        False,
    ),
)

PARAMETERS = {
    "user_damping": "ratings that say nothing, added to a user's own",
    "movie_damping": "ratings that say nothing, added to a movie's own",
    "taste_reg": "pull of a user's tastes towards the mean",
    "prior_reg": "pull of the mean tastes towards 0",
    "rank": "length of the factors of ALS",
    "reg_param": "pull of the factors towards 0",
    "max_iter": "alternations of ALS",
    "alpha": "confidence in a rating",
    "ease_reg": "pull of EASE towards 0",
    "als_weight": "weight of ALS beside EASE",
    "star_weight": "what a star above a user's mean adds to a rating's weight",
    "half_life": "ratings after which a rating counts half",
    "old_weight": "what is left of an old rating's weight",
}
