// Large blocks are mappings of their own; small ones come from the allocator.
#define _GNU_SOURCE
#include "ckernels_pages.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t mapped_from = 128 << 10;

void *ck_pages_allocate(size_t size) {
    if (size >= mapped_from) {
        void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return block == MAP_FAILED ? NULL : block;
    }
    void *block = NULL;
    return posix_memalign(&block, 64, size) == 0 ? block : NULL;
}

void *ck_pages_grow(void *block, size_t size, size_t next, size_t used) {
#if defined(__linux__)
    if (size >= mapped_from && next >= mapped_from) {
        void *moved = mremap(block, size, next, MREMAP_MAYMOVE);
        return moved == MAP_FAILED ? NULL : moved;
    }
#endif
    void *moved = ck_pages_allocate(next);
    if (moved == NULL) return NULL;
    memcpy(moved, block, used);
    ck_pages_free(block, size);
    return moved;
}

void ck_pages_free(void *block, size_t size) {
    if (size >= mapped_from) munmap(block, size);
    else free(block);
}

void ck_release_free_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
