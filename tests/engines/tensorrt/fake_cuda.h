/* What the files of the fake driver share. */

#include <stddef.h>
#include <stdint.h>

typedef int Result;
typedef uint64_t DevicePointer;

enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100,
    INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600,
    ILLEGAL_ADDRESS = 700, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901,
    NOT_CAPTURING = 904, NOT_SUPPORTED = 801
};
static const uint64_t SHIFT = 1ULL << 46; /* from an address of the host to one of the device */
#define EXPORT __attribute__((visibility("default")))

typedef struct { char *start; size_t size; int is_device, is_free; } Block;

void fake_say(const char *format, ...);
Result fake_planted(const char *name);
int fake_number(const char *name, int otherwise);
int fake_is_initialized(void);
int fake_has_context(void);
Block *fake_find(const void *address, size_t size);
int fake_capturing(void);
void *fake_cuda_memory(DevicePointer address, size_t size);
int fake_cuda_live(void);

/* What every call begins with: the failure that was asked for, and the order of calls. */
#define BEGIN(name) do { Result code_ = fake_planted(name); if (code_) return code_; \
    if (!fake_is_initialized()) return NOT_INITIALIZED; } while (0)
#define NEEDS_CONTEXT do { if (!fake_has_context()) return INVALID_CONTEXT; } while (0)
