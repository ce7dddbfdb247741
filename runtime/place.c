/* place.c -- from words to devices. */
#include "runtime/place.h"

#include "base/processor.h"
#include "runtime/compute.h"
#include "runtime/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "cuda" or "cuda:I" */
static bool names_card(const char *device, int *card)
{
  char *end;
  *card = 0;
  if (strncmp(device, "cuda", 4))
    return false;
  if (!device[4])
    return true;
  long number = strtol(device + 5, &end, 10);
  *card = (int)number;
  return device[4] == ':' && device[5] >= '0' && device[5] <= '9' && !*end && number < 1024;
}

const char *vq_library_name(int maker)
{
  return maker == VQ_CUBLASLT ? "cuBLASLt" : "cuDNN";
}

static const char *const products_names[] = {"table", "own", "cublaslt", "cudnn", "libraries"};

void vq_place_products(vq_place *place, int products_by, const vq_log *log)
{
  char text[256];
  place->products_by = products_by;
  for (int maker = VQ_OWN + 1; maker < VQ_MAKERS; maker++)
    if (place->cuda->chooses(products_by, maker) && place->cuda->library(maker, place->card, text, sizeof text))
      vq_log_info(log, "%s cannot be used: %s: our own kernels compute in its place", vq_library_name(maker),
                  vq_error_message());
}

/* What $VQGEN_CUDA_PRODUCTS says. */
static vq_status read_products_by(int *by)
{
  const char *name = getenv("VQGEN_CUDA_PRODUCTS");
  *by = VQ_PRODUCTS_TABLE;
  if (!name || !*name)
    return VQ_OK;
  for (*by = 0; *by <= VQ_PRODUCTS_LIBRARIES; ++*by)
    if (!strcmp(name, products_names[*by]))
      return VQ_OK;
  return vq_fail(VQ_ERR_ARGUMENT, "VQGEN_CUDA_PRODUCTS is \"%s\" in the environment: it can be %s", name,
                 VQ_PRODUCTS_NAMES);
}

static vq_status on_card(vq_place *out, vq_precision precision, const vq_log *log)
{
  vq_cuda_card card;
  int cards, products_by;
  VQ_TRY(vq_cuda_open(&out->cuda));
  VQ_TRY(out->cuda->count(&cards));
  if (out->card >= cards)
    return vq_fail(VQ_ERR_DEVICE, "there is no GPU number %d: this machine has %d", out->card, cards);
  VQ_TRY(out->cuda->describe(&card, out->card));
  bool has_bf16 = card.major >= 8;
  if (precision == VQ_PRECISION_TF32)
    return vq_fail(VQ_ERR_UNSUPPORTED, "tf32 is not in this version yet: use --precision fp32 or bf16");
  out->products = precision == VQ_PRECISION_BF16 || (precision == VQ_PRECISION_AUTO && has_bf16) ? VQ_BF16 : VQ_F32;
  VQ_TRY(read_products_by(&products_by));
  vq_place_products(out, products_by, log);
  return VQ_OK;
}

bool vq_place_cpu_has_bf16(void)
{
#ifdef VQ_DOUBLE
  return false;
#else
  return vq_processor_has_bf16();
#endif
}

static vq_status on_cpu(vq_place *out, vq_precision precision)
{
  out->cuda = NULL;
  out->products = VQ_REAL;
  out->products_by = VQ_PRODUCTS_TABLE;
  if (precision == VQ_PRECISION_TF32)
    return vq_fail(VQ_ERR_UNSUPPORTED, "tf32 is for GPUs: the CPU computes with --precision fp32, or bf16");
  if (precision != VQ_PRECISION_BF16)
    return VQ_OK;
  if (!vq_place_cpu_has_bf16()) /* without the instructions it would be less exact and slower */
    return vq_fail(
        VQ_ERR_UNSUPPORTED,
        "bf16 needs a processor with dot products of bf16 (AVX512_BF16), and this one, or VQGEN_CPU, has "
        "none: use --precision fp32");
  out->products = VQ_BF16;
  return VQ_OK;
}

vq_status vq_place_find(vq_place *out, const char *device, vq_precision precision, int threads, const vq_log *log)
{
  *out = (vq_place){.threads = threads};
  if (!device || !strcmp(device, "auto")) {
    if (!vq_cuda_expected())
      return on_cpu(out, precision);
    /* Not by itself, as long as no GPU has run these kernels (tools/gpu-check.sh). */
    if (!on_card(out, precision, NULL))
      vq_log_info(log, "the CPU computes: there is a GPU, but its kernels have only been tested emulated; --device "
                       "cuda uses it");
    else
      vq_log_info(log, "the CPU computes: %s", vq_error_message());
    return on_cpu(out, precision);
  }
  if (!strcmp(device, "cpu"))
    return on_cpu(out, precision);
  if (names_card(device, &out->card))
    return on_card(out, precision, log);
  return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is no device: write auto, cpu, cuda or cuda:I", device);
}

vq_status vq_place_of(vq_place *out, const vq_settings *s)
{
  VQ_TRY(vq_place_find(out, s->device, s->precision, s->threads, NULL));
  out->limit = (size_t)s->vram;
  return VQ_OK;
}

vq_status vq_place_open(vq_device **out, const vq_place *place)
{
  const char *sync = getenv("VQGEN_SYNC");
  VQ_TRY(place->cuda ? place->cuda->create(out, place->card, place->products) : vq_cpu_create(out, place->threads));
  if (!place->cuda)
    (*out)->products = place->products;
  (*out)->products_by = place->products_by;
  (*out)->one_by_one = sync && *sync && strcmp(sync, "0");
  return VQ_OK;
}

vq_status vq_place_plan(vq_device **out, const vq_place *place)
{
  VQ_TRY(vq_plan_create(out, place->cuda ? place->cuda->backend : &vq_cpu_backend));
  (*out)->products = place->products;
  (*out)->products_by = place->products_by;
  return VQ_OK;
}

void vq_place_memory(const vq_place *place, size_t *free, size_t *all)
{
  vq_cuda_card card = {.free = 0};
  if (!place->cuda)
    vq_memory(free, all);
  else if (place->cuda->describe(&card, place->card))
    *free = *all = 0;
  else {
    *free = card.free;
    *all = card.memory;
  }
}

void vq_place_name(const vq_place *place, char *text, size_t bytes)
{
  vq_cuda_card card;
  if (!place->cuda) {
    vq_machine_device(text, bytes);
    size_t used = strlen(text);
    if (place->products == VQ_BF16)
      snprintf(text + used, bytes - used, ", bf16");
  } else if (place->cuda->describe(&card, place->card))
    snprintf(text, bytes, "cuda");
  else
    snprintf(text, bytes, "cuda, %s, sm_%d%d, %s%s%s", card.name, card.major, card.minor,
             vq_dtype_name(place->products), place->products_by ? ", products by " : "",
             place->products_by ? products_names[place->products_by] : "");
}

static bool ends_with(const char *text, size_t length, const char *end)
{
  size_t part = strlen(end);
  return length >= part && !memcmp(text + length - part, end, part);
}

void vq_place_of_name(const char *name, const char **device, vq_precision *precision)
{
  const char *by = strstr(name, ", products by ");
  size_t length = by ? (size_t)(by - name) : strlen(name);
  *device = strncmp(name, "cuda", 4) ? "cpu" : "cuda";
  *precision = ends_with(name, length, ", bf16") ? VQ_PRECISION_BF16 : VQ_PRECISION_FP32;
}
