"use strict";
// Linear algebra of a few dozen dimensions; a matrix is an array of rows.

function dot(one, other) {
  let sum = 0;
  for (let i = 0; i < one.length; i += 1) sum += one[i] * other[i];
  return sum;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
const zeros = (size) => new Float64Array(size);

/** The Cholesky factor, in place, of a symmetric matrix of which the lower triangle is read. */
function factorise(matrix) {
  matrix.forEach((row, i) => {
    for (let j = 0; j <= i; j += 1) {
      let sum = row[j];
      for (let k = 0; k < j; k += 1) sum -= row[k] * matrix[j][k];
      row[j] = i === j ? Math.sqrt(sum) : sum / matrix[j][j];
    }
  });
  return matrix;
}

/** x of L L^T x = right, L being a Cholesky factor. */
function solve(factor, right) {
  const x = Float64Array.from(right);
  for (let i = 0; i < x.length; i += 1) {
    for (let k = 0; k < i; k += 1) x[i] -= factor[i][k] * x[k];
    x[i] /= factor[i][i];
  }
  for (let i = x.length - 1; i >= 0; i -= 1) {
    x[i] /= factor[i][i];
    for (let k = 0; k < i; k += 1) x[k] -= factor[i][k] * x[i];
  }
  return x;
}

/** The lower triangle of the sum of weight x x^T over rows x, added to a matrix. */
function addGram(matrix, rows, weights = null) {
  rows.forEach((x, row) => {
    const weight = weights ? weights[row] : 1;
    for (let i = 0; i < x.length; i += 1) {
      const line = matrix[i], value = weight * x[i];
      if (value) for (let j = 0; j <= i; j += 1) line[j] += value * x[j];
    }
  });
  return matrix;
}

/** The sum of weight x over rows x. */
function sumRows(rows, weights, size) {
  const sum = zeros(size);
  rows.forEach((x, row) => { for (let i = 0; i < size; i += 1) sum[i] += weights[row] * x[i]; });
  return sum;
}

const squareOf = (size, diagonal = 0) => Array.from({ length: size }, (_, i) => zeros(size).fill(diagonal, i, i + 1));
