/* fuzz.h -- hands libFuzzer's bytes to a function that reads a file, through a file that has no name. */
#ifndef VQ_TESTS_FUZZ_H
#define VQ_TESTS_FUZZ_H

#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static inline void with_file(const uint8_t *data, size_t bytes, void (*read)(const char *path))
{
  char path[32];
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes)
    read(path);
  close(fd);
}

#endif
