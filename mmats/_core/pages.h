/* Growing buffers that are written once, front to back: fewer page faults where the system can. */
#ifndef MMATS_PAGES_H
#define MMATS_PAGES_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define MMATS_HUGE_FROM ((size_t)4 << 20)

/* realloc; large blocks ask for huge pages. NULL = no memory, the old block is untouched. */
static inline void *mmats_grow(void *block, size_t size_bytes) {
    char *grown = (char *)realloc(block, size_bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (grown && size_bytes >= MMATS_HUGE_FROM) {
        uintptr_t page = 4096, start = ((uintptr_t)grown + page - 1) & ~(page - 1);
        madvise((void *)start, (uintptr_t)grown + size_bytes - start, MADV_HUGEPAGE);
    }
#endif
    return grown;
}

#endif
