/* Streams and graphs of the fake driver. */

#include "fake_cuda.h"

#include <stdlib.h>
#include <string.h>

enum { UPLOAD, DOWNLOAD, CALL };
enum { MAX_OPS = 256 };

typedef struct {
    int kind;
    void *to;
    const void *from;
    size_t size;
    void (*function)(void *);
    void *data;
} Op;
typedef struct { Op ops[MAX_OPS]; int count; int is_free; } Ops;
typedef struct { Ops waiting, captured; int capture; int is_free; } Stream;

static int n_capturing;

int fake_capturing(void) { return n_capturing; }

static Result run_one(const Op *op) {
    if (op->kind == CALL) { op->function(op->data); return SUCCESS; }
    const void *host = op->kind == UPLOAD ? op->from : op->to;
    const void *device = op->kind == UPLOAD ? op->to : op->from;
    Block *on_host = fake_find(host, op->size), *on_device = fake_find(device, op->size);
    if (!on_device || on_device->is_free || (on_host && on_host->is_free)) return ILLEGAL_ADDRESS;
    memcpy(op->to, op->from, op->size);
    return SUCCESS;
}

static const char *const KINDS[] = {"upload", "download", "execute"};

static Result run_all(Ops *ops, const char *how) {
    Result code = SUCCESS;
    for (int i = 0; i < ops->count && !code; i++) {
        code = run_one(&ops->ops[i]);
        fake_say("%s %s", how, KINDS[ops->ops[i].kind]);
    }
    return code;
}

static Result wait_for(Stream *stream) {
    Result code = run_all(&stream->waiting, "late");
    stream->waiting.count = 0;
    return code;
}

static Result append(Ops *ops, const Op *op) {
    if (ops->count == MAX_OPS) return OUT_OF_MEMORY;
    ops->ops[ops->count++] = *op;
    return SUCCESS;
}

static Result enqueue(Stream *stream, Op op) {
    if (!stream || stream->is_free) return INVALID_HANDLE;
    if (stream->capture) {
        fake_say("capture %s", KINDS[op.kind]);
        return append(&stream->captured, &op);
    }
    if (fake_number("FAKE_CUDA_DEFER", 0)) return append(&stream->waiting, &op);
    fake_say("%s", KINDS[op.kind]);
    return run_one(&op);
}

EXPORT Result cuStreamCreate(Stream **made, unsigned flags) {
    BEGIN("cuStreamCreate"); NEEDS_CONTEXT;
    *made = calloc(1, sizeof(Stream));
    fake_say("stream flags %u", flags);
    return *made ? SUCCESS : OUT_OF_MEMORY;
}

EXPORT Result cuStreamDestroy_v2(Stream *stream) {
    BEGIN("cuStreamDestroy"); NEEDS_CONTEXT;
    if (stream->is_free) return INVALID_HANDLE;
    stream->is_free = 1;
    fake_say("stream destroyed with %d waiting", stream->waiting.count);
    return SUCCESS;
}

EXPORT Result cuStreamSynchronize(Stream *stream) {
    BEGIN("cuStreamSynchronize"); NEEDS_CONTEXT;
    if (!stream || stream->is_free) return INVALID_HANDLE;
    if (stream->capture) { stream->capture = -1; return CAPTURE_UNSUPPORTED; }
    Result code = wait_for(stream);
    fake_say("synchronize");
    return code;
}

EXPORT Result cuStreamQuery(Stream *stream) {
    BEGIN("cuStreamQuery"); NEEDS_CONTEXT;
    return stream->waiting.count ? NOT_READY : SUCCESS;
}

EXPORT Result cuStreamBeginCapture_v2(Stream *stream, int mode) {
    BEGIN("cuStreamBeginCapture"); NEEDS_CONTEXT;
    if (!stream || stream->capture) return CAPTURE_UNSUPPORTED;
    stream->capture = 1;
    stream->captured.count = 0;
    n_capturing++;
    fake_say("capture begins, mode %d", mode);
    return SUCCESS;
}

EXPORT Result cuStreamEndCapture(Stream *stream, Ops **graph) {
    *graph = NULL;
    if (!stream->capture) return NOT_CAPTURING;
    int is_broken = stream->capture < 0;
    stream->capture = 0;
    n_capturing--;
    fake_say("capture ends");
    Result code = fake_planted("cuStreamEndCapture");
    if (code) return code;
    if (is_broken) return CAPTURE_INVALIDATED;
    *graph = malloc(sizeof(Ops));
    **graph = stream->captured;
    (*graph)->is_free = 0;
    return SUCCESS;
}

EXPORT Result cuStreamIsCapturing(Stream *stream, int *status) {
    *status = stream->capture != 0;
    return SUCCESS;
}

EXPORT Result cuGraphInstantiateWithFlags(Ops **made, Ops *graph, unsigned long long flags) {
    BEGIN("cuGraphInstantiate"); NEEDS_CONTEXT;
    (void)flags;
    *made = malloc(sizeof(Ops));
    **made = *graph;
    return SUCCESS;
}

EXPORT Result cuGraphDestroy(Ops *graph) { graph->is_free = 1; fake_say("graph destroyed"); return 0; }

EXPORT Result cuGraphLaunch(Ops *graph, Stream *stream) {
    BEGIN("cuGraphLaunch"); NEEDS_CONTEXT;
    if (graph->is_free || !stream || stream->is_free) return INVALID_HANDLE;
    fake_say("launch");
    if (!fake_number("FAKE_CUDA_DEFER", 0)) return run_all(graph, "replay");
    Result code = SUCCESS;
    for (int i = 0; i < graph->count && !code; i++)
        code = append(&stream->waiting, &graph->ops[i]);
    return code;
}

EXPORT Result cuGraphExecDestroy(Ops *graph) {
    BEGIN("cuGraphExecDestroy"); NEEDS_CONTEXT;
    if (graph->is_free) return INVALID_HANDLE;
    graph->is_free = 1;
    fake_say("executable graph destroyed");
    return SUCCESS;
}

EXPORT Result cuLaunchHostFunc(Stream *stream, void (*function)(void *), void *data) {
    BEGIN("cuLaunchHostFunc"); NEEDS_CONTEXT;
    return enqueue(stream, (Op){.kind = CALL, .function = function, .data = data});
}

EXPORT Result cuMemcpyHtoDAsync_v2(DevicePointer to, const void *from, size_t size, Stream *s) {
    BEGIN("cuMemcpyHtoDAsync"); NEEDS_CONTEXT;
    if (!fake_find(from, size)) fake_say("unpinned");
    if (!fake_cuda_memory(to, size)) return INVALID_VALUE;
    return enqueue(s, (Op){UPLOAD, (void *)(to - SHIFT), from, size, NULL, NULL});
}

EXPORT Result cuMemcpyDtoHAsync_v2(void *to, DevicePointer from, size_t size, Stream *s) {
    BEGIN("cuMemcpyDtoHAsync"); NEEDS_CONTEXT;
    if (!fake_find(to, size)) fake_say("unpinned");
    if (!fake_cuda_memory(from, size)) return INVALID_VALUE;
    return enqueue(s, (Op){DOWNLOAD, to, (void *)(from - SHIFT), size, NULL, NULL});
}
