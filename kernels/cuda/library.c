/* library.c -- Contract: library.h. */
#include "kernels/cuda/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first that opens; the message is that of the first that does not. */
static void *open_first(const char *const *files, char name[VQ_LIBRARY_NAME], char *why, size_t bytes)
{
  *why = 0;
  for (; *files; files++) {
    void *file = dlopen(*files, RTLD_NOW | RTLD_LOCAL);
    snprintf(name, VQ_LIBRARY_NAME, "%s", *files);
    if (file)
      return file;
    const char *error = dlerror();
    if (!*why)
      snprintf(why, bytes, "%s", error ? error : *files);
  }
  return NULL;
}

vq_status vq_library_open(const char *variable, const char *const *files, const vq_symbol *symbol, int symbols,
                          void *table, char name[VQ_LIBRARY_NAME])
{
  char why[1024];
  const char *named = getenv(variable), *const only[] = {named, NULL};
  bool chosen = named && *named;
  void *file = open_first(chosen ? only : files, name, why, sizeof why);
  if (!file)
    return vq_fail(VQ_ERR_DEVICE, "%s%s", why, chosen ? "" : "; install it, or name its file in the environment");
  for (int i = 0; i < symbols; i++) {
    void *address = dlsym(file, symbol[i].name);
    if (!address)
      return vq_fail(VQ_ERR_DEVICE, "%s has no %s: it is of a version that this program does not know", name,
                     symbol[i].name);
    memcpy((char *)table + symbol[i].offset, &address, sizeof address);
  }
  return VQ_OK;
}
