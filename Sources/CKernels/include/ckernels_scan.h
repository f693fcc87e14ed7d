#pragma once
// Scans over column codes and bit words.
//
// Contract of every kernel here:
// - Rows come in whole blocks of 64: `blocks` blocks, so one bit word per block. Arrays of codes
//   and
//   values are readable (and zeroed past the last row) up to the end of the last block.
// - `bits` words are overwritten unless the kernel says otherwise. A `mask` may be NULL: all rows.
// - Lists of rows are UInt32, ascending; the caller gives room for every row that can match plus
//   64 entries of slack, because the vector versions store whole registers.
// - Nothing is allocated, nothing is kept: all kernels may run on any number of threads at once.
#include <stddef.h>
#include <stdint.h>

/// Running figures of one group. Values are in the stored domain (offsets, if narrow).
/// The sum is `sum_high * 2^32 + sum_low`.
typedef struct {
    uint64_t count;
    uint64_t sum_low;
    int64_t sum_high;
    int64_t min;
    int64_t max;
} ck_group;

/// One set of kernels, built for one instruction set.
typedef struct {
    /// bits = lo <= code <= hi.
    void (*u8_range)(const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint64_t *bits);
    /// bits = mask & (lo <= code <= hi); lists the rows of it whose code is edge_a or edge_b.
    /// `bits` may be `mask`.
    size_t (*u8_range_edges)(
        const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint8_t edge_a, uint8_t edge_b,
        const uint64_t *mask, uint64_t *bits, uint32_t *list);
    /// Lists the rows with lo <= code <= hi under both masks.
    size_t (*u8_range_list)(
        const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
        const uint64_t *mask_b, uint32_t *list);
    /// Counts the rows with lo <= code <= hi under both masks.
    size_t (*u8_range_count)(
        const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
        const uint64_t *mask_b);
    /// bits = (table[code] & flag) != 0.
    void (*u8_table)(
        const uint8_t *codes, size_t blocks, const uint8_t *table, uint8_t flag, uint64_t *bits);
    /// bits = code == value.
    void (*u8_equal)(const uint8_t *codes, size_t blocks, uint8_t value, uint64_t *bits);
    void (*u16_equal)(const uint16_t *codes, size_t blocks, uint16_t value, uint64_t *bits);
    void (*u32_equal)(const uint32_t *codes, size_t blocks, uint32_t value, uint64_t *bits);
    /// bits = lo <= value <= hi.
    void (*i64_range)(
        const int64_t *values, size_t blocks, int64_t lo, int64_t hi, uint64_t *bits);
    /// a = a & b, a | b, a & ~b over `count` words.
    void (*words_and)(uint64_t *a, const uint64_t *b, size_t count);
    void (*words_or)(uint64_t *a, const uint64_t *b, size_t count);
    void (*words_andnot)(uint64_t *a, const uint64_t *b, size_t count);
    /// Set bits of a, of a & b.
    uint64_t (*words_popcount)(const uint64_t *a, size_t count);
    uint64_t (*words_and_popcount)(const uint64_t *a, const uint64_t *b, size_t count);
    /// Lists the set bits.
    size_t (*words_list)(const uint64_t *a, size_t count, uint32_t *list);
    /// Adds count, sum, min and max of the masked values to `out`. Widths 4 (unsigned) and 8
    /// (signed).
    void (*u32_stats)(const uint32_t *values, size_t blocks, const uint64_t *mask, ck_group *out);
    void (*i64_stats)(const int64_t *values, size_t blocks, const uint64_t *mask, ck_group *out);
} ck_scan_kernels;

/// Levels: 0 plain C, 1 AVX2, 2 AVX-512 (BW, VL, VBMI, VBMI2, VPOPCNTDQ). NULL: not on this
/// processor.
const ck_scan_kernels *ck_scan_level(int level);
/// The best level of this processor, chosen once at start.
extern const ck_scan_kernels *const *const ck_scan_best;
/// The kernels to use.
static inline const ck_scan_kernels *ck_scan(void) { return *ck_scan_best; }

// Gathers: bound by memory, so one portable version each. `width` is 1, 2, 4 (unsigned offsets) or
// 8 (signed keys) bytes.

/// Clears in `bits` the listed rows whose value is not in lo...hi (stored domain).
void ck_list_check(
    const void *values, int width, const uint32_t *list, size_t count, int64_t lo, int64_t hi,
    uint64_t *bits);
/// keys[i] = base + value of list[i], wrapping.
void ck_list_gather(
    const void *values, int width, int64_t base, const uint32_t *list, size_t count, int64_t *keys);
/// Adds the masked codes to counts[code]; codes of `code_width` 1, 2 or 4 bytes, all below the
/// length of counts.
void ck_histogram(
    const void *codes, int code_width, size_t blocks, const uint64_t *mask, uint32_t *counts);
/// Adds the masked values to groups[code].
void ck_group_stats(
    const void *values, int width, const void *codes, int code_width, size_t blocks,
    const uint64_t *mask, ck_group *groups);
/// Count, sum, min and max of the masked values, any width.
void ck_stats(const void *values, int width, size_t blocks, const uint64_t *mask, ck_group *out);
/// How many of the rows are set in `bits`. Rows are 16-bit offsets into the words.
size_t ck_u16_test(const uint16_t *rows, size_t count, const uint64_t *bits);
/// The k-th smallest (1 <= k <= count) key; reorders the keys.
int64_t ck_select(int64_t *keys, size_t count, size_t k);
/// The bytes that the allocator set aside for a block of malloc, its own header included.
size_t ck_allocated_size(const void *block);

/// Drops the pairs whose key is not in lo...hi, in place; returns how many stay, in order.
size_t ck_pairs_within(int64_t *keys, uint32_t *list, size_t count, int64_t lo, int64_t hi);
/// The k-th smallest (1 <= k <= count) key; leaves the keys as they are unless `k` is large, when
/// it may reorder them. Give it a copy.
int64_t ck_kth(int64_t *keys, size_t count, size_t k);
/// codes_out[i] = codes[list[i]]; adds each to counts[code].
void ck_list_codes(
    const uint8_t *codes, const uint32_t *list, size_t count, uint8_t *codes_out,
    uint32_t *counts);
/// Keeps the rows whose code is in first...last, in place; returns how many.
size_t ck_list_within(
    uint32_t *list, const uint8_t *codes, size_t count, uint8_t first, uint8_t last);

/// Running figures of doubles; `correction` is what the sum lacks.
typedef struct {
    uint64_t count;
    double sum;
    double correction;
    int64_t min;
    int64_t max;
} ck_double_group;

/// Adds the masked keys, doubles in their ordered form, to `out`.
void ck_double_stats(
    const int64_t *keys, size_t blocks, const uint64_t *mask, ck_double_group *out);
/// Adds the masked keys to groups[code].
void ck_double_group_stats(
    const int64_t *keys, const void *codes, int code_width, size_t blocks, const uint64_t *mask,
    ck_double_group *groups);
