// The scan kernels for AVX2: 32 rows an instruction.
#include "scan_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)

// Unsigned `code - lo <= hi - lo` as min(x, span) == x: AVX2 has no unsigned compare.
static inline uint32_t range32(const uint8_t *codes, __m256i lo, __m256i span) {
    __m256i x = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)codes), lo);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(x, span), x));
}

static inline uint64_t range64(const uint8_t *codes, __m256i lo, __m256i span) {
    return range32(codes, lo, span) | (uint64_t)range32(codes + 32, lo, span) << 32;
}

static inline uint64_t equal64(const uint8_t *codes, __m256i value) {
    __m256i a = _mm256_loadu_si256((const __m256i *)codes);
    __m256i b = _mm256_loadu_si256((const __m256i *)(codes + 32));
    uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, value));
    uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, value));
    return low | (uint64_t)high << 32;
}

static void avx2_u8_range(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint64_t *bits) {
    __m256i l = _mm256_set1_epi8((char)lo), s = _mm256_set1_epi8((char)(hi - lo));
    for (size_t b = 0; b < blocks; b++) bits[b] = range64(codes + b * 64, l, s);
}

static size_t avx2_u8_range_edges(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint8_t edge_a, uint8_t edge_b,
    const uint64_t *mask, uint64_t *bits, uint32_t *list) {
    __m256i l = _mm256_set1_epi8((char)lo), s = _mm256_set1_epi8((char)(hi - lo));
    __m256i ea = _mm256_set1_epi8((char)edge_a), eb = _mm256_set1_epi8((char)edge_b);
    uint32_t *out = list;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask, b);
        if (m) {
            const uint8_t *c = codes + b * 64;
            m &= range64(c, l, s);
            uint64_t edge = equal64(c, ea) | equal64(c, eb);
            out = ck_append_bits(out, m & edge, (uint32_t)(b * 64));
        }
        bits[b] = m;
    }
    return (size_t)(out - list);
}

static size_t avx2_u8_range_list(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
    const uint64_t *mask_b, uint32_t *list) {
    __m256i l = _mm256_set1_epi8((char)lo), s = _mm256_set1_epi8((char)(hi - lo));
    uint32_t *out = list;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask_a, b) & ck_mask_word(mask_b, b);
        m &= range64(codes + b * 64, l, s);
        out = ck_append_bits(out, m, (uint32_t)(b * 64));
    }
    return (size_t)(out - list);
}

static size_t avx2_u8_range_count(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
    const uint64_t *mask_b) {
    __m256i l = _mm256_set1_epi8((char)lo), s = _mm256_set1_epi8((char)(hi - lo));
    size_t total = 0;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask_a, b) & ck_mask_word(mask_b, b);
        total += (size_t)__builtin_popcountll(m & range64(codes + b * 64, l, s));
    }
    return total;
}

static void avx2_u8_table(
    const uint8_t *codes, size_t blocks, const uint8_t *table, uint8_t flag, uint64_t *bits) {
    ck_scan_plain.u8_table(codes, blocks, table, flag, bits);
}

static void avx2_u8_equal(const uint8_t *codes, size_t blocks, uint8_t value, uint64_t *bits) {
    __m256i v = _mm256_set1_epi8((char)value);
    for (size_t b = 0; b < blocks; b++) bits[b] = equal64(codes + b * 64, v);
}

static void avx2_u16_equal(const uint16_t *codes, size_t blocks, uint16_t value, uint64_t *bits) {
    __m256i v = _mm256_set1_epi16((short)value);
    for (size_t b = 0; b < blocks; b++) {
        const __m256i *c = (const __m256i *)(codes + b * 64);
        uint64_t word = 0;
        for (int half = 0; half < 2; half++) {
            __m256i x = _mm256_cmpeq_epi16(_mm256_loadu_si256(c + half * 2), v);
            __m256i y = _mm256_cmpeq_epi16(_mm256_loadu_si256(c + half * 2 + 1), v);
            // packs interleaves the 128-bit lanes; the permute puts them back in row order.
            __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(x, y), 0xD8);
            word |= (uint64_t)(uint32_t)_mm256_movemask_epi8(packed) << (half * 32);
        }
        bits[b] = word;
    }
}

static void avx2_u32_equal(const uint32_t *codes, size_t blocks, uint32_t value, uint64_t *bits) {
    __m256i v = _mm256_set1_epi32((int)value);
    for (size_t b = 0; b < blocks; b++) {
        const __m256i *c = (const __m256i *)(codes + b * 64);
        uint64_t word = 0;
        for (int i = 0; i < 8; i++) {
            __m256i x = _mm256_cmpeq_epi32(_mm256_loadu_si256(c + i), v);
            word |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(x)) << (i * 8);
        }
        bits[b] = word;
    }
}

static void avx2_i64_range(
    const int64_t *values, size_t blocks, int64_t lo, int64_t hi, uint64_t *bits) {
    __m256i l = _mm256_set1_epi64x(lo), h = _mm256_set1_epi64x(hi);
    for (size_t b = 0; b < blocks; b++) {
        const __m256i *c = (const __m256i *)(values + b * 64);
        uint64_t word = 0;
        for (int i = 0; i < 16; i++) {
            __m256i x = _mm256_loadu_si256(c + i);
            __m256i outside = _mm256_or_si256(_mm256_cmpgt_epi64(l, x), _mm256_cmpgt_epi64(x, h));
            uint32_t m = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(outside));
            word |= (uint64_t)(m ^ 15) << (i * 4);
        }
        bits[b] = word;
    }
}

static void avx2_and(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] &= b[i];
}
static void avx2_or(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] |= b[i];
}
static void avx2_andnot(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] &= ~b[i];
}
static uint64_t avx2_popcount(const uint64_t *a, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += (uint64_t)__builtin_popcountll(a[i]);
    return total;
}
static uint64_t avx2_and_popcount(const uint64_t *a, const uint64_t *b, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += (uint64_t)__builtin_popcountll(a[i] & b[i]);
    return total;
}
static size_t avx2_list(const uint64_t *a, size_t count, uint32_t *list) {
    uint32_t *out = list;
    for (size_t i = 0; i < count; i++) out = ck_append_bits(out, a[i], (uint32_t)(i * 64));
    return (size_t)(out - list);
}
static void avx2_u32_stats(
    const uint32_t *values, size_t blocks, const uint64_t *mask, ck_group *out) {
    ck_scan_plain.u32_stats(values, blocks, mask, out);
}
static void avx2_i64_stats(
    const int64_t *values, size_t blocks, const uint64_t *mask, ck_group *out) {
    ck_scan_plain.i64_stats(values, blocks, mask, out);
}

const ck_scan_kernels ck_scan_avx2 = {
    avx2_u8_range, avx2_u8_range_edges, avx2_u8_range_list, avx2_u8_range_count, avx2_u8_table,
    avx2_u8_equal, avx2_u16_equal, avx2_u32_equal, avx2_i64_range, avx2_and, avx2_or, avx2_andnot,
    avx2_popcount, avx2_and_popcount, avx2_list, avx2_u32_stats, avx2_i64_stats,
};

#pragma clang attribute pop
#endif
