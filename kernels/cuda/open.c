/* open.c -- finds and opens the module. Contract: module.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include "kernels/cuda/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "libvqgen-cuda.so"

static vq_status keep(vq_status code, const char *message)
{
  return vq_fail(code, "%s", message);
}

static vq_status keep_context(vq_status code, const char *context)
{
  return vq_fail_in(code, "%s", context);
}

static const vq_cuda_host this_program = {keep, keep_context};

typedef const vq_cuda_module *(*open_fn)(int version, const vq_cuda_host *host);

/* FOLDER/NAME/libvqgen-cuda.so, FOLDER that of the file `of`; NULL if it is not there. */
static void *open_beside(const char *of, const char *name)
{
  char path[PATH_MAX];
  const char *slash = strrchr(of, '/');
  if (!slash ||
      snprintf(path, sizeof path, "%.*s/%s%s", (int)(slash - of), of, name, FILE_NAME) >= (int)sizeof path)
    return NULL;
  return access(path, R_OK) ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static void *open_file(void)
{
  const char *named = getenv("VQGEN_CUDA_MODULE");
  char program[PATH_MAX] = "";
  Dl_info here;
  void *file = NULL;
  if (named && *named)
    return dlopen(named, RTLD_NOW | RTLD_LOCAL);
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length > 0)
    file = open_beside(program, "");
  if (!file && length > 0)
    file = open_beside(program, "../kernels/cuda/"); /* in the folder that it is built in */
  if (!file && dladdr((const void *)&this_program, &here) && here.dli_fname)
    file = open_beside(here.dli_fname, "");
  return file ? file : dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
}

vq_status vq_cuda_open(const vq_cuda_module **out)
{
  open_fn open;
  *out = NULL;
#ifdef VQ_DOUBLE
  return vq_fail(VQ_ERR_DEVICE, "this build computes in double, which the GPU module does not");
#endif
  void *file = open_file();
  if (!file) {
    const char *why = dlerror();
    return vq_fail(VQ_ERR_DEVICE, "the GPU module is not there: %s",
                   why ? why : "it was not built (-Dgpu=enabled)");
  }
  /* It stays open: devices have its functions in them. */
  void *symbol = dlsym(file, "vq_cuda_module_open");
  memcpy(&open, &symbol, sizeof open);
  *out = symbol ? open(VQ_CUDA_MODULE_VERSION, &this_program) : NULL;
  return *out ? VQ_OK
              : vq_fail(VQ_ERR_DEVICE,
                        "the GPU module is of another version than this program: build both together");
}

bool vq_cuda_expected(void)
{
#ifdef VQ_WITH_CUDA
  return true;
#else
  return getenv("VQGEN_CUDA_MODULE") != NULL;
#endif
}
