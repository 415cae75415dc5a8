// Eigenvalues and eigenvectors of a complex Hermitian matrix by Jacobi's rotations.

export interface Hermitian {
  n: number;
  re: Float64Array;
  im: Float64Array;
}

export interface Eigen {
  // Ascending.
  values: number[];
  // One vector each: real and imaginary parts of its components in turn.
  vectors: Float64Array[];
}

// Off-diagonal elements below this share of the matrix are rounding.
const ROUNDING = 1e-32;
const MOST_SWEEPS = 40;

export function makeHermitian(n: number): Hermitian {
  return { n, re: new Float64Array(n * n), im: new Float64Array(n * n) };
}

// Changes the matrix that is given.
export function diagonalise(matrix: Hermitian): Eigen {
  const { n, re } = matrix;
  const basis = makeHermitian(n);
  for (let i = 0; i < n; i++) basis.re[i * n + i] = 1;
  const size = matrix.re.reduce((sum, x, i) => sum + x * x + matrix.im[i] ** 2, 0);
  for (let sweep = 0; sweep < MOST_SWEEPS && outside(matrix) > ROUNDING * size; sweep++)
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(matrix, basis, p, q);
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => re[a * n + a] - re[b * n + b]);
  return { values: order.map((i) => re[i * n + i]), vectors: order.map((i) => column(basis, i)) };
}

function outside({ n, re, im }: Hermitian): number {
  let sum = 0;
  for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) sum += 2 * (re[p * n + q] ** 2 + im[p * n + q] ** 2);
  return sum;
}

// Makes the element p, q zero: p' = c p - s w* q, q' = s w p + c q with the phase w of that element.
function rotate(matrix: Hermitian, basis: Hermitian, p: number, q: number): void {
  const { n, re, im } = matrix;
  const size = Math.hypot(re[p * n + q], im[p * n + q]);
  if (size === 0) return;
  const [x, y] = [re[p * n + q] / size, im[p * n + q] / size];
  const tau = (re[q * n + q] - re[p * n + p]) / (2 * size);
  const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
  const c = 1 / Math.hypot(1, t);
  const s = t * c;
  mixColumns(matrix, p, q, c, s, x, y);
  mixColumns(basis, p, q, c, s, x, y);
  for (let k = 0; k < n; k++) {
    const [i, j] = [p * n + k, q * n + k];
    const [a, b, d, e] = [re[i], im[i], re[j], im[j]];
    re[i] = c * a - s * (x * d - y * e);
    im[i] = c * b - s * (x * e + y * d);
    re[j] = s * (x * a + y * b) + c * d;
    im[j] = s * (x * b - y * a) + c * e;
  }
}

function mixColumns({ n, re, im }: Hermitian, p: number, q: number, c: number, s: number, x: number, y: number): void {
  for (let k = 0; k < n; k++) {
    const [i, j] = [k * n + p, k * n + q];
    const [a, b, d, e] = [re[i], im[i], re[j], im[j]];
    re[i] = c * a - s * (x * d + y * e);
    im[i] = c * b - s * (x * e - y * d);
    re[j] = s * (x * a - y * b) + c * d;
    im[j] = s * (x * b + y * a) + c * e;
  }
}

function column({ n, re, im }: Hermitian, i: number): Float64Array {
  return Float64Array.from({ length: 2 * n }, (_, k) => (k % 2 ? im : re)[(k >> 1) * n + i]);
}
