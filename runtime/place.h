/* place.h -- where a run computes, and how exactly: what --device, --precision and --threads say, turned into devices. */
#ifndef VQ_RUNTIME_PLACE_H
#define VQ_RUNTIME_PLACE_H

#include "kernels/cuda/module.h"
#include "vqgen.h"

typedef struct vq_place {
  const vq_cuda_module *cuda; /* NULL: on the CPU */
  int card;
  vq_dtype products; /* vq_device.products */
  int products_by;   /* of a GPU: vq_products_by, by $VQGEN_CUDA_PRODUCTS where that is set */
  int threads;       /* of the CPU; 0: one for each processor */
  size_t limit;      /* bytes that may be taken there; 0: all that are free */
} vq_place;

/* The CPU, for a call's length. */
#define VQ_ON_CPU(n) (&(const vq_place){.products = VQ_REAL, .threads = n})

/* device: "auto" or NULL (the CPU, and a notice of a GPU that is there or cannot be used), "cpu",
 * "cuda" or "cuda:I". VQ_ERR_ARGUMENT, VQ_ERR_DEVICE, VQ_ERR_UNSUPPORTED (a precision that the device has not). */
vq_status vq_place_find(vq_place *out, const char *device, vq_precision precision, int threads, const vq_log *log);

/* Whether the CPU computes in bf16: whether this build and this processor have what it takes. */
bool vq_place_cpu_has_bf16(void);

/* Who computes products on a GPU. A library that is meant to, and cannot be used, is told to the log: our own kernels stand in for it. */
void vq_place_products(vq_place *place, int products_by, const vq_log *log);

/* "cuBLASLt", "cuDNN" */
const char *vq_library_name(int maker);

/* The place that settings name. */
vq_status vq_place_of(vq_place *out, const vq_settings *settings);

/* A device there; the caller frees it. With VQGEN_SYNC=1 in the environment it does one thing at a time (vq_device.one_by_one). */
vq_status vq_place_open(vq_device **out, const vq_place *place);

/* One that plans for it. */
vq_status vq_place_plan(vq_device **out, const vq_place *place);

/* Bytes that can be had there now, and that there are; 0: unknown. */
void vq_place_memory(const vq_place *place, size_t *free, size_t *all);

/* "cpu, AMD EPYC, AVX-512"; "cpu, AMD EPYC, AVX-512, bf16"; "cuda, NVIDIA H200, sm_90, bf16": what pictures made there have in common. */
void vq_place_name(const vq_place *place, char *text, size_t bytes);

/* --device and --precision of a place by its name: what computes there again, as far as this machine has it. */
void vq_place_of_name(const char *name, const char **device, vq_precision *precision);

#endif
