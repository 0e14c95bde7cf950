"""The notebook that this project started from, as one plain script: what `kedro run` is measured against.

Default SparkSession, Spark ML's `CrossValidator`, one fit at a time; the same files, grids, number of folds and outputs
as `kedro run`, on random splits of its own. The notebook predicts stars; what people would watch is measured after it,
in the same style. Not here, as plain Spark has none of it: biases, tastes, EASE, reasons, the report.

Usage: python benchmarks/plain_script.py <folder of ratings.csv and movies.csv> <output folder>
"""

import json
import sys
import time
from pathlib import Path

import plotly.graph_objects as go
from pyspark.ml.evaluation import RankingEvaluator, RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

RANKS, REG_PARAMS, MAX_ITERS, FOLDS, SEED = [5, 10, 15], [0.1, 0.2, 0.4], [10], 5, 42
IMPLICIT_RANK, IMPLICIT_REG_PARAMS, ALPHAS = 50, [0.1, 0.3], [0.5, 4]
USERS, MOVIES, TOP = [575, 232], [463, 471], 10
LISTED = 300  # movies of a list before those that the user has rated are taken out


def main(raw: Path, out: Path) -> None:
    """Reads, counts, plots, tunes, measures, recommends."""
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    ratings = spark.read.csv(str(raw / "ratings.csv"), header=True, inferSchema=True)
    movies = spark.read.csv(str(raw / "movies.csv"), header=True, inferSchema=True, escape='"')
    tags = spark.read.csv(str(raw / "tags.csv"), header=True, inferSchema=True, escape='"')
    links = spark.read.csv(str(raw / "links.csv"), header=True, inferSchema=True)
    out.mkdir(parents=True, exist_ok=True)

    explore(ratings, movies, tags, out)
    train, test = ratings.randomSplit([0.8, 0.2], seed=SEED)
    als = ALS(userCol="userId", itemCol="movieId", ratingCol="rating", coldStartStrategy="drop", seed=SEED)
    grid = (
        ParamGridBuilder()
        .addGrid(als.rank, RANKS)
        .addGrid(als.regParam, REG_PARAMS)
        .addGrid(als.maxIter, MAX_ITERS)
        .build()
    )
    evaluator = RegressionEvaluator(metricName="rmse", labelCol="rating")
    tuned = CrossValidator(
        estimator=als, estimatorParamMaps=grid, evaluator=evaluator, numFolds=FOLDS, seed=SEED, parallelism=1
    ).fit(train)
    results = [
        {**{parameter.name: value for parameter, value in point.items()}, "rmse": rmse}
        for point, rmse in zip(grid, tuned.avgMetrics, strict=True)
    ]
    best = min(results, key=lambda row: row["rmse"])
    (out / "cv_results.json").write_text(json.dumps(results))

    errors = {}
    for name, parameters in (("tuned", best), ("reference", {"rank": 5, "regParam": 0.1, "maxIter": 10})):
        model = als.copy({getattr(als, key): value for key, value in parameters.items() if key != "rmse"}).fit(train)
        errors[name] = {
            part: evaluator.evaluate(model.transform(rows)) for part, rows in (("train", train), ("test", test))
        }
        if name == "tuned":
            model.transform(test).write.mode("overwrite").parquet(str(out / "predictions"))
            model.write().overwrite().save(str(out / "train_model"))
    (out / "metrics.json").write_text(json.dumps(errors))

    final = als.copy({getattr(als, key): value for key, value in best.items() if key != "rmse"}).fit(ratings)
    final.write().overwrite().save(str(out / "model"))
    recommend(final, ratings, movies.join(links, "movieId"), out)
    print(f"rating done at {time.time():.1f}", flush=True)
    rank(als, ratings, train, test, movies.join(links, "movieId"), out)
    spark.stop()


def explore(ratings: DataFrame, movies: DataFrame, tags: DataFrame, out: Path) -> None:
    """Counts, tables and figures of the data."""
    rated = ratings.select("movieId").distinct()
    counts = {
        "users": ratings.select("userId").distinct().count(),
        "movies": movies.count(),
        "rated": rated.count(),
        "never_rated": movies.join(rated, "movieId", "left_anti").count(),
        "ratings": ratings.count(),
    }
    genres = movies.select(F.explode(F.split("genres", r"\|")).alias("genre")).groupBy("genre").count().toPandas()
    (out / "eda.json").write_text(json.dumps({**counts, "genres": dict(genres.to_numpy().tolist())}))
    for side in ("userId", "movieId"):
        means = ratings.groupBy(side).agg(F.avg("rating").alias("mean"), F.count("*").alias("ratings")).toPandas()
        go.Figure(go.Histogram(x=means["mean"])).write_json(out / f"mean_by_{side}.json")
        go.Figure(go.Histogram(x=means["ratings"])).write_json(out / f"ratings_by_{side}.json")
    years = ratings.groupBy(F.year(F.timestamp_seconds("timestamp")).alias("year")).count().toPandas()
    stars = ratings.groupBy("rating").count().toPandas()
    go.Figure(go.Bar(x=years["year"], y=years["count"])).write_json(out / "years.json")
    go.Figure(go.Bar(x=stars["rating"], y=stars["count"])).write_json(out / "stars.json")
    by_movie = ratings.groupBy("movieId").agg(F.count("*").alias("ratings"), F.avg("rating").alias("mean"))
    for order in ("ratings", "mean"):
        by_movie.orderBy(F.desc(order)).limit(20).join(movies, "movieId").toPandas().to_csv(out / f"top_{order}.csv")
    tags.groupBy("tag").count().orderBy(F.desc("count")).limit(20).toPandas().to_csv(out / "tags.csv")


def recommend(model, ratings: DataFrame, movies: DataFrame, out: Path) -> None:
    """Unseen movies with the highest predictions, and the nearest movies by L2 distance of item factors."""
    users = ratings.filter(F.col("userId").isin(USERS)).select("userId").distinct()
    unseen = users.crossJoin(movies).join(ratings, ["userId", "movieId"], "left_anti")
    for user in USERS:
        predictions = model.transform(unseen.filter(F.col("userId") == user))
        predictions.orderBy(F.desc("prediction")).limit(TOP).toPandas().to_csv(out / f"recommended_{user}.csv")
    for movie in MOVIES:
        vector = model.itemFactors.filter(F.col("id") == movie).first()
        if vector is None:
            continue
        target = F.array(*(F.lit(value) for value in vector["features"]))
        squares = F.zip_with("features", target, lambda a, b: (a - b) * (a - b))
        distance = F.sqrt(F.aggregate(squares, F.lit(0.0), lambda total, square: total + square))
        near = model.itemFactors.filter(F.col("id") != movie).withColumn("distance", distance)
        near = near.orderBy("distance").limit(TOP).join(movies, F.col("id") == F.col("movieId"))
        near.drop("features").toPandas().to_csv(out / f"similar_{movie}.csv")


def rank(als: ALS, ratings: DataFrame, train: DataFrame, test: DataFrame, movies: DataFrame, out: Path) -> None:
    """Implicit ALS by cross-validated NDCG, its test NDCG against the most rated movies, and lists."""
    als = als.copy({als.rank: IMPLICIT_RANK, als.maxIter: MAX_ITERS[0], als.implicitPrefs: True})
    parts = train.randomSplit([1.0] * FOLDS, seed=SEED)
    results = []
    for reg_param in IMPLICIT_REG_PARAMS:
        for alpha in ALPHAS:
            candidate = als.copy({als.regParam: reg_param, als.alpha: alpha})
            folds = []
            for held_out in parts:
                rest = train.join(held_out, ["userId", "movieId"], "left_anti")
                folds.append(measure(list_unseen(candidate.fit(rest), rest), held_out))
            results.append({"regParam": reg_param, "alpha": alpha, "ndcg": sum(folds) / len(folds)})
    (out / "ranking_cv_results.json").write_text(json.dumps(results))

    best = max(results, key=lambda row: row["ndcg"])
    als = als.copy({als.regParam: best["regParam"], als.alpha: best["alpha"]})
    model = als.fit(train)
    model.write().overwrite().save(str(out / "ranking_train_model"))
    lists = list_unseen(model, train)
    lists.write.mode("overwrite").parquet(str(out / "ranking_lists"))
    popular = train.groupBy("movieId").agg(F.count("*").cast("float").alias("score"))
    popular = popular.orderBy(F.desc("score")).limit(3 * LISTED)
    popular = train.select("userId").distinct().crossJoin(popular)
    ndcg = {"implicit_als": measure(lists, test), "most_popular": measure(first_unseen(popular, train), test)}
    (out / "ranking_metrics.json").write_text(json.dumps(ndcg))

    final = als.fit(ratings)
    final.write().overwrite().save(str(out / "ranking_model"))
    unseen = list_unseen(final, ratings).join(movies, "movieId")
    for user in USERS:
        unseen.filter(F.col("userId") == user).orderBy("place").toPandas().to_csv(out / f"watch_next_{user}.csv")


def list_unseen(model, seen: DataFrame) -> DataFrame:
    """The first movies of each user that she has not rated."""
    best = model.recommendForAllUsers(LISTED).select("userId", F.explode("recommendations").alias("movie"))
    return first_unseen(best.select("userId", "movie.movieId", F.col("movie.rating").alias("score")), seen)


def first_unseen(scored: DataFrame, seen: DataFrame) -> DataFrame:
    """(userId, movieId, score, place): the `TOP` highest scores of each user among movies that she has not rated."""
    unseen = scored.join(seen, ["userId", "movieId"], "left_anti")
    place = F.row_number().over(Window.partitionBy("userId").orderBy(F.desc("score")))
    return unseen.withColumn("place", place).filter(F.col("place") <= TOP)


def measure(lists: DataFrame, held_out: DataFrame) -> float:
    """NDCG of the lists, every held-out movie being relevant."""
    lists = lists.withColumn("movieId", F.col("movieId").cast("double"))
    listed = lists.groupBy("userId").agg(F.sort_array(F.collect_list(F.struct("place", "movieId"))).alias("listed"))
    relevant = held_out.groupBy("userId").agg(F.collect_list(F.col("movieId").cast("double")).alias("relevant"))
    both = relevant.join(listed, "userId").withColumn("listed", F.col("listed.movieId"))
    evaluator = RankingEvaluator(predictionCol="listed", labelCol="relevant", metricName="ndcgAtK", k=TOP)
    return evaluator.evaluate(both)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
