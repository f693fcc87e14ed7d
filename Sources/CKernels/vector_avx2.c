// The vector kernels for AVX2 with FMA and F16C (Haswell, Zen and later): 8 components a step.
#include "vector_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(                                          \
    __attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)

static inline float sum8(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline int32_t sum8i(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

// Loads of 8 components, and of the last few with zeros behind them.
static inline __m256 whole_f32(const float *a) { return _mm256_loadu_ps(a); }
static inline __m256 whole_f16(const uint16_t *a) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)a));
}
static inline __m256 part_f32(const float *a, size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    // SAFETY: lanes at or past n are masked and not read.
    return _mm256_maskload_ps(a, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}
static inline __m256 part_f16(const uint16_t *a, size_t n) {
    uint16_t room[8] = {0};
    for (size_t i = 0; i < n; i++) room[i] = a[i];
    return whole_f16(room);
}

#define DOT_STEP(sum, x, y) sum = _mm256_fmadd_ps(x, y, sum)
#define L2_STEP(sum, x, y)                \
    do {                                  \
        __m256 d = _mm256_sub_ps(x, y);   \
        sum = _mm256_fmadd_ps(d, d, sum); \
    } while (0)

// Four sums at a time hide the latency of the multiply-add.
#define PAIR(NAME, A, B, LOAD_A, LOAD_B, STEP)                                               \
    static float NAME(const A *a, const B *b, size_t n) {                                    \
        __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;                          \
        size_t i = 0;                                                                        \
        for (; i + 32 <= n; i += 32) {                                                       \
            STEP(s0, whole_##LOAD_A(a + i), whole_##LOAD_B(b + i));                          \
            STEP(s1, whole_##LOAD_A(a + i + 8), whole_##LOAD_B(b + i + 8));                  \
            STEP(s2, whole_##LOAD_A(a + i + 16), whole_##LOAD_B(b + i + 16));                \
            STEP(s3, whole_##LOAD_A(a + i + 24), whole_##LOAD_B(b + i + 24));                \
        }                                                                                    \
        for (; i + 8 <= n; i += 8) STEP(s0, whole_##LOAD_A(a + i), whole_##LOAD_B(b + i));   \
        if (i < n) STEP(s1, part_##LOAD_A(a + i, n - i), part_##LOAD_B(b + i, n - i));       \
        return sum8(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));            \
    }
PAIR(dot_f32, float, float, f32, f32, DOT_STEP)
PAIR(l2_f32, float, float, f32, f32, L2_STEP)
PAIR(dot_f16, uint16_t, uint16_t, f16, f16, DOT_STEP)
PAIR(l2_f16, uint16_t, uint16_t, f16, f16, L2_STEP)
PAIR(dot_f32_f16, float, uint16_t, f32, f16, DOT_STEP)
PAIR(l2_f32_f16, float, uint16_t, f32, f16, L2_STEP)

// 16 products of 8 bits are widened to 16 bits and added in pairs to 32: exact.
static inline __m256i wide(const int8_t *a) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a));
}

static int32_t dot_i8(const int8_t *a, const int8_t *b, size_t n) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(wide(a + i), wide(b + i)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(wide(a + i + 16), wide(b + i + 16)));
    }
    int32_t sum = sum8i(_mm256_add_epi32(s0, s1));
    for (; i < n; i++) sum += (int32_t)a[i] * b[i];
    return sum;
}

static int32_t l2_i8(const int8_t *a, const int8_t *b, size_t n) {
    __m256i s = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i d = _mm256_sub_epi16(wide(a + i), wide(b + i));
        s = _mm256_add_epi32(s, _mm256_madd_epi16(d, d));
    }
    int32_t sum = sum8i(s);
    for (; i < n; i++) {
        int32_t d = (int32_t)a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

CK_LIST(dot_f32_list, float, float, float, dot_f32)
CK_LIST(l2_f32_list, float, float, float, l2_f32)
CK_LIST(dot_f16_list, float, uint16_t, float, dot_f32_f16)
CK_LIST(l2_f16_list, float, uint16_t, float, l2_f32_f16)
CK_LIST(dot_i8_list, int8_t, int8_t, int32_t, dot_i8)
CK_LIST(l2_i8_list, int8_t, int8_t, int32_t, l2_i8)
CK_CODES(codes_list, dot_i8)

static void f32_to_f16(const float *a, size_t n, uint16_t *out) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(out + i), h);
    }
    for (; i < n; i++) out[i] = _cvtss_sh(a[i], _MM_FROUND_TO_NEAREST_INT);
}

static void f16_to_f32(const uint16_t *a, size_t n, float *out) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, whole_f16(a + i));
    for (; i < n; i++) out[i] = _cvtsh_ss(a[i]);
}

static void f32_to_i8(const float *a, size_t n, float inverse, int8_t *out) {
    const __m256 factor = _mm256_set1_ps(inverse);
    const __m256 top = _mm256_set1_ps(127), bottom = _mm256_set1_ps(-127);
    for (size_t i = 0; i < n; i += 8) {
        size_t left = n - i;
        __m256 v = left < 8 ? part_f32(a + i, left) : whole_f32(a + i);
        v = _mm256_max_ps(_mm256_min_ps(_mm256_mul_ps(v, factor), top), bottom);
        __m256i whole = _mm256_cvtps_epi32(v);
        __m128i words = _mm_packs_epi32(
            _mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
        int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));
        __builtin_memcpy(out + i, &bytes, left < 8 ? left : 8);
    }
}

static float max_abs_f32(const float *a, size_t n) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = n - i < 8 ? part_f32(a + i, n - i) : whole_f32(a + i);
        largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(v), magnitude));
    }
    int32_t lanes[8], bits = 0;
    _mm256_storeu_si256((__m256i *)lanes, largest);
    for (int i = 0; i < 8; i++) bits = lanes[i] > bits ? lanes[i] : bits;
    if (bits > 0x7f800000) bits = 0x7f800000;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

#pragma clang attribute pop

const ck_vector_kernels ck_vector_avx2 = {
    dot_f32,      l2_f32,      dot_f16,      l2_f16,      dot_f32_f16, l2_f32_f16,
    dot_i8,       l2_i8,       dot_f32_list, l2_f32_list, dot_f16_list, l2_f16_list,
    dot_i8_list,  l2_i8_list,  codes_list,   f32_to_f16,  f16_to_f32,  f32_to_i8,
    ck_unvisited_plain, max_abs_f32,
};
#endif
