// The vector kernels for AVX-512 with VNNI (Cascade Lake, Zen 4 and later): 16 floats or 64 codes a
// step; last steps are masked.
//
// Products of codes: the instruction multiplies unsigned by signed bytes. Rows are moved up by 128
// (their top bit flipped), and 128 times the sum of the query's codes is taken off again; a list
// takes that sum once. Four rows are multiplied at a time, so that one tree of additions serves
// four totals.
#include "vector_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(                                                   \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,bmi,bmi2,popcnt"))), \
    apply_to = function)

// SAFETY: lanes whose mask bit is clear are not read, in all masked loads here.
static inline __m512 whole_f32(const float *a) { return _mm512_loadu_ps(a); }
static inline __m512 part_f32(const float *a, __mmask16 m) { return _mm512_maskz_loadu_ps(m, a); }
static inline __m512 whole_f16(const uint16_t *a) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)a));
}
static inline __m512 part_f16(const uint16_t *a, __mmask16 m) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, a));
}

static inline __mmask16 last16(size_t n) { return (__mmask16)((1u << n) - 1); }
static inline __mmask64 last64(size_t n) { return _bzhi_u64(~UINT64_C(0), (unsigned)n); }

#define DOT_STEP(sum, x, y) sum = _mm512_fmadd_ps(x, y, sum)
#define L2_STEP(sum, x, y)                \
    do {                                  \
        __m512 d = _mm512_sub_ps(x, y);   \
        sum = _mm512_fmadd_ps(d, d, sum); \
    } while (0)

#define PAIR(NAME, A, B, LOAD_A, LOAD_B, STEP)                                               \
    static inline float NAME(const A *a, const B *b, size_t n) {                             \
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;                          \
        size_t i = 0;                                                                        \
        for (; i + 64 <= n; i += 64) {                                                       \
            STEP(s0, whole_##LOAD_A(a + i), whole_##LOAD_B(b + i));                          \
            STEP(s1, whole_##LOAD_A(a + i + 16), whole_##LOAD_B(b + i + 16));                \
            STEP(s2, whole_##LOAD_A(a + i + 32), whole_##LOAD_B(b + i + 32));                \
            STEP(s3, whole_##LOAD_A(a + i + 48), whole_##LOAD_B(b + i + 48));                \
        }                                                                                    \
        for (; i + 16 <= n; i += 16) STEP(s0, whole_##LOAD_A(a + i), whole_##LOAD_B(b + i)); \
        if (i < n) {                                                                         \
            __mmask16 m = last16(n - i);                                                     \
            STEP(s1, part_##LOAD_A(a + i, m), part_##LOAD_B(b + i, m));                      \
        }                                                                                    \
        return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3))); \
    }
PAIR(dot_f32, float, float, f32, f32, DOT_STEP)
PAIR(l2_f32, float, float, f32, f32, L2_STEP)
PAIR(dot_f16, uint16_t, uint16_t, f16, f16, DOT_STEP)
PAIR(l2_f16, uint16_t, uint16_t, f16, f16, L2_STEP)
PAIR(dot_f32_f16, float, uint16_t, f32, f16, DOT_STEP)
PAIR(l2_f32_f16, float, uint16_t, f32, f16, L2_STEP)

static inline __m512i flipped(__m512i row) {
    return _mm512_xor_si512(row, _mm512_set1_epi8((char)0x80));
}

/// 128 times the sum of the codes of a query: what flipping the rows adds to each product.
static int32_t excess_of(const int8_t *q, size_t n) {
    const __m512i bias = _mm512_set1_epi8((char)0x80);
    __m512i s = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) s = _mm512_dpbusd_epi32(s, bias, _mm512_loadu_si512(q + i));
    if (i < n) s = _mm512_dpbusd_epi32(s, bias, _mm512_maskz_loadu_epi8(last64(n - i), q + i));
    return _mm512_reduce_add_epi32(s);
}

/// The product of a query and one row, without the correction.
static inline int32_t raw_dot(const int8_t *q, const int8_t *row, size_t n) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0;
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        s0 = _mm512_dpbusd_epi32(
            s0, flipped(_mm512_loadu_si512(row + i)), _mm512_loadu_si512(q + i));
        s1 = _mm512_dpbusd_epi32(
            s1, flipped(_mm512_loadu_si512(row + i + 64)), _mm512_loadu_si512(q + i + 64));
    }
    for (; i < n; i += 64) {
        __mmask64 m = n - i < 64 ? last64(n - i) : ~UINT64_C(0);
        s0 = _mm512_dpbusd_epi32(
            s0, flipped(_mm512_maskz_loadu_epi8(m, row + i)), _mm512_maskz_loadu_epi8(m, q + i));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

static int32_t dot_i8(const int8_t *a, const int8_t *b, size_t n) {
    return raw_dot(a, b, n) - excess_of(a, n);
}

static int32_t l2_i8(const int8_t *a, const int8_t *b, size_t n) {
    __m512i s = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 32) {
        __mmask32 m = n - i < 32 ? (__mmask32)((1u << (n - i)) - 1) : ~0u;
        __m512i x = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(m, a + i));
        __m512i y = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(m, b + i));
        __m512i d = _mm512_sub_epi16(x, y);
        s = _mm512_dpwssd_epi32(s, d, d);
    }
    return _mm512_reduce_add_epi32(s);
}

CK_LIST(dot_f32_list, float, float, float, dot_f32)
CK_LIST(l2_f32_list, float, float, float, l2_f32)
CK_LIST(dot_f16_list, float, uint16_t, float, dot_f32_f16)
CK_LIST(l2_f16_list, float, uint16_t, float, l2_f32_f16)
CK_LIST(l2_i8_list, int8_t, int8_t, int32_t, l2_i8)

/// The sums of four registers, one per lane.
static inline __m128i totals(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i s = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

static inline __m128i raw_dot4(
    const int8_t *q, const char *r0, const char *r1, const char *r2, const char *r3, size_t n) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i x = _mm512_loadu_si512(q + i);
        a = _mm512_dpbusd_epi32(a, flipped(_mm512_loadu_si512(r0 + i)), x);
        b = _mm512_dpbusd_epi32(b, flipped(_mm512_loadu_si512(r1 + i)), x);
        c = _mm512_dpbusd_epi32(c, flipped(_mm512_loadu_si512(r2 + i)), x);
        d = _mm512_dpbusd_epi32(d, flipped(_mm512_loadu_si512(r3 + i)), x);
    }
    if (i < n) {
        __mmask64 m = last64(n - i);
        __m512i x = _mm512_maskz_loadu_epi8(m, q + i);
        a = _mm512_dpbusd_epi32(a, flipped(_mm512_maskz_loadu_epi8(m, r0 + i)), x);
        b = _mm512_dpbusd_epi32(b, flipped(_mm512_maskz_loadu_epi8(m, r1 + i)), x);
        c = _mm512_dpbusd_epi32(c, flipped(_mm512_maskz_loadu_epi8(m, r2 + i)), x);
        d = _mm512_dpbusd_epi32(d, flipped(_mm512_maskz_loadu_epi8(m, r3 + i)), x);
    }
    return totals(a, b, c, d);
}

static void dot_i8_list(
    const int8_t *q, ck_rows rows, const uint32_t *ids, uint32_t first, size_t count, size_t n,
    int32_t *out) {
    if (count == 0) return;
    size_t ahead = ck_ahead(n);
    for (size_t i = 0; i < ahead && i < count; i++) ck_fetch(ck_row(rows, ids, first, i), n);
    const int32_t excess = excess_of(q, n);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (size_t j = i + ahead; j < i + ahead + 4 && j < count; j++) {
            ck_fetch(ck_row(rows, ids, first, j), n);
        }
        __m128i s = raw_dot4(
            q, ck_row(rows, ids, first, i), ck_row(rows, ids, first, i + 1),
            ck_row(rows, ids, first, i + 2), ck_row(rows, ids, first, i + 3), n);
        _mm_storeu_si128((__m128i *)(out + i), _mm_sub_epi32(s, _mm_set1_epi32(excess)));
    }
    for (; i < count; i++) {
        out[i] = raw_dot(q, (const int8_t *)ck_row(rows, ids, first, i), n) - excess;
    }
}

static void codes_list(
    const ck_code_query *q, ck_rows rows, const ck_code_factor *factors, const uint32_t *ids,
    uint32_t first, size_t count, size_t n, float *out) {
    // Products of a block stay in registers and the nearest cache until they become distances.
    int32_t products[64];
    for (size_t at = 0; at < count; at += 64) {
        size_t block = count - at < 64 ? count - at : 64;
        const uint32_t *part = ids ? ids + at : NULL;
        dot_i8_list(q->codes, rows, part, first + (uint32_t)at, block, n, products);
        for (size_t i = 0; i < block; i++) {
            ck_code_factor f = factors[part ? part[i] : first + (uint32_t)(at + i)];
            out[at + i] = q->offset + f.offset + q->scale * f.scale * (float)products[i];
        }
    }
}

static void f32_to_f16(const float *a, size_t n, uint16_t *out) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? last16(n - i) : 0xffff;
        __m256i h = _mm512_cvtps_ph(part_f32(a + i, m), _MM_FROUND_TO_NEAREST_INT);
        _mm256_mask_storeu_epi16(out + i, m, h);
    }
}

static void f16_to_f32(const uint16_t *a, size_t n, float *out) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? last16(n - i) : 0xffff;
        _mm512_mask_storeu_ps(out + i, m, part_f16(a + i, m));
    }
}

static void f32_to_i8(const float *a, size_t n, float inverse, int8_t *out) {
    const __m512 factor = _mm512_set1_ps(inverse);
    const __m512 top = _mm512_set1_ps(127), bottom = _mm512_set1_ps(-127);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? last16(n - i) : 0xffff;
        __m512 v = _mm512_mul_ps(part_f32(a + i, m), factor);
        v = _mm512_max_ps(_mm512_min_ps(v, top), bottom);
        _mm_mask_storeu_epi8(out + i, m, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
    }
}

static float max_abs_f32(const float *a, size_t n) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i < 16 ? last16(n - i) : 0xffff;
        __m512i v = _mm512_castps_si512(part_f32(a + i, m));
        largest = _mm512_max_epu32(largest, _mm512_and_si512(v, magnitude));
    }
    uint32_t bits = _mm512_reduce_max_epu32(largest);
    if (bits > 0x7f800000) bits = 0x7f800000;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

/// Whether the bits of 16 ids are set, for those in `valid`.
static inline __mmask16 bits_of(__mmask16 valid, const uint64_t *bits, __m512i ids) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i at = _mm512_srli_epi32(ids, 5), place = _mm512_and_si512(ids, _mm512_set1_epi32(31));
    __m512i words = _mm512_mask_i32gather_epi32(zero, valid, at, bits, 4);
    return _mm512_test_epi32_mask(words, _mm512_sllv_epi32(_mm512_set1_epi32(1), place));
}

static size_t unvisited(
    const uint32_t *row, size_t capacity, uint64_t *visited, uint32_t *out) {
    const __m512i none = _mm512_set1_epi32(-1);
    size_t count = 0;
    for (size_t i = 0; i < capacity; i += 16) {
        __mmask16 in = capacity - i < 16 ? last16(capacity - i) : 0xffff;
        __m512i ids = _mm512_maskz_loadu_epi32(in, row + i);
        __mmask16 valid = _mm512_mask_cmpneq_epi32_mask(in, ids, none);
        if (valid == 0) break;
        __mmask16 fresh = valid & (__mmask16)~bits_of(valid, visited, ids);
        // SAFETY: the whole register is stored; the caller leaves room for it.
        _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32(fresh, ids));
        count += (size_t)__builtin_popcount(fresh);
    }
    for (size_t i = 0; i < count; i++) visited[out[i] >> 6] |= UINT64_C(1) << (out[i] & 63);
    return count;
}

#pragma clang attribute pop

const ck_vector_kernels ck_vector_avx512 = {
    dot_f32,      l2_f32,      dot_f16,      l2_f16,      dot_f32_f16, l2_f32_f16,
    dot_i8,       l2_i8,       dot_f32_list, l2_f32_list, dot_f16_list, l2_f16_list,
    dot_i8_list,  l2_i8_list,  codes_list,   f32_to_f16,  f16_to_f32,  f32_to_i8,
    unvisited,    max_abs_f32,
};
#endif
