#pragma once
// Arrays that grow in place: address space is reserved at the start and made usable as it is
// needed, so that no element ever moves while another thread reads it.
#include <stddef.h>

/// Reserves `size` bytes of addresses, page aligned; none of it may be touched yet and none costs
/// memory. NULL if there is no room.
void *ck_reserve(size_t size);
/// Makes bytes `from ..< to` usable (whole pages, zeroed on first touch) and asks for large pages
/// if `large` is set; 0 when it worked.
int ck_reserve_commit(void *block, size_t from, size_t to, int large);
/// Gives addresses and memory of a reservation of `size` bytes back.
void ck_reserve_free(void *block, size_t size);
