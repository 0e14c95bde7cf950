"""Rules as JSON: what `model.json` of a saved model, and the page, hold of them."""

from typing import Any

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.bayes.rule import PosteriorRule
from movie_recs.model.factor_model import Rule
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule


def describe_rule(rule: Rule | None) -> dict[str, Any]:
    """The rule as JSON: `ridges` in their order, `posterior` of a Bayesian model, or `folding` of a ranking model.

    The latter with `stars` where the predicted stars of a rating model are a part of the score.
    """
    if isinstance(rule, StarsRule):
        stars = {"rule": describe_rule(rule.rating), "intercept": rule.intercept, "weight": rule.weight}
        return {**describe_rule(rule.preference), "stars": stars}
    if isinstance(rule, PosteriorRule):
        return {"posterior": rule._asdict()}
    if isinstance(rule, PreferenceRule):
        return {"folding": {**rule._asdict(), "weights": rule.weights.model_dump()}}
    return {"ridges": [ridge._asdict() for ridge in rule.ridges] if isinstance(rule, RidgeRule) else []}


def read_rule(numbers: dict[str, Any]) -> Rule | None:
    """The rule that `describe_rule` has described."""
    if posterior := numbers.get("posterior"):
        nested = {name: tuple(map(tuple, posterior[name])) for name in ("precision", "weights", "spread")}
        return PosteriorRule(**{**posterior, **nested})
    if folding := numbers.get("folding"):
        preference = PreferenceRule(**{**folding, "weights": RatingWeights(**folding["weights"])})
        stars = numbers.get("stars")
        rating = read_rule(stars["rule"]) if stars else None
        return StarsRule(preference, rating, stars["intercept"], stars["weight"]) if stars and rating else preference
    return RidgeRule(tuple(Ridge(**ridge) for ridge in numbers["ridges"])) if numbers["ridges"] else None
