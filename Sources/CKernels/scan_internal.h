#pragma once
#include "ckernels_scan.h"

extern const ck_scan_kernels ck_scan_plain;
#if defined(__x86_64__)
extern const ck_scan_kernels ck_scan_avx2;
extern const ck_scan_kernels ck_scan_avx512;
#endif

/// The word of a mask that may be absent.
static inline uint64_t ck_mask_word(const uint64_t *mask, size_t block) {
    return mask ? mask[block] : ~UINT64_C(0);
}

/// Appends the set bits of `word`, offset by `base`.
static inline uint32_t *ck_append_bits(uint32_t *out, uint64_t word, uint32_t base) {
    while (word) {
        *out++ = base + (uint32_t)__builtin_ctzll(word);
        word &= word - 1;
    }
    return out;
}

/// Adds one value to a group. Splitting the sum keeps it exact: neither half overflows in 2^31
/// rows.
static inline void ck_group_add(ck_group *group, int64_t value) {
    group->count += 1;
    group->sum_low += (uint32_t)value;
    group->sum_high += value >> 32;
    if (value < group->min) group->min = value;
    if (value > group->max) group->max = value;
}
