// The plain C kernels, the portable gathers, and the choice of instruction set.
#include "scan_internal.h"

#include <malloc.h>
#include <string.h>

// MARK: Plain C

static uint64_t range_word(const uint8_t *codes, uint8_t lo, uint8_t hi) {
    uint64_t word = 0;
    for (int j = 0; j < 64; j++) {
        word |= (uint64_t)(codes[j] >= lo && codes[j] <= hi) << j;
    }
    return word;
}

static void plain_u8_range(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint64_t *bits) {
    for (size_t b = 0; b < blocks; b++) bits[b] = range_word(codes + b * 64, lo, hi);
}

static size_t plain_u8_range_edges(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, uint8_t edge_a, uint8_t edge_b,
    const uint64_t *mask, uint64_t *bits, uint32_t *list) {
    uint32_t *out = list;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask, b);
        if (m) {
            const uint8_t *c = codes + b * 64;
            m &= range_word(c, lo, hi);
            uint64_t edge = range_word(c, edge_a, edge_a) | range_word(c, edge_b, edge_b);
            out = ck_append_bits(out, m & edge, (uint32_t)(b * 64));
        }
        bits[b] = m;
    }
    return (size_t)(out - list);
}

static size_t plain_u8_range_list(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
    const uint64_t *mask_b, uint32_t *list) {
    uint32_t *out = list;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask_a, b) & ck_mask_word(mask_b, b);
        if (m == 0) continue;
        m &= range_word(codes + b * 64, lo, hi);
        out = ck_append_bits(out, m, (uint32_t)(b * 64));
    }
    return (size_t)(out - list);
}

static size_t plain_u8_range_count(
    const uint8_t *codes, size_t blocks, uint8_t lo, uint8_t hi, const uint64_t *mask_a,
    const uint64_t *mask_b) {
    size_t total = 0;
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask_a, b) & ck_mask_word(mask_b, b);
        if (m == 0) continue;
        total += (size_t)__builtin_popcountll(m & range_word(codes + b * 64, lo, hi));
    }
    return total;
}

static void plain_u8_table(
    const uint8_t *codes, size_t blocks, const uint8_t *table, uint8_t flag, uint64_t *bits) {
    for (size_t b = 0; b < blocks; b++) {
        uint64_t word = 0;
        for (int j = 0; j < 64; j++) {
            word |= (uint64_t)((table[codes[b * 64 + j]] & flag) != 0) << j;
        }
        bits[b] = word;
    }
}

#define PLAIN_EQUAL(NAME, TYPE)                                                             \
    static void NAME(const TYPE *codes, size_t blocks, TYPE value, uint64_t *bits) {        \
        for (size_t b = 0; b < blocks; b++) {                                               \
            uint64_t word = 0;                                                              \
            for (int j = 0; j < 64; j++) word |= (uint64_t)(codes[b * 64 + j] == value) << j; \
            bits[b] = word;                                                                 \
        }                                                                                   \
    }
PLAIN_EQUAL(plain_u8_equal, uint8_t)
PLAIN_EQUAL(plain_u16_equal, uint16_t)
PLAIN_EQUAL(plain_u32_equal, uint32_t)

static void plain_i64_range(
    const int64_t *values, size_t blocks, int64_t lo, int64_t hi, uint64_t *bits) {
    for (size_t b = 0; b < blocks; b++) {
        uint64_t word = 0;
        for (int j = 0; j < 64; j++) {
            int64_t v = values[b * 64 + j];
            word |= (uint64_t)(v >= lo && v <= hi) << j;
        }
        bits[b] = word;
    }
}

static void plain_and(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] &= b[i];
}
static void plain_or(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] |= b[i];
}
static void plain_andnot(uint64_t *a, const uint64_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) a[i] &= ~b[i];
}
static uint64_t plain_popcount(const uint64_t *a, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += (uint64_t)__builtin_popcountll(a[i]);
    return total;
}
static uint64_t plain_and_popcount(const uint64_t *a, const uint64_t *b, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += (uint64_t)__builtin_popcountll(a[i] & b[i]);
    return total;
}
static size_t plain_list(const uint64_t *a, size_t count, uint32_t *list) {
    uint32_t *out = list;
    for (size_t i = 0; i < count; i++) out = ck_append_bits(out, a[i], (uint32_t)(i * 64));
    return (size_t)(out - list);
}

#define PLAIN_STATS(NAME, TYPE)                                                             \
    static void NAME(                                                                       \
        const TYPE *values, size_t blocks, const uint64_t *mask, ck_group *out) {           \
        ck_group g = *out;                                                                  \
        for (size_t b = 0; b < blocks; b++) {                                               \
            uint64_t m = ck_mask_word(mask, b);                                             \
            for (; m; m &= m - 1) {                                                         \
                ck_group_add(&g, (int64_t)values[b * 64 + (size_t)__builtin_ctzll(m)]);     \
            }                                                                               \
        }                                                                                   \
        *out = g;                                                                           \
    }
PLAIN_STATS(plain_u8_stats, uint8_t)
PLAIN_STATS(plain_u16_stats, uint16_t)
PLAIN_STATS(plain_u32_stats, uint32_t)
PLAIN_STATS(plain_i64_stats, int64_t)

const ck_scan_kernels ck_scan_plain = {
    plain_u8_range, plain_u8_range_edges, plain_u8_range_list, plain_u8_range_count,
    plain_u8_table, plain_u8_equal, plain_u16_equal, plain_u32_equal, plain_i64_range, plain_and,
    plain_or, plain_andnot, plain_popcount, plain_and_popcount, plain_list, plain_u32_stats,
    plain_i64_stats,
};

// MARK: Choice

const ck_scan_kernels *ck_scan_level(int level) {
    if (level == 0) return &ck_scan_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) {
        return &ck_scan_avx2;
    }
    if (level == 2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")
        && __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("bmi2")) {
        return &ck_scan_avx512;
    }
#endif
    return NULL;
}

static const ck_scan_kernels *chosen = &ck_scan_plain;
const ck_scan_kernels *const *const ck_scan_best = &chosen;

__attribute__((constructor)) static void choose(void) {
    for (int level = 2; level >= 0; level--) {
        const ck_scan_kernels *kernels = ck_scan_level(level);
        if (kernels) {
            chosen = kernels;
            return;
        }
    }
}

// MARK: Gathers

#define LIST_CHECK(TYPE)                                                   \
    do {                                                                   \
        const TYPE *v = values;                                            \
        for (size_t i = 0; i < count; i++) {                               \
            uint32_t row = list[i];                                        \
            int64_t value = (int64_t)v[row];                               \
            uint64_t outside = (uint64_t)((value < lo) | (value > hi));    \
            bits[row >> 6] &= ~(outside << (row & 63));                    \
        }                                                                  \
    } while (0)

void ck_list_check(
    const void *values, int width, const uint32_t *list, size_t count, int64_t lo, int64_t hi,
    uint64_t *bits) {
    switch (width) {
    case 1: LIST_CHECK(uint8_t); break;
    case 2: LIST_CHECK(uint16_t); break;
    case 4: LIST_CHECK(uint32_t); break;
    default: LIST_CHECK(int64_t); break;
    }
}

#define LIST_GATHER(TYPE)                                                            \
    do {                                                                             \
        const TYPE *v = values;                                                      \
        for (size_t i = 0; i < count; i++) {                                         \
            keys[i] = (int64_t)((uint64_t)base + (uint64_t)(int64_t)v[list[i]]);     \
        }                                                                            \
    } while (0)

void ck_list_gather(
    const void *values, int width, int64_t base, const uint32_t *list, size_t count,
    int64_t *keys) {
    switch (width) {
    case 1: LIST_GATHER(uint8_t); break;
    case 2: LIST_GATHER(uint16_t); break;
    case 4: LIST_GATHER(uint32_t); break;
    default: LIST_GATHER(int64_t); break;
    }
}

#define HISTOGRAM(TYPE)                                                              \
    do {                                                                             \
        const TYPE *c = codes;                                                       \
        for (size_t b = 0; b < blocks; b++, c += 64) {                               \
            uint64_t m = ck_mask_word(mask, b);                                      \
            if (m == ~UINT64_C(0)) {                                                 \
                for (int j = 0; j < 64; j++) counts[c[j]] += 1;                      \
                continue;                                                            \
            }                                                                        \
            for (; m; m &= m - 1) counts[c[__builtin_ctzll(m)]] += 1;                \
        }                                                                            \
    } while (0)

// Four copies: consecutive rows of one code would wait for each other's store.
static void histogram_u8(
    const uint8_t *codes, size_t blocks, const uint64_t *mask, uint32_t *counts) {
    uint32_t lanes[4][256];
    memset(lanes, 0, sizeof lanes);
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask, b);
        const uint8_t *c = codes + b * 64;
        if (m == ~UINT64_C(0)) {
            for (int j = 0; j < 64; j += 4) {
                lanes[0][c[j]] += 1;
                lanes[1][c[j + 1]] += 1;
                lanes[2][c[j + 2]] += 1;
                lanes[3][c[j + 3]] += 1;
            }
            continue;
        }
        for (int lane = 0; m; m &= m - 1, lane = (lane + 1) & 3) {
            lanes[lane][c[__builtin_ctzll(m)]] += 1;
        }
    }
    // Only codes that occur may be touched: `counts` may be shorter than 256.
    for (int i = 0; i < 256; i++) {
        uint32_t sum = lanes[0][i] + lanes[1][i] + lanes[2][i] + lanes[3][i];
        if (sum) counts[i] += sum;
    }
}

void ck_histogram(
    const void *codes, int code_width, size_t blocks, const uint64_t *mask, uint32_t *counts) {
    switch (code_width) {
    case 1: histogram_u8(codes, blocks, mask, counts); break;
    case 2: HISTOGRAM(uint16_t); break;
    default: HISTOGRAM(uint32_t); break;
    }
}

#define GROUP_STATS(TYPE, CODE)                                                      \
    do {                                                                             \
        const TYPE *v = values;                                                      \
        const CODE *c = codes;                                                       \
        for (size_t b = 0; b < blocks; b++, v += 64, c += 64) {                      \
            uint64_t m = ck_mask_word(mask, b);                                      \
            if (m == ~UINT64_C(0)) {                                                 \
                for (int j = 0; j < 64; j++) ck_group_add(&groups[c[j]], (int64_t)v[j]); \
                continue;                                                            \
            }                                                                        \
            for (; m; m &= m - 1) {                                                  \
                int j = __builtin_ctzll(m);                                          \
                ck_group_add(&groups[c[j]], (int64_t)v[j]);                          \
            }                                                                        \
        }                                                                            \
    } while (0)

#define GROUP_STATS_BY(TYPE)                                   \
    do {                                                       \
        switch (code_width) {                                  \
        case 1: GROUP_STATS(TYPE, uint8_t); break;             \
        case 2: GROUP_STATS(TYPE, uint16_t); break;            \
        default: GROUP_STATS(TYPE, uint32_t); break;           \
        }                                                      \
    } while (0)

void ck_group_stats(
    const void *values, int width, const void *codes, int code_width, size_t blocks,
    const uint64_t *mask, ck_group *groups) {
    switch (width) {
    case 1: GROUP_STATS_BY(uint8_t); break;
    case 2: GROUP_STATS_BY(uint16_t); break;
    case 4: GROUP_STATS_BY(uint32_t); break;
    default: GROUP_STATS_BY(int64_t); break;
    }
}

void ck_stats(const void *values, int width, size_t blocks, const uint64_t *mask, ck_group *out) {
    switch (width) {
    case 1: plain_u8_stats(values, blocks, mask, out); break;
    case 2: plain_u16_stats(values, blocks, mask, out); break;
    case 4: chosen->u32_stats(values, blocks, mask, out); break;
    default: chosen->i64_stats(values, blocks, mask, out); break;
    }
}

size_t ck_u16_test(const uint16_t *rows, size_t count, const uint64_t *bits) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += (bits[rows[i] >> 6] >> (rows[i] & 63)) & 1;
    return total;
}

// Quickselect with a median-of-three pivot and three-way partition, so equal keys cost one pass.
int64_t ck_select(int64_t *keys, size_t count, size_t k) {
    size_t lo = 0, hi = count, target = k - 1;
    while (hi - lo > 1) {
        int64_t a = keys[lo], b = keys[lo + (hi - lo) / 2], c = keys[hi - 1];
        int64_t pivot = a < b ? (b < c ? b : (a < c ? c : a)) : (a < c ? a : (b < c ? c : b));
        size_t less = lo, i = lo, greater = hi;
        while (i < greater) {
            int64_t v = keys[i];
            if (v < pivot) {
                keys[i++] = keys[less];
                keys[less++] = v;
            } else if (v > pivot) {
                keys[i] = keys[--greater];
                keys[greater] = v;
            } else {
                i++;
            }
        }
        if (target < less) hi = less;
        else if (target >= greater) lo = greater;
        else return pivot;
    }
    return keys[target];
}

// malloc.h is not in Swift's Glibc module.
size_t ck_allocated_size(const void *block) {
    return malloc_usable_size((void *)block) + sizeof(size_t);
}

size_t ck_pairs_within(int64_t *keys, uint32_t *list, size_t count, int64_t lo, int64_t hi) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t key = keys[i];
        keys[kept] = key;
        list[kept] = list[i];
        kept += (size_t)((key >= lo) & (key <= hi));
    }
    return kept;
}

// Few of many: a max-heap of the k best, whose root turns nearly every key away in one compare.
int64_t ck_kth(int64_t *keys, size_t count, size_t k) {
    int64_t heap[512];
    if (k > 512 || k * 8 > count) return ck_select(keys, count, k);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t key = keys[i];
        if (size < k) {
            size_t child = size++;
            while (child > 0 && heap[(child - 1) / 2] < key) {
                heap[child] = heap[(child - 1) / 2];
                child = (child - 1) / 2;
            }
            heap[child] = key;
        } else if (key < heap[0]) {
            size_t parent = 0;
            for (;;) {
                size_t child = parent * 2 + 1;
                if (child >= k) break;
                if (child + 1 < k && heap[child + 1] > heap[child]) child++;
                if (heap[child] <= key) break;
                heap[parent] = heap[child];
                parent = child;
            }
            heap[parent] = key;
        }
    }
    return heap[0];
}

void ck_list_codes(
    const uint8_t *codes, const uint32_t *list, size_t count, uint8_t *codes_out,
    uint32_t *counts) {
    for (size_t i = 0; i < count; i++) {
        uint8_t code = codes[list[i]];
        codes_out[i] = code;
        counts[code] += 1;
    }
}

size_t ck_list_within(
    uint32_t *list, const uint8_t *codes, size_t count, uint8_t first, uint8_t last) {
    size_t kept = 0;
    uint8_t span = (uint8_t)(last - first);
    for (size_t i = 0; i < count; i++) {
        list[kept] = list[i];
        kept += (uint8_t)(codes[i] - first) <= span;
    }
    return kept;
}

static inline double decode_double(int64_t key) {
    int64_t bits = key ^ ((key >> 63) & INT64_MAX);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Neumaier's sum: also right when the next number is larger than the sum so far.
static inline void add_double(ck_double_group *g, int64_t key) {
    double value = decode_double(key);
    double next = g->sum + value;
    double sum_first = (g->sum - next) + value, value_first = (value - next) + g->sum;
    double lost = __builtin_fabs(g->sum) >= __builtin_fabs(value) ? sum_first : value_first;
    // Infinities would turn the correction into not a number.
    g->correction += __builtin_isfinite(next) ? lost : 0;
    g->sum = next;
    g->count += 1;
    if (key < g->min) g->min = key;
    if (key > g->max) g->max = key;
}

static void join_double(ck_double_group *a, const ck_double_group *b) {
    if (b->count == 0) return;
    double next = a->sum + b->sum;
    double lost = __builtin_fabs(a->sum) >= __builtin_fabs(b->sum) ? (a->sum - next) + b->sum
                                                                   : (b->sum - next) + a->sum;
    a->correction += b->correction + (__builtin_isfinite(next) ? lost : 0);
    a->sum = next;
    a->count += b->count;
    if (b->min < a->min) a->min = b->min;
    if (b->max > a->max) a->max = b->max;
}

// Four sums side by side: one alone waits for each addition.
void ck_double_stats(
    const int64_t *keys, size_t blocks, const uint64_t *mask, ck_double_group *out) {
    ck_double_group lanes[4];
    for (int i = 0; i < 4; i++) lanes[i] = (ck_double_group){0, 0, 0, INT64_MAX, INT64_MIN};
    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = ck_mask_word(mask, b);
        const int64_t *k = keys + b * 64;
        if (m == ~UINT64_C(0)) {
            for (int j = 0; j < 64; j += 4) {
                add_double(&lanes[0], k[j]);
                add_double(&lanes[1], k[j + 1]);
                add_double(&lanes[2], k[j + 2]);
                add_double(&lanes[3], k[j + 3]);
            }
            continue;
        }
        for (int lane = 0; m; m &= m - 1, lane = (lane + 1) & 3) {
            add_double(&lanes[lane], k[__builtin_ctzll(m)]);
        }
    }
    for (int i = 0; i < 4; i++) join_double(out, &lanes[i]);
}

#define DOUBLE_GROUPS(CODE)                                                          \
    do {                                                                             \
        const CODE *c = codes;                                                       \
        for (size_t b = 0; b < blocks; b++) {                                        \
            for (uint64_t m = ck_mask_word(mask, b); m; m &= m - 1) {                \
                size_t row = b * 64 + (size_t)__builtin_ctzll(m);                    \
                add_double(&groups[c[row]], keys[row]);                              \
            }                                                                        \
        }                                                                            \
    } while (0)

void ck_double_group_stats(
    const int64_t *keys, const void *codes, int code_width, size_t blocks, const uint64_t *mask,
    ck_double_group *groups) {
    switch (code_width) {
    case 1: DOUBLE_GROUPS(uint8_t); break;
    case 2: DOUBLE_GROUPS(uint16_t); break;
    default: DOUBLE_GROUPS(uint32_t); break;
    }
}
