// The vector kernels for 64-bit ARM: 4 floats or 16 codes a step.
#include "vector_internal.h"

#if defined(__aarch64__)
#include <arm_neon.h>

static inline float32x4_t whole_f32(const float *a) { return vld1q_f32(a); }
static inline float32x4_t whole_f16(const uint16_t *a) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(a)));
}
static inline float32x4_t part_f32(const float *a, size_t n) {
    float room[4] = {0};
    for (size_t i = 0; i < n; i++) room[i] = a[i];
    return vld1q_f32(room);
}
static inline float32x4_t part_f16(const uint16_t *a, size_t n) {
    uint16_t room[4] = {0};
    for (size_t i = 0; i < n; i++) room[i] = a[i];
    return whole_f16(room);
}

#define DOT_STEP(sum, x, y) sum = vfmaq_f32(sum, x, y)
#define L2_STEP(sum, x, y)               \
    do {                                 \
        float32x4_t d = vsubq_f32(x, y); \
        sum = vfmaq_f32(sum, d, d);      \
    } while (0)

#define PAIR(NAME, A, B, LOAD_A, LOAD_B, STEP)                                             \
    static float NAME(const A *a, const B *b, size_t n) {                                  \
        float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;                        \
        size_t i = 0;                                                                      \
        for (; i + 16 <= n; i += 16) {                                                     \
            STEP(s0, whole_##LOAD_A(a + i), whole_##LOAD_B(b + i));                        \
            STEP(s1, whole_##LOAD_A(a + i + 4), whole_##LOAD_B(b + i + 4));                \
            STEP(s2, whole_##LOAD_A(a + i + 8), whole_##LOAD_B(b + i + 8));                \
            STEP(s3, whole_##LOAD_A(a + i + 12), whole_##LOAD_B(b + i + 12));              \
        }                                                                                  \
        for (; i + 4 <= n; i += 4) STEP(s0, whole_##LOAD_A(a + i), whole_##LOAD_B(b + i)); \
        if (i < n) STEP(s1, part_##LOAD_A(a + i, n - i), part_##LOAD_B(b + i, n - i));     \
        return vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));                \
    }
PAIR(dot_f32, float, float, f32, f32, DOT_STEP)
PAIR(l2_f32, float, float, f32, f32, L2_STEP)
PAIR(dot_f16, uint16_t, uint16_t, f16, f16, DOT_STEP)
PAIR(l2_f16, uint16_t, uint16_t, f16, f16, L2_STEP)
PAIR(dot_f32_f16, float, uint16_t, f32, f16, DOT_STEP)
PAIR(l2_f32_f16, float, uint16_t, f32, f16, L2_STEP)

static int32_t dot_i8(const int8_t *a, const int8_t *b, size_t n) {
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
#if defined(__ARM_FEATURE_DOTPROD)
        s0 = vdotq_s32(s0, x, y);
#else
        s0 = vpadalq_s16(s0, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
        s1 = vpadalq_s16(s1, vmull_high_s8(x, y));
#endif
    }
    int32_t sum = vaddvq_s32(vaddq_s32(s0, s1));
    for (; i < n; i++) sum += (int32_t)a[i] * b[i];
    return sum;
}

static int32_t l2_i8(const int8_t *a, const int8_t *b, size_t n) {
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        int16x8_t d = vsubl_s8(vld1_s8(a + i), vld1_s8(b + i));
        s0 = vmlal_s16(s0, vget_low_s16(d), vget_low_s16(d));
        s1 = vmlal_high_s16(s1, d, d);
    }
    int32_t sum = vaddvq_s32(vaddq_s32(s0, s1));
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
    for (size_t i = 0; i < n; i += 4) {
        size_t left = n - i;
        float32x4_t v = left < 4 ? part_f32(a + i, left) : whole_f32(a + i);
        uint16x4_t h = vreinterpret_u16_f16(vcvt_f16_f32(v));
        __builtin_memcpy(out + i, &h, left < 4 ? left * 2 : 8);
    }
}

static void f16_to_f32(const uint16_t *a, size_t n, float *out) {
    for (size_t i = 0; i < n; i += 4) {
        size_t left = n - i;
        float32x4_t v = left < 4 ? part_f16(a + i, left) : whole_f16(a + i);
        __builtin_memcpy(out + i, &v, left < 4 ? left * 4 : 16);
    }
}

static void f32_to_i8(const float *a, size_t n, float inverse, int8_t *out) {
    for (size_t i = 0; i < n; i++) {
        float scaled = __builtin_rintf(a[i] * inverse);
        out[i] = (int8_t)(scaled > 127 ? 127 : scaled < -127 ? -127 : scaled);
    }
}

static float max_abs_f32(const float *a, size_t n) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        __builtin_memcpy(&bits, &a[i], 4);
        bits &= 0x7fffffff;
        if (bits > largest) largest = bits;
    }
    if (largest > 0x7f800000) largest = 0x7f800000;
    float value;
    __builtin_memcpy(&value, &largest, 4);
    return value;
}

const ck_vector_kernels ck_vector_neon = {
    dot_f32,      l2_f32,      dot_f16,      l2_f16,      dot_f32_f16, l2_f32_f16,
    dot_i8,       l2_i8,       dot_f32_list, l2_f32_list, dot_f16_list, l2_f16_list,
    dot_i8_list,  l2_i8_list,  codes_list,   f32_to_f16,  f16_to_f32,  f32_to_i8,
    ck_unvisited_plain, max_abs_f32,
};
#endif
