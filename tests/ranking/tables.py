"""The tables that the tests of ranking measures are about."""


class Tables:
    """The tables that are measured, as literal rows, and as Spark's."""

    def __init__(self, lists, held_out, train, movies):
        self.lists = lists  # {model: {user: [movie, ...]}}
        self.held_out = held_out  # [(user, movie, stars)]
        self.train = train  # [(user, movie)]
        self.movies = movies  # {movie: genres}

    def in_spark(self, spark) -> tuple:
        lists = [
            (model, user, rank, movie)
            for model, of_users in self.lists.items()
            for user, listed in of_users.items()
            for rank, movie in enumerate(listed, 1)
        ]
        return (
            spark.createDataFrame(lists, "model string, user_id int, rank int, movie_id int"),
            spark.createDataFrame(self.held_out, "user_id int, movie_id int, rating float"),
            spark.createDataFrame([(*pair, 3.0) for pair in self.train], "user_id int, movie_id int, rating float"),
            spark.createDataFrame(list(self.movies.items()), "movie_id int, genres array<string>"),
        )
