// The equivariant convolution of NequIP, SevenNet and Nequix on a CPU: forward and backward.
//
//   m_nku = sum_j sum_ab C_kab Y_a(r_nj) w_pu(|r_nj|) x_jbu            (see potentials/convolution.py)
//
// Per atom n, irrep of the input and path p, with the channels u in the lanes of vectors:
//   moments   A_abu = sum_j Y_a(r_nj) w_pu(|r_nj|) x_jbu     only for the degree a of the path
//   coupling  m_nku = sum_ab C_kab A_abu                     only for the entries of C that are not 0
// The backward pass evaluates w again. w is a quintic spline in log(r + shift), and its slope a
// spline of its own: differences of the coefficients of w would lose digits in float32.
//
// Compiled with -DREAL=float or -DREAL=double. The arrays of a pass have REAL numbers but for the
// vectors between atoms and their derivatives, which are double.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace {

using Real = REAL;

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

typedef Real Vector __attribute__((vector_size(kVectorBytes)));
typedef Real Unaligned __attribute__((vector_size(kVectorBytes), aligned(sizeof(Real)), may_alias));

constexpr int kLanes = kVectorBytes / sizeof(Real);
constexpr int kHarmonics = 16;  // of degrees 0 to 3
constexpr int kValues = 6;      // quintic B-splines that are not 0 in an interval
constexpr int kSlopes = 5;      // quartic ones, for the slope

#define ALWAYS_INLINE inline __attribute__((always_inline))

ALWAYS_INLINE Vector load(const Real *from) { return *reinterpret_cast<const Unaligned *>(from); }
ALWAYS_INLINE void store(Real *to, Vector v) { *reinterpret_cast<Unaligned *>(to) = v; }

std::unique_ptr<Vector[]> vectors(int64_t n) { return std::unique_ptr<Vector[]>(new Vector[n]); }

}  // namespace

// ---- What Python hands over; potentials/kernels/library.py declares the same fields.

extern "C" {

// Intervals of the splines: pieces of equal steps in log(r + shift), with break points between them.
struct Intervals {
  int64_t n_pieces;
  double shift;
  const double *start, *step;         // of each piece, in log(r + shift)
  const int64_t *count, *first;       // intervals of each piece, and row of its first coefficient
  const double *values, *slopes;      // (6, 6) and (5, 5): B-splines as polynomials of the interval
};

// All edges, sorted by their first atom.
struct Edges {
  int64_t n_atoms;
  const int64_t *start;    // (n_atoms + 1) first edge of each atom
  const int64_t *second;   // (n_edges) second atom
  const Real *harmonics;   // (n_edges, 16)
  const int32_t *row;      // (n_edges) row of the first coefficient
  const Real *values;      // (n_edges, 6)
  const Real *slopes;      // (n_edges, 5), per Å
};

// All paths from one irrep of the input.
struct Paths {
  int64_t multiplicity, dimension, n_paths, n_rows, n_entries, n_moments;
  const Real *table;         // (rows, n_paths, multiplicity) coefficients of the radial weights
  const Real *slope_table;   // the same of their slopes
  const int32_t *degree;     // (n_paths) of the harmonics
  const int32_t *moment;     // (n_paths) first moment of each path
  const int32_t *entry_row;  // (n_entries) coupling, sorted by row
  const int32_t *entry_moment;
  const Real *entry_value;
  const int32_t *row_output;  // (n_rows) output to which a row of the coupling belongs, and where
  const int64_t *row_offset;  // the row of the first atom begins there
  const int64_t *row_stride;  // from one atom to the next
};

}  // extern "C"

namespace {

// ---- Splines

template <int N>
ALWAYS_INLINE void combine(const Real *rows, const Real *basis, int64_t width, Real *result) {
  Vector b[N];
  for (int k = 0; k < N; k++) b[k] = Vector{} + basis[k];
  for (int64_t i = 0; i < width; i += kLanes) {
    Vector sum = b[0] * load(rows + i);
    for (int k = 1; k < N; k++) sum += b[k] * load(rows + k * width + i);
    store(result + i, sum);
  }
}

template <int N>
void basis_at(const double *matrix, double s, double scale, Real *basis) {
  for (int i = 0; i < N; i++) {
    double sum = matrix[N * i + N - 1];
    for (int j = N - 2; j >= 0; j--) sum = sum * s + matrix[N * i + j];
    basis[i] = static_cast<Real>(scale * sum);
  }
}

void place(const Intervals &intervals, double distance, int32_t *row, Real *values, Real *slopes) {
  const double at = std::log(distance + intervals.shift);
  int64_t piece = intervals.n_pieces - 1;
  while (piece > 0 && at < intervals.start[piece]) piece--;
  const double x = (at - intervals.start[piece]) / intervals.step[piece];
  const int64_t last = intervals.count[piece] - 1;
  const int64_t k = std::clamp(static_cast<int64_t>(x), int64_t{0}, last);
  *row = static_cast<int32_t>(intervals.first[piece] + k);
  basis_at<kValues>(intervals.values, x - k, 1, values);
  basis_at<kSlopes>(intervals.slopes, x - k, 1 / (distance + intervals.shift), slopes);
}

// ---- Harmonics: of unit variance over the sphere, y the polar axis, as e3nn's "component".

const double kRoot3 = std::sqrt(3.), kRoot5 = std::sqrt(5.), kRoot15 = std::sqrt(15.);
const double kRoot7 = std::sqrt(7.), kRoot105 = std::sqrt(105.);
const double kRoot35by8 = std::sqrt(35. / 8), kRoot21by8 = std::sqrt(21. / 8);

void harmonics_of(const double *u, Real *result) {
  const double x = u[0], y = u[1], z = u[2], xx = x * x, yy = y * y, zz = z * z;
  const double a = 4 * yy - xx - zz;
  const double values[kHarmonics] = {
      1,
      kRoot3 * x, kRoot3 * y, kRoot3 * z,
      kRoot15 * x * z, kRoot15 * x * y, kRoot5 * (yy - (xx + zz) / 2), kRoot15 * y * z,
      kRoot15 / 2 * (zz - xx),
      kRoot35by8 * x * (3 * zz - xx), kRoot105 * x * y * z, kRoot21by8 * x * a,
      kRoot7 / 2 * y * (2 * yy - 3 * (xx + zz)), kRoot21by8 * z * a,
      kRoot105 / 2 * y * (zz - xx), kRoot35by8 * z * (zz - 3 * xx)};
  for (int i = 0; i < kHarmonics; i++) result[i] = static_cast<Real>(values[i]);
}

// Derivative of sum_i g_i Y_i by the vector, with the Y as polynomials.
void slope_of_harmonics(const double *u, const Real *weights, double *slope) {
  const double x = u[0], y = u[1], z = u[2], xx = x * x, yy = y * y, zz = z * z;
  const double a = 4 * yy - xx - zz;
  double g[kHarmonics];
  for (int i = 0; i < kHarmonics; i++) g[i] = weights[i];
  slope[0] = kRoot3 * g[1] + kRoot15 * (z * g[4] + y * g[5] - x * g[8]) - kRoot5 * x * g[6] +
             kRoot35by8 * (3 * (zz - xx) * g[9] - 6 * x * z * g[15]) +
             kRoot105 * y * (z * g[10] - x * g[14]) +
             kRoot21by8 * ((a - 2 * xx) * g[11] - 2 * x * z * g[13]) - 3 * kRoot7 * x * y * g[12];
  slope[1] = kRoot3 * g[2] + kRoot15 * (x * g[5] + z * g[7]) + 2 * kRoot5 * y * g[6] +
             kRoot105 * (x * z * g[10] + (zz - xx) / 2 * g[14]) +
             8 * kRoot21by8 * y * (x * g[11] + z * g[13]) +
             kRoot7 / 2 * (6 * yy - 3 * (xx + zz)) * g[12];
  slope[2] = kRoot3 * g[3] + kRoot15 * (x * g[4] + y * g[7] + z * g[8]) - kRoot5 * z * g[6] +
             kRoot35by8 * (6 * x * z * g[9] + 3 * (zz - xx) * g[15]) +
             kRoot105 * y * (x * g[10] + z * g[14]) +
             kRoot21by8 * ((a - 2 * zz) * g[13] - 2 * x * z * g[11]) - 3 * kRoot7 * y * z * g[12];
}

// ---- Forward

// Moments of components FIRST to FIRST + N - 1 of x: few enough to stay in registers.
template <int D, int L, int FIRST, int N>
ALWAYS_INLINE void moments(int64_t n_edges, const Real *w, int64_t width, const Real *x, int64_t u,
                           const int64_t *second, const Real *harmonics, Vector *result) {
  constexpr int M = 2 * L + 1;
  Vector sums[M][N];
  for (int m = 0; m < M; m++)
    for (int d = 0; d < N; d++) sums[m][d] = Vector{};
  for (int64_t e = 0; e < n_edges; e++) {
    const Vector weight = load(w + e * width);
    const Real *features = x + (second[e] * D + FIRST) * u;
    const Real *y = harmonics + e * kHarmonics + L * L;
    Vector product[N];
#pragma GCC unroll 8
    for (int d = 0; d < N; d++) product[d] = weight * load(features + d * u);
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) {
      const Vector ym = Vector{} + y[m];
#pragma GCC unroll 8
      for (int d = 0; d < N; d++) sums[m][d] += ym * product[d];
    }
  }
  for (int m = 0; m < M; m++)
    for (int d = 0; d < N; d++) result[m * D + FIRST + d] = sums[m][d];
}

template <int D, int L, class... Args>
void moments_of_path(Args... args) {
  if constexpr (D == 7 && L == 3) {
    moments<7, 3, 0, 3>(args...);
    moments<7, 3, 3, 2>(args...);
    moments<7, 3, 5, 2>(args...);
  } else if constexpr (D == 7 && L == 2) {
    moments<7, 2, 0, 4>(args...);
    moments<7, 2, 4, 3>(args...);
  } else if constexpr (D == 5 && L == 3) {
    moments<5, 3, 0, 3>(args...);
    moments<5, 3, 3, 2>(args...);
  } else {
    moments<D, L, 0, D>(args...);
  }
}

template <int D>
void convolve_forward(const Edges &edges, const Paths &paths, const Real *x, Real *const *outputs) {
  const int64_t u = paths.multiplicity, width = paths.n_paths * u;
  int64_t most = 0;
  for (int64_t n = 0; n < edges.n_atoms; n++)
    most = std::max(most, edges.start[n + 1] - edges.start[n]);
  const auto weights = vectors(most * width / kLanes), sums = vectors(paths.n_moments);
  Real *const w = reinterpret_cast<Real *>(weights.get());
  for (int64_t n = 0; n < edges.n_atoms; n++) {
    const int64_t first = edges.start[n], count = edges.start[n + 1] - first;
    for (int64_t e = 0; e < count; e++)
      combine<kValues>(paths.table + edges.row[first + e] * width,
                       edges.values + kValues * (first + e), width, w + e * width);
    for (int64_t c = 0; c < u; c += kLanes) {
      for (int64_t p = 0; p < paths.n_paths; p++) {
        const auto sum = [&](auto degree) {
          moments_of_path<D, degree>(count, w + p * u + c, width, x + c, u, edges.second + first,
                                     edges.harmonics + kHarmonics * first,
                                     sums.get() + paths.moment[p]);
        };
        switch (paths.degree[p]) {
          case 0: sum(std::integral_constant<int, 0>{}); break;
          case 1: sum(std::integral_constant<int, 1>{}); break;
          case 2: sum(std::integral_constant<int, 2>{}); break;
          default: sum(std::integral_constant<int, 3>{});
        }
      }
      int64_t k = 0;
      for (int64_t row = 0; row < paths.n_rows; row++) {
        Vector sum = Vector{};
        for (; k < paths.n_entries && paths.entry_row[k] == row; k++)
          sum += paths.entry_value[k] * sums[paths.entry_moment[k]];
        store(outputs[paths.row_output[row]] + paths.row_offset[row] + n * paths.row_stride[row] + c,
              sum);
      }
    }
  }
}

// ---- Backward

#if defined(__clang__)
template <int... I>
ALWAYS_INLINE Vector pairwise_sums(Vector a, Vector b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...) + __builtin_shufflevector(a, b, (2 * I + 1)...);
}
ALWAYS_INLINE Vector pairwise_sums(Vector a, Vector b) {
  return pairwise_sums(a, b, std::make_integer_sequence<int, kLanes>{});
}
#else
ALWAYS_INLINE Vector pairwise_sums(Vector a, Vector b) {
  typedef std::conditional_t<sizeof(Real) == 4, int32_t, int64_t> Index;
  typedef Index Indices __attribute__((vector_size(kVectorBytes)));
  Indices even, odd;
  for (int i = 0; i < kLanes; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
  return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
}
#endif

// Lane i of the result is the sum over the lanes of v[i]; v is overwritten.
ALWAYS_INLINE Vector sums_of_lanes(Vector *v) {
#pragma GCC unroll 5
  for (int n = kLanes; n > 1; n /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; i++) v[i] = pairwise_sums(v[2 * i], v[2 * i + 1]);
  return v[0];
}

// One path of one edge: adds to the derivatives by x, by the harmonics and (place 0) the distance.
template <int D, int L>
ALWAYS_INLINE void path_backward(const Real *y, const Vector *by_moment, Vector w, Vector slope,
                                 const Vector *x, Vector *by_x, Vector *by_edge) {
  constexpr int M = 2 * L + 1;
  Vector turned[D], product[D];
#pragma GCC unroll 8
  for (int d = 0; d < D; d++) product[d] = w * x[d], turned[d] = Vector{};
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) {
    const Vector ym = Vector{} + y[L * L + m];
    Vector sum = Vector{};
#pragma GCC unroll 8
    for (int d = 0; d < D; d++) {
      const Vector g = by_moment[m * D + d];
      turned[d] += ym * g;
      if (L > 0) sum += g * product[d];
    }
    if (L > 0) by_edge[L * L + m] += sum;
  }
  Vector sum = Vector{};
#pragma GCC unroll 8
  for (int d = 0; d < D; d++) sum += turned[d] * x[d], by_x[d] += w * turned[d];
  by_edge[0] += slope * sum;
}

// Derivatives by the moments of an atom, channels outermost: (u / lanes, n_moments).
void by_moments(const Paths &paths, int64_t n, const Real *const *by_outputs, Vector *result) {
  const int64_t blocks = paths.multiplicity / kLanes;
  std::fill_n(result, paths.n_moments * blocks, Vector{});
  for (int64_t k = 0; k < paths.n_entries; k++) {
    const int32_t row = paths.entry_row[k];
    const Real *from =
        by_outputs[paths.row_output[row]] + paths.row_offset[row] + n * paths.row_stride[row];
    for (int64_t b = 0; b < blocks; b++)
      result[b * paths.n_moments + paths.entry_moment[k]] +=
          paths.entry_value[k] * load(from + b * kLanes);
  }
}

template <int D>
void convolve_backward(const Edges &edges, const Paths &paths, const Real *x,
                       const Real *const *by_outputs, Real *by_x, Real *by_edges) {
  const int64_t u = paths.multiplicity, width = paths.n_paths * u, blocks = u / kLanes;
  const auto weights = vectors(2 * width / kLanes), by_moment = vectors(paths.n_moments * blocks);
  Real *const w = reinterpret_cast<Real *>(weights.get()), *const slope = w + width;
  for (int64_t n = 0; n < edges.n_atoms; n++) {
    by_moments(paths, n, by_outputs, by_moment.get());
    for (int64_t e = edges.start[n]; e < edges.start[n + 1]; e++) {
      combine<kValues>(paths.table + edges.row[e] * width, edges.values + kValues * e, width, w);
      combine<kSlopes>(paths.slope_table + edges.row[e] * width, edges.slopes + kSlopes * e, width,
                       slope);
      Vector by_edge[kHarmonics];
      std::fill_n(by_edge, kHarmonics, Vector{});
      const Real *y = edges.harmonics + kHarmonics * e;
      for (int64_t b = 0; b < blocks; b++) {
        const int64_t at = edges.second[e] * D * u + b * kLanes;
        Vector xs[D], sums[D];
#pragma GCC unroll 8
        for (int d = 0; d < D; d++) xs[d] = load(x + at + d * u), sums[d] = Vector{};
        for (int64_t p = 0; p < paths.n_paths; p++) {
          const int64_t channel = p * u + b * kLanes;
          const Vector *g = by_moment.get() + b * paths.n_moments + paths.moment[p];
          const Vector wp = load(w + channel), sp = load(slope + channel);
          switch (paths.degree[p]) {
            case 0: path_backward<D, 0>(y, g, wp, sp, xs, sums, by_edge); break;
            case 1: path_backward<D, 1>(y, g, wp, sp, xs, sums, by_edge); break;
            case 2: path_backward<D, 2>(y, g, wp, sp, xs, sums, by_edge); break;
            default: path_backward<D, 3>(y, g, wp, sp, xs, sums, by_edge);
          }
        }
        if (by_x)
#pragma GCC unroll 8
          for (int d = 0; d < D; d++) store(by_x + at + d * u, load(by_x + at + d * u) + sums[d]);
      }
      for (int i = 0; i < kHarmonics; i += kLanes) {
        Real *to = by_edges + kHarmonics * e + i;
        store(to, load(to) + sums_of_lanes(by_edge + i));
      }
    }
  }
}

}  // namespace

extern "C" {

// Unit of a vector's harmonics, and its place among the intervals of the splines.
void edges_forward(int64_t n_edges, const double *vectors, const Intervals *intervals,
                   Real *harmonics, int32_t *rows, Real *values, Real *slopes) {
  for (int64_t e = 0; e < n_edges; e++) {
    const double *v = vectors + 3 * e, r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    const double unit[3] = {v[0] / r, v[1] / r, v[2] / r};
    harmonics_of(unit, harmonics + kHarmonics * e);
    place(*intervals, r, rows + e, values + kValues * e, slopes + kSlopes * e);
  }
}

// Derivatives (n_edges, 3) by the vectors, from those by harmonics and (place 0) distance.
void edges_backward(int64_t n_edges, const double *vectors, const Real *by_edges,
                    double *by_vectors) {
  for (int64_t e = 0; e < n_edges; e++) {
    const double *v = vectors + 3 * e, r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    const double unit[3] = {v[0] / r, v[1] / r, v[2] / r};
    double slope[3];
    slope_of_harmonics(unit, by_edges + kHarmonics * e, slope);
    const double along = slope[0] * unit[0] + slope[1] * unit[1] + slope[2] * unit[2];
    for (int i = 0; i < 3; i++)
      by_vectors[3 * e + i] = (slope[i] - along * unit[i]) / r + by_edges[kHarmonics * e] * unit[i];
  }
}

// Outputs: one array (n_atoms, dimension, width) for each irrep of the output.
void convolution_forward(const Edges *edges, const Paths *paths, const Real *x,
                         Real *const *outputs) {
  switch (paths->dimension) {
    case 1: return convolve_forward<1>(*edges, *paths, x, outputs);
    case 3: return convolve_forward<3>(*edges, *paths, x, outputs);
    case 5: return convolve_forward<5>(*edges, *paths, x, outputs);
    default: return convolve_forward<7>(*edges, *paths, x, outputs);
  }
}

// Adds to by_x (unless it is null) and to by_edges (n_edges, 16), place 0 by the distance.
void convolution_backward(const Edges *edges, const Paths *paths, const Real *x,
                          const Real *const *by_outputs, Real *by_x, Real *by_edges) {
  switch (paths->dimension) {
    case 1: return convolve_backward<1>(*edges, *paths, x, by_outputs, by_x, by_edges);
    case 3: return convolve_backward<3>(*edges, *paths, x, by_outputs, by_x, by_edges);
    case 5: return convolve_backward<5>(*edges, *paths, x, by_outputs, by_x, by_edges);
    default: return convolve_backward<7>(*edges, *paths, x, by_outputs, by_x, by_edges);
  }
}

}  // extern "C"
