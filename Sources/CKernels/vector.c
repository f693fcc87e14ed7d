// The plain C vector kernels, and the choice of instruction set.
#include "vector_internal.h"

#include <math.h>
#include <string.h>

// MARK: Half precision, without the instructions

static float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 0x1f, rest = h & 0x3ff;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | rest << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | rest << 13;
    } else {
        // Subnormal: rest * 2^-24, which a float holds exactly.
        float value = (float)rest * 0x1p-24f;
        memcpy(&bits, &value, 4);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static uint16_t float_to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) {
        // Adding a half lines the bits up with the smallest step, 2^-24, and rounds to even.
        float shifted;
        memcpy(&shifted, &magnitude, 4);
        shifted += 0.5f;
        uint32_t rounded;
        memcpy(&rounded, &shifted, 4);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

// MARK: One to one

#define PLAIN_PAIR(SUFFIX, A, B, FROM_A, FROM_B)                           \
    static float dot_##SUFFIX(const A *a, const B *b, size_t n) {          \
        float sum = 0;                                                     \
        for (size_t i = 0; i < n; i++) sum += FROM_A(a[i]) * FROM_B(b[i]); \
        return sum;                                                        \
    }                                                                      \
    static float l2_##SUFFIX(const A *a, const B *b, size_t n) {           \
        float sum = 0;                                                     \
        for (size_t i = 0; i < n; i++) {                                   \
            float d = FROM_A(a[i]) - FROM_B(b[i]);                         \
            sum += d * d;                                                  \
        }                                                                  \
        return sum;                                                        \
    }
PLAIN_PAIR(f32, float, float, , )
PLAIN_PAIR(f16, uint16_t, uint16_t, half_to_float, half_to_float)
PLAIN_PAIR(f32_f16, float, uint16_t, , half_to_float)

static int32_t dot_i8(const int8_t *a, const int8_t *b, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += (int32_t)a[i] * b[i];
    return sum;
}

static int32_t l2_i8(const int8_t *a, const int8_t *b, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t d = (int32_t)a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

// MARK: One to many

CK_LIST(dot_f32_list, float, float, float, dot_f32)
CK_LIST(l2_f32_list, float, float, float, l2_f32)
CK_LIST(dot_f16_list, float, uint16_t, float, dot_f32_f16)
CK_LIST(l2_f16_list, float, uint16_t, float, l2_f32_f16)
CK_LIST(dot_i8_list, int8_t, int8_t, int32_t, dot_i8)
CK_LIST(l2_i8_list, int8_t, int8_t, int32_t, l2_i8)
CK_CODES(codes_list, dot_i8)

// MARK: Conversions

static void f32_to_f16(const float *a, size_t n, uint16_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = float_to_half(a[i]);
}

static void f16_to_f32(const uint16_t *a, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = half_to_float(a[i]);
}

static void f32_to_i8(const float *a, size_t n, float inverse, int8_t *out) {
    for (size_t i = 0; i < n; i++) {
        float scaled = rintf(a[i] * inverse);
        out[i] = (int8_t)(scaled > 127 ? 127 : scaled < -127 ? -127 : scaled);
    }
}

static float max_abs_f32(const float *a, size_t n) {
    // Magnitudes order like their bits, with infinity and the NaNs on top.
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &a[i], 4);
        bits &= 0x7fffffff;
        if (bits > largest) largest = bits;
    }
    if (largest > 0x7f800000) largest = 0x7f800000;
    float value;
    memcpy(&value, &largest, 4);
    return value;
}

// MARK: Links

size_t ck_unvisited_plain(
    const uint32_t *row, size_t capacity, uint64_t *visited, uint32_t *out) {
    size_t count = 0;
    for (size_t i = 0; i < capacity && row[i] != UINT32_MAX; i++) {
        uint32_t id = row[i];
        uint64_t bit = UINT64_C(1) << (id & 63), word = visited[id >> 6];
        uint64_t fresh = ~word & bit;
        // Written always, kept only if new: no branch to mispredict.
        out[count] = id;
        count += fresh != 0;
        visited[id >> 6] = word | fresh;
    }
    return count;
}

const ck_vector_kernels ck_vector_plain = {
    dot_f32,      l2_f32,      dot_f16,      l2_f16,      dot_f32_f16, l2_f32_f16,
    dot_i8,       l2_i8,       dot_f32_list, l2_f32_list, dot_f16_list, l2_f16_list,
    dot_i8_list,  l2_i8_list,  codes_list,   f32_to_f16,  f16_to_f32,  f32_to_i8,
    ck_unvisited_plain, max_abs_f32,
};

// MARK: Choice

const ck_vector_kernels *ck_vector_level(int level) {
    if (level == 0) return &ck_vector_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
        && __builtin_cpu_supports("f16c")) {
        return &ck_vector_avx2;
    }
    if (level == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vnni")) {
        return &ck_vector_avx512;
    }
#endif
#if defined(__aarch64__)
    if (level == 3) return &ck_vector_neon;
#endif
    return NULL;
}

static const ck_vector_kernels *chosen = &ck_vector_plain;
const ck_vector_kernels *const *const ck_vector_best = &chosen;

__attribute__((constructor)) static void choose(void) {
    for (int level = 3; level >= 0; level--) {
        const ck_vector_kernels *kernels = ck_vector_level(level);
        if (kernels) {
            chosen = kernels;
            return;
        }
    }
}
