#pragma once
// Distances between vectors, and the conversions between their stored forms.
//
// Contract of every kernel here:
// - `n` is the number of components: any number from 0 to 2^16. No alignment is asked for beyond
//   that of the component type. A vector of no components has dot product and distance 0.
// - f16 components are IEEE binary16 bit patterns in uint16_t; int8 ones are two's complement.
// - Lists: `rows.base + id * rows.stride` is row `id`; `ids` may be NULL for the rows
//   `first ..< first + count`. Distances are written to `out[0 ..< count]`, in order. Rows are
//   fetched ahead of their turn, so a list that is known early is cheaper than single calls.
// - Integer results are exact and the same on every machine; float results differ between
//   instruction sets by rounding, because sums are taken in another order.
// - Nothing is allocated, nothing is kept: all kernels may run on any number of threads at once.
#include <stddef.h>
#include <stdint.h>

/// Rows of vectors in memory, `stride` bytes apart.
typedef struct {
    const void *base;
    size_t stride;
} ck_rows;

/// What turns the product of two code vectors into a distance: `offset + scale * product`.
typedef struct {
    float scale;
    float offset;
} ck_code_factor;

/// A query in codes. Distance to row i: offset + factors[i].offset + scale * factors[i].scale *
/// (codes . row i).
typedef struct {
    const int8_t *codes;
    float scale;
    float offset;
} ck_code_query;

/// One set of kernels, built for one instruction set.
typedef struct {
    /// Inner products and squared Euclidean distances, one to one.
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*l2_f32)(const float *a, const float *b, size_t n);
    float (*dot_f16)(const uint16_t *a, const uint16_t *b, size_t n);
    float (*l2_f16)(const uint16_t *a, const uint16_t *b, size_t n);
    float (*dot_f32_f16)(const float *a, const uint16_t *b, size_t n);
    float (*l2_f32_f16)(const float *a, const uint16_t *b, size_t n);
    int32_t (*dot_i8)(const int8_t *a, const int8_t *b, size_t n);
    int32_t (*l2_i8)(const int8_t *a, const int8_t *b, size_t n);
    /// One to many: f32 query to f32 rows, f32 query to f16 rows, int8 query to int8 rows.
    void (*dot_f32_list)(
        const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
        float *out);
    void (*l2_f32_list)(
        const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
        float *out);
    void (*dot_f16_list)(
        const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
        float *out);
    void (*l2_f16_list)(
        const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
        float *out);
    void (*dot_i8_list)(
        const int8_t *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
        int32_t *out);
    void (*l2_i8_list)(
        const int8_t *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
        int32_t *out);
    /// Distances of codes that carry factors, `factors[id]` for row `id`.
    void (*codes_list)(
        const ck_code_query *q, ck_rows rows, const ck_code_factor *factors, const uint32_t *ids,
        uint32_t first, size_t count, size_t n, float *out);
    /// Rounds to the nearest f16, ties to even; beyond its range becomes infinite.
    void (*f32_to_f16)(const float *a, size_t n, uint16_t *out);
    /// Exact.
    void (*f16_to_f32)(const uint16_t *a, size_t n, float *out);
    /// out = a * inverse, rounded to nearest (ties to even) and kept within -127...127.
    void (*f32_to_i8)(const float *a, size_t n, float inverse, int8_t *out);
    /// Of the row of `capacity` ids, filled from the front, the rest UINT32_MAX, no id twice: lists
    /// those whose bit in `visited` is clear, and sets it. `out` has room for `capacity` rounded up
    /// to 16. Returns how many.
    size_t (*unvisited)(const uint32_t *row, size_t capacity, uint64_t *visited, uint32_t *out);
    /// The largest magnitude; infinite or NaN components count as infinite.
    float (*max_abs_f32)(const float *a, size_t n);
} ck_vector_kernels;

/// Levels: 0 plain C, 1 AVX2 with FMA and F16C, 2 AVX-512 (F, BW, VL, DQ, VNNI), 3 NEON. NULL: not
/// on this processor.
const ck_vector_kernels *ck_vector_level(int level);
/// The best level of this processor, chosen once at start.
extern const ck_vector_kernels *const *const ck_vector_best;
/// The kernels to use.
static inline const ck_vector_kernels *ck_vector(void) { return *ck_vector_best; }

/// Asks for the cache line of `address`; any address is allowed.
static inline void ck_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

// The list kernels by name: what loops call.

static inline void ck_codes_list(
    const ck_code_query *q, ck_rows rows, const ck_code_factor *factors, const uint32_t *ids,
    uint32_t first, size_t count, size_t n, float *out) {
    ck_vector()->codes_list(q, rows, factors, ids, first, count, n, out);
}
static inline void ck_dot_f32_list(
    const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
    float *out) {
    ck_vector()->dot_f32_list(q, rows, ids, first, count, n, out);
}
static inline void ck_l2_f32_list(
    const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
    float *out) {
    ck_vector()->l2_f32_list(q, rows, ids, first, count, n, out);
}
static inline void ck_dot_f16_list(
    const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
    float *out) {
    ck_vector()->dot_f16_list(q, rows, ids, first, count, n, out);
}
static inline void ck_l2_f16_list(
    const float *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
    float *out) {
    ck_vector()->l2_f16_list(q, rows, ids, first, count, n, out);
}
static inline size_t ck_unvisited(
    const uint32_t *row, size_t capacity, uint64_t *visited, uint32_t *out) {
    return ck_vector()->unvisited(row, capacity, visited, out);
}
static inline float ck_dot_f32(const float *a, const float *b, size_t n) {
    return ck_vector()->dot_f32(a, b, n);
}
static inline int32_t ck_dot_i8(const int8_t *a, const int8_t *b, size_t n) {
    return ck_vector()->dot_i8(a, b, n);
}
static inline void ck_f32_to_f16(const float *a, size_t n, uint16_t *out) {
    ck_vector()->f32_to_f16(a, n, out);
}
static inline void ck_f16_to_f32(const uint16_t *a, size_t n, float *out) {
    ck_vector()->f16_to_f32(a, n, out);
}
static inline void ck_f32_to_i8(const float *a, size_t n, float inverse, int8_t *out) {
    ck_vector()->f32_to_i8(a, n, inverse, out);
}
static inline float ck_max_abs_f32(const float *a, size_t n) {
    return ck_vector()->max_abs_f32(a, n);
}
