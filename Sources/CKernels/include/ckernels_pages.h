#pragma once
// Memory for large growing arrays, straight from the system: it grows by moving page tables, not
// bytes, and goes back whole, so that a process's resident size is what its ledger says.
// (mremap is variadic, which Swift cannot call.)
#include <stddef.h>

/// Room of at least `size` bytes, aligned to 64, contents undefined; NULL if there is none.
void *ck_pages_allocate(size_t size);
/// Moves `used` bytes of a block of `size` to one of `next` bytes and gives the old one back; NULL
/// if there is no room, and the old block stays.
void *ck_pages_grow(void *block, size_t size, size_t next, size_t used);
/// Gives a block of `size` bytes back.
void ck_pages_free(void *block, size_t size);

// Gives the allocator's free pages back to the system; nothing where the C library cannot.
void ck_release_free_memory(void);
