#include "ckernels_crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

int ck_has_crc32c(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) uint32_t ck_crc32c(
    const uint8_t *bytes, size_t count, uint32_t seed) {
    uint64_t sum = ~seed;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        sum = _mm_crc32_u64(sum, word);
        bytes += 8;
        count -= 8;
    }
    uint32_t rest = (uint32_t)sum;
    while (count > 0) {
        rest = _mm_crc32_u8(rest, *bytes);
        bytes += 1;
        count -= 1;
    }
    return ~rest;
}
#else
int ck_has_crc32c(void) { return 0; }

uint32_t ck_crc32c(const uint8_t *bytes, size_t count, uint32_t seed) {
    (void)bytes;
    (void)count;
    return seed;
}
#endif
