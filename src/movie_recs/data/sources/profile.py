"""What a source's ratings are like, found from the ratings where the description leaves it open, else checked."""

from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from movie_recs.data.identifiers import is_number
from movie_recs.data.scale import Scale
from movie_recs.data.sources.layouts import OWN, Source
from movie_recs.data.sources.reading import file_name
from movie_recs.errors import UserError

HEAD = 1000  # rows of GroupLens' files by which their ids are judged
STEPS = (1.0, 0.5, 0.25, 0.2, 0.1, 0.05, 0.01)  # of a scale that is found
OFF_STEP = 1e-6  # of a step that a rating on the scale may be off, as steps like 0.1 are rounded
FROM = {"seconds": 0, "milliseconds": 10**11, "microseconds": 10**14, "nanoseconds": 10**17}  # each from 1973 to 5138


class Profile(NamedTuple):
    """`user_numbers`, `item_numbers`: whether the ids are integers that fit; `time_unit`; `scale`, None for events."""

    user_numbers: bool
    item_numbers: bool
    time_unit: str | None
    scale: Scale | None

    def to_json(self) -> dict[str, Any]:
        """As plain values, for a file."""
        return {**self._asdict(), "scale": None if self.scale is None else self.scale._asdict()}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Profile":
        """From the values of `to_json`."""
        return cls(**{**values, "scale": None if values["scale"] is None else Scale(**values["scale"])})


def profile_ratings(rows: DataFrame, source: Source, max_bad_rows: float) -> Profile:
    """The kinds of ids, the unit of times and the scale.

    Of GroupLens' files all is known but whether someone put other ids into them, which their first rows show.

    Args:
        rows: Result of `reading.text_rows`.
        source: The source.
        max_bad_rows: The share of rows that may be off a given scale.

    Raises:
        UserError: The description does not fit the ratings.
    """
    ratings, scale = source.description.ratings, source.description.scale
    assert ratings is not None
    if source.layout != OWN:
        (head,) = (
            rows.limit(HEAD).agg(*(F.avg(is_number(F.col(s)).cast("int")).alias(s) for s in ("user", "item"))).collect()
        )
        few = head["user"] is None
        return Profile(
            few or head["user"] > 0.5, few or head["item"] > 0.5, ratings.time_unit, scale.scale() if scale else None
        )
    (facts,) = rows.filter(F.col("reason").isNull()).agg(*_facts(scale.scale() if scale else None)).collect()
    if not facts["rows"]:
        raise UserError(f"{file_name(source, 'ratings')} has no good row, is it the right file?")
    unit = None if ratings.time is None else _time_unit(facts, ratings.time_unit, source)
    found = None if source.are_events else _scale(facts, scale.scale() if scale else None, max_bad_rows, source)
    return Profile(facts["user"] == facts["user_given"], facts["item"] == facts["item_given"], unit, found)


def number(text: Column) -> Column:
    """The text as a number, or null. A plain cast would also accept NaN, Infinity and 4.0f."""
    digits = F.trim(text)
    return F.when(digits.rlike(r"\A[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"), digits).try_cast("double")


def is_on(scale: Scale, rating: Column) -> Column:
    """Whether a rating is on the scale."""
    inside = rating.between(scale.least, scale.most)
    if scale.step is None:
        return inside
    steps = (rating - scale.least) / scale.step
    return inside & (F.abs(steps - F.round(steps)) < OFF_STEP)


def _facts(scale: Scale | None) -> list[Column]:
    rating, time = number(F.col("rating")), F.col("time").try_cast("double")
    ids = [
        column
        for side in ("user", "item")
        for column in (
            F.count_if(is_number(F.col(side))).alias(side),
            F.count_if(F.trim(side) != "").alias(f"{side}_given"),
        )
    ]
    return [
        *ids,
        F.count("*").alias("rows"),
        F.count(rating).alias("ratings"),
        F.min(rating).alias("least"),
        F.max(rating).alias("most"),
        *(
            F.count_if(F.abs(rating / step - F.round(rating / step)) < 1e-6).alias(f"step {step}")
            for step in STEPS
        ),
        F.count_if(is_on(scale, rating) if scale else F.lit(False)).alias("on_scale"),
        F.min(F.when(~is_on(scale, rating), F.col("rating")) if scale else F.lit(None)).alias("off"),
        F.count(time).alias("numbers"),
        F.percentile_approx(time, 0.5).alias("median_time"),
        F.count_if(time.isNull() & F.col("time").try_cast("timestamp").isNotNull()).alias("dates"),
        F.max("time").alias("some_time"),
    ]  # fmt: skip


def _time_unit(facts: Row, given: str | None, source: Source) -> str | None:
    if not facts["numbers"] and not facts["dates"]:
        return given
    if facts["dates"] > facts["numbers"]:
        found = "iso"
    else:
        found = next(unit for unit, first in reversed(FROM.items()) if facts["median_time"] >= first)
        if found == "seconds" and given not in (None, "iso"):
            found = given  # milliseconds since 1970 may be few
    what = "dates" if found == "iso" else f"numbers of {found}"
    if given not in (None, found):
        raise UserError(
            f"source.ratings.time_unit is {given}, but the times in {file_name(source, 'ratings')} are {what} "
            f"(as in {facts['some_time']!r}): write {found}, or leave time_unit out."
        )
    return found


def _scale(facts: Row, given: Scale | None, max_bad_rows: float, source: Source) -> Scale:
    file, rows = file_name(source, "ratings"), facts["ratings"]
    if not rows:
        raise UserError(
            f"No rating in {file} is a number: correct source.ratings.rating, or write source.decimal: ',' if its "
            "numbers have a decimal comma, or leave rating out if the rows are events."
        )
    step = next((step for step in STEPS if facts[f"step {step}"] == rows), None)
    found = Scale.make(facts["least"], max(facts["most"], facts["least"] + (step or 1)), step)
    if given is None:
        return found
    off = rows - facts["on_scale"]
    if off > max_bad_rows * rows:
        what = f"{{least: {found.least:g}, most: {found.most:g}, step: {'null' if step is None else f'{step:g}'}}}"
        raise UserError(
            f"{off / rows:.1%} of the ratings in {file} are not on source.scale, {given.describe()} (as in "
            f"{facts['off']!r}): they lie on {what}. Correct source.scale, or raise data_processing.max_bad_rows."
        )
    return given
