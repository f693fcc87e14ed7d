#pragma once
#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli) with the processor's own instruction. `ck_has_crc32c` says whether there is
// one; the caller has a table-driven twin for machines without.
int ck_has_crc32c(void);
// The checksum of `count` bytes that follow bytes whose (complemented) checksum is `seed`.
// REQUIRES: ck_has_crc32c().
uint32_t ck_crc32c(const uint8_t *bytes, size_t count, uint32_t seed);
