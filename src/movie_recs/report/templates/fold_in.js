"use strict";
// Scores and reasons of a person's own list: the rules of preferences.py, stars.py, ridge.py and bayes/rule.py, which define the symbols.
// `rated` is {places, stars, times} of the movies that she has rated, by ascending place.

/** The function of a person's ratings, whose last result is kept. */
function remembered(make) {
  let last, made;
  return (rated) => {
    if (last !== rated) [last, made] = [rated, make(rated)];
    return made;
  };
}

/** The vectors of all movies, a byte a number and feature by feature, with the movies' biases. */
class Vectors {
  constructor(bias, steps, values) {
    Object.assign(this, { bias, steps, values, count: bias.length });
  }

  column(feature) {
    return this.values.subarray(feature * this.count, (feature + 1) * this.count);
  }

  /** Some features of a movie. */
  row(place, first = 0, last = this.steps.length) {
    const row = zeros(last - first);
    for (let k = first; k < last; k += 1) row[k - first] = this.values[k * this.count + place] * this.steps[k];
    return row;
  }

  /** intercept + b_i + q_i . features of all movies. */
  scores(intercept, features) {
    const scores = Float64Array.from(this.bias, (bias) => intercept + bias);
    features.forEach((value, feature) => {
      const factor = value * this.steps[feature];
      if (!factor) return;
      const column = this.column(feature);
      for (let place = 0; place < this.count; place += 1) scores[place] += factor * column[place];
    });
    return scores;
  }

  /** The lower triangle of the sum of q q^T over all movies, of the first features. */
  gram(size) {
    const gram = squareOf(size);
    for (let i = 0; i < size; i += 1) {
      for (let j = 0; j <= i; j += 1) {
        const [one, other] = [this.column(i), this.column(j)];
        let sum = 0;
        for (let place = 0; place < this.count; place += 1) sum += one[place] * other[place];
        gram[i][j] = sum * this.steps[i] * this.steps[j];
      }
    }
    return gram;
  }
}

/** A user's vector from her preferences: `PreferenceRule`. */
class PreferenceRule {
  constructor(vectors, { folding }, constants) {
    Object.assign(this, { vectors, ...folding, least: constants.least_weight, next: folding.als_size + folding.ease_size });
    this.size = this.next + (this.sequential_weight ? this.ease_size : 0);
    this.gram = vectors.gram(this.als_size);
    this.solved = remembered((rated) => this.prepare(rated));
  }

  /** Her preferences: their rows among her ratings, and w of each. */
  preferences({ places, stars, times }) {
    const own = mean(stars);
    const counts = (value) => this.preferred === "all" || value >= (this.preferred === "liked" ? this.liked : own);
    const rows = places.map((_, row) => row).filter((row) => counts(stars[row]));
    const { star_weight: weight, half_life: halfLife, old_weight: old } = this.weights, middle = mean(rows.map((row) => stars[row]));
    const values = rows.map((row) => Math.max(1 + weight * (stars[row] - middle), this.least));
    if (halfLife !== null) {
      const order = rows.map((_, at) => at).sort((one, other) => times[rows[one]] - times[rows[other]] || one - other);
      order.forEach((at, earlier) => { values[at] *= old + (1 - old) * 2 ** (-(rows.length - 1 - earlier) / halfLife); });
    }
    const scale = mean(values);
    return { rows, weights: values.map((value) => value / scale) };
  }

  /** The two parts of the rated movies, d_j w_j, 1 + alpha w_j, and the factorised system of ALS. */
  prepare(rated) {
    const { rows, weights } = this.preferences(rated), places = rows.map((row) => rated.places[row]);
    const factors = places.map((place) => this.vectors.row(place, 0, this.als_size));
    const own = places.map((place) => this.vectors.row(place, this.als_size, this.next)), free = 1 - this.ease_diagonal;
    const influence = own.map((f, at) => weights[at] * Math.min(1, 2 / (free + Math.sqrt(free ** 2 + 4 * dot(f, f)))));
    const more = weights.map((weight) => this.alpha * weight), system = this.gram.map((row) => row.slice());
    addGram(system, factors, more).forEach((row, i) => { row[i] += this.reg_param * rows.length; });
    return { rows, factors, own, influence, wanted: more.map((value) => 1 + value), system: rows.length ? factorise(system) : [] };
  }

  vector(rated) {
    const features = zeros(this.size), { factors, own, influence, wanted, system } = this.solved(rated);
    if (own.length) {
      features.set(solve(system, sumRows(factors, wanted, this.als_size)).map((value) => value * this.als_weight));
      const ease = sumRows(own, influence, this.ease_size);
      features.set(ease, this.als_size);
      if (this.sequential_weight) features.set(ease.map((value) => value * this.sequential_weight), this.next);
    }
    return { bias: 0, features };
  }

  /** What each of her ratings adds to the score of each movie that is asked for. */
  terms(rated, asked) {
    const { rows, factors, own, influence, wanted, system } = this.solved(rated);
    return asked.map((place) => {
      const effect = rows.length ? solve(system, this.vectors.row(place, 0, this.als_size)) : [];
      const f = this.vectors.row(place, this.als_size, this.next), terms = zeros(rated.places.length);
      if (this.sequential_weight) this.vectors.row(place, this.next, this.size).forEach((t, k) => { f[k] += this.sequential_weight * t; });
      rows.forEach((row, at) => { terms[row] = influence[at] * dot(own[at], f) + this.als_weight * wanted[at] * dot(factors[at], effect); });
      return terms;
    });
  }
}

/** A user's vector by ridge regressions, each on the residuals of those before it: `RidgeRule`. */
class RidgeRule {
  constructor(vectors, { ridges }, constants, intercept) {
    Object.assign(this, { vectors, ridges, intercept, least: constants.least_pull, size: ridges.reduce((sum, { size }) => sum + size, 0) });
    this.systems = remembered((rated) => this.prepare(rated));
  }

  /** A movie's x of each ridge. */
  parts(place) {
    let first = 0;
    return this.ridges.map(({ size, bias_damping: damping }) => {
      const row = this.vectors.row(place, first, (first += size));
      return damping === null ? row : Float64Array.of(1, ...row);
    });
  }

  /** y, and of each ridge X and the factorised system. */
  prepare({ places, stars }) {
    const parts = places.map((place) => this.parts(place));
    const systems = this.ridges.map(({ size, reg_param: pull, bias_damping: damping, per_rating: grows }, at) => {
      const rows = parts.map((each) => each[at]), scale = grows ? Math.max(places.length, 1) : 1;
      const pulls = [...(damping === null ? [] : [damping]), ...Array(size).fill(pull)].map((each) => Math.max(each, this.least) * scale);
      const matrix = squareOf(pulls.length);
      addGram(matrix, rows).forEach((row, i) => { row[i] += pulls[i]; });
      return { rows, size: pulls.length, factor: factorise(matrix) };
    });
    return { systems, targets: places.map((place, row) => stars[row] - this.intercept - this.vectors.bias[place]) };
  }

  vector(rated) {
    const { systems, targets: all } = this.systems(rated), targets = all.slice(), features = [];
    let bias = 0;
    systems.forEach(({ rows, size, factor }, at) => {
      const weights = solve(factor, sumRows(rows, targets, size));
      rows.forEach((x, row) => { targets[row] -= dot(x, weights); });
      if (this.ridges[at].bias_damping !== null) bias = weights[0];
      features.push(...(this.ridges[at].bias_damping === null ? weights : weights.subarray(1)));
    });
    return { bias, features: Float64Array.from(features) };
  }

  terms(rated, asked) {
    const { systems, targets } = this.systems(rated);
    return asked.map((place) => {
      const influence = zeros(targets.length);
      this.parts(place).forEach((x, at) => {
        const weights = solve(systems[at].factor, x), effect = systems[at].rows.map((row) => dot(row, weights));
        for (let before = at - 1; before >= 0; before -= 1) {
          const { rows, size, factor } = systems[before], passed = solve(factor, sumRows(rows, effect, size));
          rows.forEach((row, j) => { effect[j] -= dot(row, passed); });
        }
        effect.forEach((value, j) => { influence[j] += value; });
      });
      return influence.map((value, j) => value * targets[j]);
    });
  }
}

/** A user's vector as the mean of her posterior: `PosteriorRule`. */
class PosteriorRule {
  constructor(vectors, { posterior }, constants, intercept) {
    Object.assign(this, { vectors, ...posterior, intercept, tolerance: constants.tolerance, size: posterior.features + posterior.rank });
    this.known = 1 + this.features;
    this.effects = this.weights.map((row) => this.precision.map((_, i) => dot(row, this.precision.map((line) => line[i])))); // B P
    this.posterior = remembered((rated) => this.settle(rated));
  }

  x(place) {
    return Float64Array.of(1, ...this.vectors.row(place));
  }

  /** X, y, her prior's pull P B^T g, the posterior's mean, tau, and the factorised S^-1. */
  settle({ places, stars }) {
    const rows = places.map((place) => this.x(place)), n = rows.length, { spread, known, precision } = this, size = this.size + 1;
    const targets = places.map((place, row) => stars[row] - this.intercept - this.vectors.bias[place]);
    const g = [...sumRows(rows.map((x) => x.subarray(0, known)), Array(n).fill(1 / n), known), Math.log(n) - this.centre];
    const pull = sumRows(this.effects, g, size), gram = addGram(squareOf(size), rows), products = sumRows(rows, targets, size);
    for (let i = 0; i < this.rank; i += 1) {
      products[known + i] -= n * spread[1 + i][0];
      for (let j = 0; j <= i; j += 1) gram[known + i][known + j] += n * spread[1 + i][1 + j];
    }
    const squares = dot(targets, targets) + n * spread[0][0];
    let tau = this.shape / this.rate, used, factor, z;
    for (let turn = 0; turn < 100; turn += 1) {
      used = tau;
      factor = factorise(gram.map((row, i) => row.map((value, j) => precision[i][j] + used * value)));
      z = solve(factor, pull.map((value, i) => value + used * products[i]));
      const errors = squares - 2 * dot(z, products) + this.expected(gram, factor, z);
      tau = (this.shape + n / 2) / (this.rate + errors / 2);
      if (Math.abs(tau - used) <= this.tolerance * tau) break;
    }
    return { rows, targets, tau: used, factor, z };
  }

  /** The sum of E[X^T X] * (S + z z^T). */
  expected(gram, factor, z) {
    let sum = 0;
    gram.forEach((row, i) => {
      const covariance = solve(factor, zeros(z.length).fill(1, i, i + 1));
      for (let j = 0; j <= i; j += 1) sum += (i === j ? 1 : 2) * row[j] * (covariance[j] + z[i] * z[j]);
    });
    return sum;
  }

  vector(rated) {
    const { z } = this.posterior(rated);
    return { bias: z[0], features: z.subarray(1) };
  }

  terms(rated, asked) {
    const { rows, targets, tau, factor } = this.posterior(rated), n = rows.length, { spread, known } = this;
    const each = rows.map((x, j) => {
      const pull = sumRows(this.effects, [...x.subarray(0, known), Math.log(n) - this.centre].map((value) => value / n), x.length);
      return pull.map((value, i) => value + tau * (x[i] * targets[j] - (i < known ? 0 : spread[1 + i - known][0])));
    });
    return asked.map((place) => {
      const effect = solve(factor, this.x(place));
      return Float64Array.from(each, (value) => dot(value, effect));
    });
  }
}

const ruleOf = ({ folding, posterior }) => (folding ? PreferenceRule : posterior ? PosteriorRule : RidgeRule);

/** A model of movies: scores and terms of a person's ratings. */
class Model {
  constructor({ intercept, rule, bias, steps, values }, constants) {
    this.intercept = intercept;
    this.vectors = new Vectors(bias, steps, values);
    this.rule = new (ruleOf(rule))(this.vectors, rule, constants, intercept);
    this.scores = remembered((rated) => this.score(rated));
  }

  /** The scores of all movies, without ratings by bias alone. */
  score(rated) {
    const { bias, features } = rated.places.length ? this.rule.vector(rated) : { bias: 0, features: [] };
    return this.vectors.scores(this.intercept + bias, features);
  }
}
