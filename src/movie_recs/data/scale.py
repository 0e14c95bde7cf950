"""The scale of the ratings: a property of the data, which cleaning, clipping, weights and the page follow."""

from collections.abc import Mapping
from typing import Any, NamedTuple

LIKED_SHARE = 0.8  # 4 of MovieLens' 5 stars
STARS = 5  # stars at the top of any scale, for what is measured in stars whatever the scale


class Scale(NamedTuple):
    """Ratings lie between `least` and `most`, in steps of `step` (None: any number); from `liked` on, they are good."""

    least: float
    most: float
    step: float | None
    liked: float

    @classmethod
    def of(cls, data_summary: Mapping[str, Any]) -> "Scale | None":
        """The scale of a data set; None if its rows are events without ratings."""
        scale = data_summary["scale"]
        return None if scale is None else cls(**scale)

    @classmethod
    def make(cls, least: float, most: float, step: float | None, liked: float | None = None) -> "Scale":
        """The scale; by default liked is the same share of it as 4 of 5 stars, on a step."""
        if liked is None:
            liked = LIKED_SHARE * most if least >= 0 else least + LIKED_SHARE * (most - least)
            if step:
                liked = least + step * round((liked - least) / step)
        return cls(float(least), float(most), None if step is None else float(step), float(liked))

    @property
    def star(self) -> float:
        """A fifth of the scale, so 1 on a scale that ends at 5 stars."""
        return (self.most if self.least >= 0 else self.most - self.least) / STARS

    def in_stars(self, rating: Any) -> Any:
        """The rating, an array or a column of ratings, as stars of which the highest is 5."""
        return (rating - min(self.least, 0.0)) / self.star

    def describe(self) -> str:
        """The ratings that there are, as in `0.5, 1 ... 5`."""
        if self.step is None:
            return f"from {self.least:g} to {self.most:g}"
        return f"{self.least:g}, {self.least + self.step:g} ... {self.most:g}"


def scale_of(data_summary: Mapping[str, Any]) -> Scale:
    """The scale of a data set of ratings.

    Raises:
        ValueError: Its rows are events.
    """
    scale = Scale.of(data_summary)
    if scale is None:
        raise ValueError("Events have no scale.")
    return scale


HALF_STARS = Scale.make(0.5, 5.0, 0.5)
WHOLE_STARS = Scale.make(1.0, 5.0, 1.0)
EVENTS = Scale(0.0, 5.0, None, 0.0)  # of preferences that are no ratings: all are liked
