/* module.c -- the module's side of the seam: its table, and base/status.h by way of the program. */
#include "kernels/cuda/module.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_BYTES 4096

static const vq_cuda_host *host; /* set once, before anything else is called */

vq_status vq_fail(vq_status code, const char *format, ...)
{
  char message[MESSAGE_BYTES];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  return host->fail(code, message);
}

vq_status vq_fail_in(vq_status code, const char *format, ...)
{
  char context[MESSAGE_BYTES];
  va_list list;
  va_start(list, format);
  vsnprintf(context, sizeof context, format, list);
  va_end(list);
  return host->fail_in(code, context);
}

static const vq_cuda_module module = {
    .backend = &vq_cuda_backend,
    .count = vq_cuda_count,
    .describe = vq_cuda_describe,
    .create = vq_cuda_create,
    .library = vq_cuda_library,
    .chooses = vq_cuda_chooses,
    .computed = vq_cuda_computed,
};

__attribute__((visibility("default"))) const vq_cuda_module *vq_cuda_module_open(int version,
                                                                                 const vq_cuda_host *given)
{
  host = given;
  return version == VQ_CUDA_MODULE_VERSION ? &module : NULL;
}
