/* A CUDA driver without a GPU, for tests: real pycuda and cuda-bindings run over it.
 *
 * Device memory is host memory at a shifted address, so that neither can be taken for the other.
 * Each block is known: an address outside, or one that was freed, is an error. A stream runs what
 * is put on it at once or, with FAKE_CUDA_DEFER=1, when somebody waits for it. Between the
 * beginning and the end of a capture, what is put on a stream is kept, and a graph's launch
 * replays it. Nothing is freed for good, so that a later use is seen.
 *
 * FAKE_CUDA_DEVICES, FAKE_CUDA_INTEGRATED   how many GPUs, and whether they share memory
 * FAKE_CUDA_FAIL=NAME:CODE[:N]              the Nth call of NAME gives CODE (every one without N)
 * FAKE_CUDA_LOG=FILE                        a line for each call that does something
 */

#define _GNU_SOURCE
#include "fake_cuda.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16 };

typedef struct { int retained; } Context;

static int is_initialized;
static Context primary;
static __thread Context *stack[MAX_DEPTH];
static __thread int depth;

int fake_is_initialized(void) { return is_initialized; }

int fake_has_context(void) { return depth && stack[depth - 1] && primary.retained; }

void fake_say(const char *format, ...) {
    const char *path = getenv("FAKE_CUDA_LOG");
    if (!path) return;
    FILE *file = fopen(path, "a");
    if (!file) return;
    va_list rest;
    va_start(rest, format);
    vfprintf(file, format, rest);
    va_end(rest);
    fputc('\n', file);
    fclose(file);
}

/* The code that a call was told to give, or SUCCESS. */
Result fake_planted(const char *name) {
    const char *fail = getenv("FAKE_CUDA_FAIL");
    static char last[128];
    static int calls;
    char wanted[64];
    int code, nth = 0;
    if (strcmp(last, fail ? fail : "")) {
        snprintf(last, sizeof last, "%s", fail ? fail : "");
        calls = 0;
    }
    if (!fail || sscanf(fail, "%63[^:]:%d:%d", wanted, &code, &nth) < 2) return SUCCESS;
    if (strcmp(wanted, name)) return SUCCESS;
    calls++;
    if (nth && calls != nth) return SUCCESS;
    fake_say("%s fails", name);
    return code;
}

int fake_number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

EXPORT Result cuInit(unsigned flags) {
    (void)flags;
    Result code = fake_planted("cuInit");
    if (code) return code;
    if (!fake_number("FAKE_CUDA_DEVICES", 1)) return NO_DEVICE;
    is_initialized = 1;
    return SUCCESS;
}

EXPORT Result cuDriverGetVersion(int *version) {
    *version = fake_number("FAKE_CUDA_VERSION", 13000);
    return SUCCESS;
}

EXPORT Result cuDeviceGetCount(int *count) {
    BEGIN("cuDeviceGetCount");
    *count = fake_number("FAKE_CUDA_DEVICES", 1);
    return SUCCESS;
}

EXPORT Result cuDeviceGet(int *device, int index) {
    BEGIN("cuDeviceGet");
    *device = index;
    return index < fake_number("FAKE_CUDA_DEVICES", 1) ? SUCCESS : 101;
}

EXPORT Result cuDeviceGetName(char *name, int size, int device) {
    BEGIN("cuDeviceGetName");
    snprintf(name, (size_t)size, "Fake GPU %d", device);
    return SUCCESS;
}

EXPORT Result cuDeviceTotalMem_v2(size_t *size, int device) {
    (void)device;
    *size = 1ULL << 33;
    return SUCCESS;
}

EXPORT Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    BEGIN("cuDeviceGetAttribute");
    (void)device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 0;
    if (attribute == 18) *value = fake_number("FAKE_CUDA_INTEGRATED", 0);
    return SUCCESS;
}

EXPORT Result cuDevicePrimaryCtxRetain(Context **context, int device) {
    BEGIN("cuDevicePrimaryCtxRetain");
    (void)device;
    primary.retained++;
    fake_say("context retained");
    *context = &primary;
    return SUCCESS;
}

EXPORT Result cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    fake_say("context released with %d blocks", fake_cuda_live());
    if (!primary.retained) return INVALID_CONTEXT;
    primary.retained--;
    return SUCCESS;
}

EXPORT Result cuCtxPushCurrent_v2(Context *context) {
    BEGIN("cuCtxPushCurrent");
    if (depth == MAX_DEPTH) return OUT_OF_MEMORY;
    stack[depth++] = context;
    return SUCCESS;
}

EXPORT Result cuCtxPopCurrent_v2(Context **context) {
    BEGIN("cuCtxPopCurrent"); NEEDS_CONTEXT;
    *context = stack[--depth];
    return SUCCESS;
}

EXPORT Result cuCtxGetCurrent(Context **context) {
    *context = depth ? stack[depth - 1] : NULL;
    return SUCCESS;
}

EXPORT Result cuCtxGetDevice(int *device) { *device = 0; return depth ? 0 : INVALID_CONTEXT; }

/* How many contexts this thread has pushed and not popped. */
EXPORT int fake_cuda_depth(void) { return depth; }

EXPORT Result cuCtxSynchronize(void) { return NOT_SUPPORTED; }

static const struct { int code; const char *name, *text; } ERRORS[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {35, "CUDA_ERROR_INSUFFICIENT_DRIVER", "the driver is too old"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "driver and library differ"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "not permitted when a stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "the capture was invalidated"},
};

EXPORT Result cuGetErrorName(int code, const char **name) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (ERRORS[i].code == code) { *name = ERRORS[i].name; return SUCCESS; }
    *name = NULL;
    return INVALID_VALUE;
}

EXPORT Result cuGetErrorString(int code, const char **text) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (ERRORS[i].code == code) { *text = ERRORS[i].text; return SUCCESS; }
    *text = "an error that the fake driver does not name";
    return SUCCESS;
}

/* cuda-bindings asks for everything here; what is not there is not found. */
static Result found(const char *name, void **function) {
    static const char *const SUFFIXES[] = {"_v2", "", "WithFlags"};
    char full[128];
    void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    for (int i = 0; self && i < 3; i++) {
        snprintf(full, sizeof full, "%s%s", name, SUFFIXES[i]);
        if ((*function = dlsym(self, full))) return SUCCESS;
    }
    *function = NULL;
    return NOT_FOUND;
}

EXPORT Result cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags,
                                  int *status) {
    (void)version; (void)flags;
    Result code = found(name, function);
    if (status) *status = code ? 1 : 0;
    return code;
}

EXPORT Result cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
