/* compute.c -- plan, check, run. */
#include "runtime/compute.h"

#include <stdio.h>
#include <stdlib.h> /* defines __GLIBC__, where that is the C library */

#ifdef __GLIBC__
#include <malloc.h>
#endif

void vq_memory(size_t *free, size_t *all)
{
  FILE *f = fopen("/proc/meminfo", "r");
  char line[256];
  unsigned long long kib;
  *free = *all = 0;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
      *free = (size_t)kib << 10;
    else if (sscanf(line, "MemTotal: %llu", &kib) == 1)
      *all = (size_t)kib << 10;
  if (f)
    fclose(f);
}

vq_status vq_memory_check(const vq_footprint *need, const vq_place *place, const char *what)
{
  size_t have, all;
  double mib = 1 << 20;
  vq_place_memory(place, &have, &all);
  size_t needs = need->weights + need->step;
  if (place->limit && needs > place->limit)
    return vq_fail(VQ_ERR_MEMORY,
                   "%s needs %.0f MiB (%.0f for networks, %.0f for a step) and --vram allows %.0f MiB: ask for a "
                   "smaller picture or allow more",
                   what, (double)needs / mib, (double)need->weights / mib, (double)need->step / mib,
                   (double)place->limit / mib);
  if (!have || needs <= have)
    return VQ_OK;
  return vq_fail(VQ_ERR_MEMORY,
                 "%s needs %.0f MiB (%.0f for networks, %.0f for a step) and this %s has %.0f MiB free: ask for a "
                 "smaller picture or close other programs",
                 what, (double)needs / mib, (double)need->weights / mib, (double)need->step / mib,
                 place->cuda ? "GPU" : "machine", (double)have / mib);
}

void vq_memory_return(void)
{
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

static vq_status run(vq_device *device, vq_job_fn job, void *user)
{
  vq_tape *tape;
  VQ_TRY(vq_tape_create(&tape, device));
  vq_status status = job(device, tape, user);
  if (!status)
    status = vq_tape_status(tape);
  vq_tape_free(tape);
  return status;
}

vq_status vq_compute_plan(vq_job_fn job, void *user, const vq_place *place, vq_footprint *out)
{
  vq_device *device;
  VQ_TRY(vq_place_plan(&device, place));
  vq_status status = run(device, job, user);
  *out = (vq_footprint){vq_weights_kept(device), vq_device_peak(device), device->weight_bytes};
  vq_device_free(device);
  return status;
}

vq_status vq_compute(vq_job_fn job, void *user, const vq_place *place)
{
  vq_footprint need;
  vq_device *device;
  VQ_TRY(vq_compute_plan(job, user, place, &need));
  VQ_TRY(vq_memory_check(&need, place, "asking the network"));
  VQ_TRY(vq_place_open(&device, place));
  vq_status status = vq_device_reserve(device, need.step);
  if (!status)
    status = vq_weights_reserve(device, need.arena);
  if (!status)
    status = run(device, job, user);
  vq_device_free(device);
  vq_memory_return();
  return status;
}
