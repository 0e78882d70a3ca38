/* Memory of the fake driver: every block is known, and none is freed for good. */

#define _GNU_SOURCE
#include "fake_cuda.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCKS = 4096 };

static Block blocks[MAX_BLOCKS];
static int n_blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

Block *fake_find(const void *address, size_t size) {
    for (int i = 0; i < n_blocks; i++) {
        char *start = blocks[i].start;
        if ((char *)address >= start && (char *)address + size <= start + blocks[i].size)
            return &blocks[i];
    }
    return NULL;
}

static Result allocate(size_t size, int is_device, void **made) {
    pthread_mutex_lock(&lock);
    Result code = OUT_OF_MEMORY;
    void *start = NULL;
    if (n_blocks < MAX_BLOCKS && size && !posix_memalign(&start, 4096, size)) {
        memset(start, 0xAB, size);
        blocks[n_blocks++] = (Block){start, size, is_device, 0};
        *made = start;
        code = SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static Result release(void *start, int is_device) {
    Block *block = fake_find(start, 1);
    if (!block || block->start != start || block->is_device != is_device) return INVALID_VALUE;
    if (block->is_free) return INVALID_VALUE;
    block->is_free = 1;
    memset(block->start, 0xDD, block->size);
    return SUCCESS;
}

/* The host address of device memory (or of mapped pinned memory), or NULL. For stand-ins. */
EXPORT void *fake_cuda_memory(DevicePointer address, size_t size) {
    Block *block = address > SHIFT ? fake_find((void *)(address - SHIFT), size) : NULL;
    return block && !block->is_free ? (void *)(address - SHIFT) : NULL;
}

/* How many blocks live. */
EXPORT int fake_cuda_live(void) {
    int count = 0;
    for (int i = 0; i < n_blocks; i++) count += !blocks[i].is_free;
    return count;
}

EXPORT Result cuMemAlloc_v2(DevicePointer *made, size_t size) {
    BEGIN("cuMemAlloc"); NEEDS_CONTEXT;
    if (fake_capturing()) return CAPTURE_UNSUPPORTED;
    void *start;
    Result code = allocate(size, 1, &start);
    if (!code) *made = (DevicePointer)start + SHIFT;
    fake_say("alloc device %zu", size);
    return code;
}

EXPORT Result cuMemFree_v2(DevicePointer address) {
    BEGIN("cuMemFree"); NEEDS_CONTEXT;
    fake_say("free device");
    return release((void *)(address - SHIFT), 1);
}

EXPORT Result cuMemHostAlloc(void **made, size_t size, unsigned flags) {
    BEGIN("cuMemHostAlloc"); NEEDS_CONTEXT;
    fake_say("alloc pinned %zu flags %u", size, flags);
    return allocate(size, 0, made);
}

EXPORT Result cuMemFreeHost(void *start) {
    BEGIN("cuMemFreeHost"); NEEDS_CONTEXT;
    fake_say("free pinned");
    return release(start, 0);
}

EXPORT Result cuMemHostGetDevicePointer_v2(DevicePointer *found, void *start, unsigned flags) {
    BEGIN("cuMemHostGetDevicePointer"); NEEDS_CONTEXT;
    (void)flags;
    Block *block = fake_find(start, 1);
    if (!block || block->is_device || block->is_free) return INVALID_VALUE;
    *found = (DevicePointer)start + SHIFT;
    return SUCCESS;
}
