// The scan kernels for AVX-512 with VBMI2 (Ice Lake, Zen 4 and later): 64 rows an instruction.
//
// Listing rows is free of branches: the set bits of a block are compressed to bytes, widened and
// stored as whole registers, and the cursor moves on by the number of bits. Blocks with more than
// 16 hits take more stores; how many is well predicted when the density is even.
#include "scan_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(                                                                  \
    __attribute__((target(                                                                     \
        "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx512vpopcntdq," \
        "bmi,bmi2,popcnt"))), \
    apply_to = function)

static inline __m512i iota64(void) {
    return _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41,
        40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18,
        17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

static inline uint32_t *append(uint32_t *out, uint64_t m, uint32_t base, __m512i iota) {
    int n = __builtin_popcountll(m);
    __m512i rows = _mm512_maskz_compress_epi8(m, iota);
    __m512i b = _mm512_set1_epi32((int)base);
    __m512i first = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(rows));
    _mm512_storeu_si512(out, _mm512_add_epi32(first, b));
    if (__builtin_expect(n > 16, 0)) {
        __m512i second = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(rows, 1));
        _mm512_storeu_si512(out + 16, _mm512_add_epi32(second, b));
        if (n > 32) {
            __m512i third = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(rows, 2));
            __m512i fourth = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(rows, 3));
            _mm512_storeu_si512(out + 32, _mm512_add_epi32(third, b));
            _mm512_storeu_si512(out + 48, _mm512_add_epi32(fourth, b));
        }
    }
    return out + n;
}

static inline uint64_t range64(__m512i codes, __m512i lo, __m512i span) {
    return _mm512_cmple_epu8_mask(_mm512_sub_epi8(codes, lo), span);
}

static void v512_u8_range(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint64_t *bits) {
    __m512i l = _mm512_set1_epi8((char)lo), s = _mm512_set1_epi8((char)(hi - lo));
    for (size_t b = 0; b < blocks; b++) {
        bits[b] = range64(_mm512_loadu_si512(codes + b * 64), l, s);
    }
}

static size_t v512_u8_range_edges(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint8_t edge_a, uint8_t edge_b,
    const uint64_t *mask, uint64_t *bits, uint32_t *list) {
    __m512i l = _mm512_set1_epi8((char)lo), s = _mm512_set1_epi8((char)(hi - lo));
    __m512i ea = _mm512_set1_epi8((char)edge_a), eb = _mm512_set1_epi8((char)edge_b);
    __m512i iota = iota64();
    uint32_t *out = list;
    if (mask) {
        for (size_t b = 0; b < blocks; b++) {
            __m512i c = _mm512_loadu_si512(codes + b * 64);
            uint64_t m = mask[b] & range64(c, l, s);
            uint64_t edge = _mm512_cmpeq_epi8_mask(c, ea) | _mm512_cmpeq_epi8_mask(c, eb);
            bits[b] = m;
            // Under a mask the edges are rare, so the branch is cheaper than the compress.
            if (m & edge) out = append(out, m & edge, (uint32_t)(b * 64), iota);
        }
        return (size_t)(out - list);
    }
    for (size_t b = 0; b < blocks; b++) {
        __m512i c = _mm512_loadu_si512(codes + b * 64);
        uint64_t m = range64(c, l, s);
        uint64_t edge = _mm512_cmpeq_epi8_mask(c, ea) | _mm512_cmpeq_epi8_mask(c, eb);
        bits[b] = m;
        out = append(out, m & edge, (uint32_t)(b * 64), iota);
    }
    return (size_t)(out - list);
}

static size_t v512_u8_range_list(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
    const uint64_t *mask_b, uint32_t *list) {
    __m512i l = _mm512_set1_epi8((char)lo), s = _mm512_set1_epi8((char)(hi - lo));
    __m512i iota = iota64();
    uint32_t *out = list;
    if (mask_a && mask_b) {
        for (size_t b = 0; b < blocks; b++) {
            uint64_t m = range64(_mm512_loadu_si512(codes + b * 64), l, s) & mask_a[b] & mask_b[b];
            out = append(out, m, (uint32_t)(b * 64), iota);
        }
        return (size_t)(out - list);
    }
    const uint64_t *mask = mask_a ? mask_a : mask_b;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = range64(_mm512_loadu_si512(codes + b * 64), l, s) & ck_mask_word(mask, b);
        out = append(out, m, (uint32_t)(b * 64), iota);
    }
    return (size_t)(out - list);
}

static size_t v512_u8_range_count(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
    const uint64_t *mask_b) {
    __m512i l = _mm512_set1_epi8((char)lo), s = _mm512_set1_epi8((char)(hi - lo));
    size_t total = 0;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask_a, b) & ck_mask_word(mask_b, b);
        m &= range64(_mm512_loadu_si512(codes + b * 64), l, s);
        total += (size_t)__builtin_popcountll(m);
    }
    return total;
}

static void v512_u8_table(
    const uint8_t *codes, size_t blocks, const uint8_t *table, uint8_t flag, uint64_t *bits) {
    __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
    __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    __m512i f = _mm512_set1_epi8((char)flag);
    for (size_t b = 0; b < blocks; b++) {
        __m512i c = _mm512_loadu_si512(codes + b * 64);
        __m512i low = _mm512_permutex2var_epi8(t0, c, t1);
        __m512i high = _mm512_permutex2var_epi8(t2, c, t3);
        // Bit 7 of the code says which half of the table holds it.
        __m512i v = _mm512_mask_blend_epi8(_mm512_movepi8_mask(c), low, high);
        bits[b] = _mm512_test_epi8_mask(v, f);
    }
}

static void v512_u8_equal(const uint8_t *codes, size_t blocks, uint8_t value, uint64_t *bits) {
    __m512i v = _mm512_set1_epi8((char)value);
    for (size_t b = 0; b < blocks; b++) {
        bits[b] = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(codes + b * 64), v);
    }
}

static void v512_u16_equal(const uint16_t *codes, size_t blocks, uint16_t value, uint64_t *bits) {
    __m512i v = _mm512_set1_epi16((short)value);
    for (size_t b = 0; b < blocks; b++) {
        const uint16_t *c = codes + b * 64;
        uint64_t low = _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(c), v);
        uint64_t high = _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(c + 32), v);
        bits[b] = low | high << 32;
    }
}

static void v512_u32_equal(const uint32_t *codes, size_t blocks, uint32_t value, uint64_t *bits) {
    __m512i v = _mm512_set1_epi32((int)value);
    for (size_t b = 0; b < blocks; b++) {
        uint64_t word = 0;
        for (int i = 0; i < 4; i++) {
            __m512i x = _mm512_loadu_si512(codes + b * 64 + i * 16);
            word |= (uint64_t)_mm512_cmpeq_epi32_mask(x, v) << (i * 16);
        }
        bits[b] = word;
    }
}

static void v512_i64_range(
    const int64_t *values, size_t blocks, int64_t lo, int64_t hi, uint64_t *bits) {
    __m512i l = _mm512_set1_epi64(lo), h = _mm512_set1_epi64(hi);
    for (size_t b = 0; b < blocks; b++) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++) {
            __m512i x = _mm512_loadu_si512(values + b * 64 + i * 8);
            uint64_t m = _mm512_mask_cmple_epi64_mask(_mm512_cmpge_epi64_mask(x, l), x, h);
            word |= m << (i * 8);
        }
        bits[b] = word;
    }
}

static void v512_and(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] &= b[i];
}
static void v512_or(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] |= b[i];
}
static void v512_andnot(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] &= ~b[i];
}

static uint64_t v512_popcount(const uint64_t *a, size_t count) {
    __m512i total = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        total = _mm512_add_epi64(total, _mm512_popcnt_epi64(_mm512_loadu_si512(a + i)));
    }
    __mmask8 rest = (__mmask8)((1u << (count - i)) - 1);
    __m512i last = _mm512_maskz_loadu_epi64(rest, a + i);
    total = _mm512_add_epi64(total, _mm512_popcnt_epi64(last));
    return (uint64_t)_mm512_reduce_add_epi64(total);
}

static uint64_t v512_and_popcount(const uint64_t *a, const uint64_t *b, size_t count) {
    __m512i total = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m512i both = _mm512_and_si512(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i));
        total = _mm512_add_epi64(total, _mm512_popcnt_epi64(both));
    }
    __mmask8 rest = (__mmask8)((1u << (count - i)) - 1);
    __m512i last = _mm512_and_si512(
        _mm512_maskz_loadu_epi64(rest, a + i), _mm512_maskz_loadu_epi64(rest, b + i));
    total = _mm512_add_epi64(total, _mm512_popcnt_epi64(last));
    return (uint64_t)_mm512_reduce_add_epi64(total);
}

static size_t v512_list(const uint64_t *a, size_t count, uint32_t *list) {
    __m512i iota = iota64();
    uint32_t *out = list;
    for (size_t i = 0; i < count; i++) out = append(out, a[i], (uint32_t)(i * 64), iota);
    return (size_t)(out - list);
}

static void v512_u32_stats(
    const uint32_t *values, size_t blocks, const uint64_t *mask, ck_group *out) {
    __m512i sum = _mm512_setzero_si512();
    __m512i low = _mm512_set1_epi32(-1), high = _mm512_setzero_si512();
    uint64_t count = 0;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask, b);
        if (m == 0) continue;
        count += (uint64_t)__builtin_popcountll(m);
        for (int i = 0; i < 4; i++) {
            __mmask16 k = (__mmask16)(m >> (i * 16));
            __m512i x = _mm512_maskz_loadu_epi32(k, values + b * 64 + i * 16);
            low = _mm512_mask_min_epu32(low, k, low, x);
            high = _mm512_max_epu32(high, x);
            // Even and odd lanes as 64-bit numbers: cheaper than widening by shuffles.
            __m512i even = _mm512_maskz_mov_epi32(0x5555, x);
            sum = _mm512_add_epi64(sum, _mm512_add_epi64(even, _mm512_srli_epi64(x, 32)));
        }
    }
    if (count == 0) return;
    out->count += count;
    // Below 2^32 rows of below 2^32 each: the sum of one call fits 64 bits.
    out->sum_low += (uint64_t)_mm512_reduce_add_epi64(sum);
    int64_t least = (int64_t)(uint32_t)_mm512_reduce_min_epu32(low);
    int64_t most = (int64_t)(uint32_t)_mm512_reduce_max_epu32(high);
    if (least < out->min) out->min = least;
    if (most > out->max) out->max = most;
}

static void v512_i64_stats(
    const int64_t *values, size_t blocks, const uint64_t *mask, ck_group *out) {
    __m512i sum_low = _mm512_setzero_si512(), sum_high = _mm512_setzero_si512();
    __m512i low = _mm512_set1_epi64(INT64_MAX), high = _mm512_set1_epi64(INT64_MIN);
    __m512i low32 = _mm512_set1_epi64(0xFFFFFFFF);
    uint64_t count = 0;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask, b);
        if (m == 0) continue;
        count += (uint64_t)__builtin_popcountll(m);
        for (int i = 0; i < 8; i++) {
            __mmask8 k = (__mmask8)(m >> (i * 8));
            __m512i x = _mm512_maskz_loadu_epi64(k, values + b * 64 + i * 8);
            low = _mm512_mask_min_epi64(low, k, low, x);
            high = _mm512_mask_max_epi64(high, k, high, x);
            sum_low = _mm512_add_epi64(sum_low, _mm512_and_si512(x, low32));
            sum_high = _mm512_add_epi64(sum_high, _mm512_srai_epi64(x, 32));
        }
    }
    if (count == 0) return;
    out->count += count;
    out->sum_low += (uint64_t)_mm512_reduce_add_epi64(sum_low);
    out->sum_high += _mm512_reduce_add_epi64(sum_high);
    int64_t least = _mm512_reduce_min_epi64(low), most = _mm512_reduce_max_epi64(high);
    if (least < out->min) out->min = least;
    if (most > out->max) out->max = most;
}

const ck_scan_kernels ck_scan_avx512 = {
    v512_u8_range, v512_u8_range_edges, v512_u8_range_list, v512_u8_range_count, v512_u8_table,
    v512_u8_equal, v512_u16_equal, v512_u32_equal, v512_i64_range, v512_and, v512_or,
    v512_andnot, v512_popcount, v512_and_popcount, v512_list, v512_u32_stats, v512_i64_stats,
};

#pragma clang attribute pop
#endif
