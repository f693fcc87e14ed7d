// Reserved address space for arrays that grow in place.
#define _GNU_SOURCE
#include "ckernels_reserve.h"

#include <sys/mman.h>

void *ck_reserve(size_t size) {
    void *block = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

int ck_reserve_commit(void *block, size_t from, size_t to, int large) {
    // SAFETY: the caller keeps from <= to <= the size of the reservation, both page aligned.
    char *start = (char *)block + from;
    if (mprotect(start, to - from, PROT_READ | PROT_WRITE) != 0) return -1;
#if defined(MADV_HUGEPAGE)
    // Random reads over many small pages cost a page walk each. A refusal costs speed only.
    if (large) (void)madvise(start, to - from, MADV_HUGEPAGE);
#else
    (void)large;
#endif
    return 0;
}

void ck_reserve_free(void *block, size_t size) { munmap(block, size); }
