#pragma once
#include "ckernels_vector.h"

extern const ck_vector_kernels ck_vector_plain;
#if defined(__x86_64__)
extern const ck_vector_kernels ck_vector_avx2;
extern const ck_vector_kernels ck_vector_avx512;
#endif
#if defined(__aarch64__)
extern const ck_vector_kernels ck_vector_neon;
#endif

/// Bytes that a list kernel fetches ahead of the row at hand: enough to cover the memory's latency,
/// few enough to stay in the nearest cache.
#define CK_AHEAD 4096

static inline const char *ck_row(ck_rows rows, const uint32_t *ids, uint32_t first, size_t i) {
    // SAFETY: the caller's ids name rows that it holds; the product is taken in 64 bits.
    return (const char *)rows.base + (size_t)(ids ? ids[i] : first + (uint32_t)i) * rows.stride;
}

static inline void ck_fetch(const char *row, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at, 0, 3);
}

/// How many rows of `bytes` bytes are fetched ahead.
static inline size_t ck_ahead(size_t bytes) {
    size_t rows = bytes ? CK_AHEAD / bytes : 0;
    return rows < 2 ? 2 : rows;
}

/// The body of a one-to-many kernel over a one-to-one kernel ONE on components of WIDTH bytes.
#define CK_LIST(NAME, QUERY, ROW, RESULT, ONE)                                             \
    static void NAME(                                                                      \
        const QUERY *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count,   \
        size_t n, RESULT *out) {                                                           \
        size_t bytes = n * sizeof(ROW), ahead = ck_ahead(bytes);                           \
        for (size_t i = 0; i < ahead && i < count; i++) {                                  \
            ck_fetch(ck_row(rows, ids, first, i), bytes);                                  \
        }                                                                                  \
        for (size_t i = 0; i < count; i++) {                                               \
            if (i + ahead < count) ck_fetch(ck_row(rows, ids, first, i + ahead), bytes);   \
            out[i] = ONE(q, (const ROW *)ck_row(rows, ids, first, i), n);                  \
        }                                                                                  \
    }

/// The body of the kernel for codes with factors.
#define CK_CODES(NAME, ONE)                                                                \
    static void NAME(                                                                      \
        const ck_code_query *q, ck_rows rows, const ck_code_factor *factors,               \
        const uint32_t *ids, uint32_t first, size_t count, size_t n, float *out) {         \
        size_t ahead = ck_ahead(n);                                                        \
        for (size_t i = 0; i < ahead && i < count; i++) {                                  \
            ck_fetch(ck_row(rows, ids, first, i), n);                                      \
        }                                                                                  \
        for (size_t i = 0; i < count; i++) {                                               \
            if (i + ahead < count) ck_fetch(ck_row(rows, ids, first, i + ahead), n);       \
            ck_code_factor f = factors[ids ? ids[i] : first + (uint32_t)i];                \
            int32_t product = ONE(q->codes, (const int8_t *)ck_row(rows, ids, first, i), n); \
            out[i] = q->offset + f.offset + q->scale * f.scale * (float)product;           \
        }                                                                                  \
    }

/// The plain form of the kernel of that name, which processors without gathers use too.
size_t ck_unvisited_plain(
    const uint32_t *row, size_t capacity, uint64_t *visited, uint32_t *out);
