"use strict";
// Lists of the ratings of one person: scores and reasons by both models (fold_in.js), and the order of reasons.py and arrangement.py.

/** The places of the highest scores among those that pass, the highest first. */
function bestOf(scores, most, passes) {
  const best = [], isBetter = (one, other) => scores[one] > scores[other] || (scores[one] === scores[other] && one < other);
  for (let place = 0; place < scores.length; place += 1) {
    if (best.length === most && !isBetter(place, best[most - 1])) continue;
    if (!passes(place)) continue;
    let at = best.length;
    while (at && isBetter(place, best[at - 1])) at -= 1;
    best.splice(at, 0, place);
    best.length = Math.min(best.length, most);
  }
  return best;
}

/** What the page holds of both models, unpacked: lists of the ratings of one person. */
class ListMaker {
  constructor({ models, ranking, stars, rating, stars_weight: weight, constants, diversity, series, candidates }) {
    const made = models.map((each) => new Model(each, constants)), at = (place) => (place === null ? null : made[place]);
    Object.assign(this, { ranking: at(ranking), stars: at(stars), rating: at(rating), weight, constants, diversity, series, candidates });
  }

  scores(rated) {
    const own = this.ranking.scores(rated);
    if (!this.stars || !rated.places.length) return own;
    const stars = this.stars.scores(rated);
    return own.map((value, place) => value + this.weight * stars[place]);
  }

  /** What each rating adds to the score of each of these movies. */
  terms(rated, asked) {
    const own = this.ranking.rule.terms(rated, asked);
    if (!this.stars) return own;
    const stars = this.stars.rule.terms(rated, asked);
    return own.map((terms, at) => terms.map((value, row) => value + this.weight * stars[at][row]));
  }

  /** The best movies that she has not rated and that pass: {place, score, stars, because: [{place, term}]}. */
  list(rated, passes) {
    const scores = this.scores(rated), has = new Set(rated.places);
    const best = this.arrange(bestOf(scores, this.candidates, (place) => !has.has(place) && passes(place)), scores);
    const because = rated.places.length ? this.reasons(rated, best) : best.map(() => []), stars = this.rating?.scores(rated);
    return best.map((place, at) => ({ place, score: scores[place], stars: stars ? stars[place] : null, because: because[at] }));
  }

  /** The list of the best candidates: `arrangement.arrange`, which says what the order is. */
  arrange(found, scores) {
    const length = Math.min(this.constants.length, found.length), low = scores[found.at(-1)], spread = scores[found[0]] - low;
    const vectors = this.diversity ? found.map((place) => this.unit(place)) : [], series = found.map((place) => this.series[place] ?? -1 - place);
    const nearest = zeros(found.length), order = [], left = new Set(found.keys());
    const merit = (at) => (1 - this.diversity) * (spread ? (scores[found[at]] - low) / spread : 0) - this.diversity * nearest[at];
    while (order.length < length) {
      const others = [...left].filter((at) => !order.length || series[at] !== series[order.at(-1)]);
      const best = (others.length ? others : [...left]).reduce((one, at) => (merit(at) > merit(one) ? at : one));
      vectors.forEach((vector, at) => {
        const similarity = dot(vector, vectors[best]);
        nearest[at] = order.length ? Math.max(nearest[at], similarity) : similarity;
      });
      left.delete(best);
      order.push(best);
    }
    return order.map((at) => found[at]);
  }

  /** A movie's vector of both models, of length 1. */
  unit(place) {
    const { ranking, stars } = this, own = ranking.vectors.row(place);
    const vector = stars ? Float64Array.of(...own, ...stars.vectors.row(place), stars.vectors.bias[place]) : own;
    const size = Math.sqrt(dot(vector, vector));
    return vector.map((value) => (size ? value / size : 0));
  }

  /** The strongest reasons that a person would give for each movie: `Reasons` with `for_people`. */
  reasons(rated, asked) {
    const { reasons: most, most_uses: mostUses } = this.constants, own = mean(rated.stars), uses = zeros(rated.places.length);
    const terms = this.terms(rated, asked), sums = terms.map((row) => row.reduce((sum, value) => sum + value, 0)), named = [];
    const order = asked.map((_, at) => at).sort((one, other) => sums[other] - sums[one] || asked[one] - asked[other]);
    for (const at of order) {
      const rows = rated.places.map((_, row) => row).filter((row) => terms[at][row] > 0 && rated.stars[row] >= own && uses[row] < mostUses);
      rows.sort((one, other) => terms[at][other] - terms[at][one] || one - other);
      rows.length = Math.min(rows.length, most);
      for (const row of rows) uses[row] += 1;
      named[at] = rows.map((row) => ({ place: rated.places[row], term: terms[at][row] }));
    }
    return named;
  }
}
