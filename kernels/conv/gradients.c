/* gradients.c -- the gradients of a convolution on the CPU. Contract: gradients.h. */
#include "kernels/conv/gradients.h"

#include "base/bf16.h"
#include "kernels/check.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/im2col.h"
#include "kernels/cpu/winograd.h"

#include <stdlib.h>

/* ---- d loss / d x ---- */

typedef struct turn_job {
  const vq_real *w;
  vq_real *turned;
  int64_t O, taps, I;
} turn_job;

static void turn_task(void *context, int64_t i)
{
  const turn_job *j = context;
  for (int64_t tap = 0; tap < j->taps; tap++) /* taps are counted from the other end: half a turn */
    for (int64_t o = 0; o < j->O; o++)
      j->turned[(i * j->taps + tap) * j->O + o] = j->w[(o * j->taps + j->taps - 1 - tap) * j->I + i];
}

static void turn(vq_device *device, const vq_tensor *w, vq_real *turned)
{
  turn_job j = {vq_values(w), turned, w->dim[0], w->dim[1] * w->dim[2], w->dim[3]};
  vq_parallel(device->threads, j.I, turn_task, &j);
}

bool vq_conv_by_winograd(const vq_tensor *w, int64_t stride)
{
  return stride == 1 && w->dtype == VQ_REAL && w->rank == 4 && w->dim[1] == 3 && w->dim[2] == 3 &&
         vq_winograd_fits(w->dim[0], w->dim[3]);
}

static bool is_filtered_bf16(const vq_tensor *w, int64_t stride)
{
  return stride == 1 && w->dtype == VQ_BF16 && w->rank == 4 && w->dim[1] == 3 && w->dim[2] == 3 &&
         vq_winograd_bf16_fits(w->dim[0], w->dim[3]);
}

vq_conv_args vq_conv_sizes(const vq_tensor *x, const vq_tensor *w, const vq_tensor *y, int64_t stride, int64_t top,
                           int64_t left)
{
  return (vq_conv_args){.n = x->dim[0],
                        .h = x->dim[1],
                        .w = x->dim[2],
                        .ci = x->dim[3],
                        .kh = w->dim[1],
                        .kw = w->dim[2],
                        .co = w->dim[0],
                        .stride = stride,
                        .top = top,
                        .left = left,
                        .oh = y->dim[1],
                        .ow = y->dim[2]};
}

void vq_conv_take_form(vq_conv_args *a, const vq_tensor *w, int which)
{
  bool filtered = is_filtered_bf16(w, a->stride);
  a->form = vq_conv_by_winograd(w, a->stride) ? w->prepared[which] : NULL;
  a->filtered = filtered ? w->prepared[which] : NULL;
  a->panels = w->dtype == VQ_BF16 && !filtered ? w->prepared[which] : NULL;
}

static vq_status prepare_form(vq_device *device, vq_tensor *w, int which)
{
  int64_t O = w->dim[0], I = w->dim[3];
  VQ_TRY(vq_weights_take(device, vq_winograd_bytes(O, I), &w->prepared[which]));
  if (device->plan)
    return VQ_OK;
  if (which == VQ_FORWARD)
    vq_winograd_prepare(device->threads, vq_values(w), false, O, I, w->prepared[which]);
  else
    vq_winograd_prepare(device->threads, vq_values(w), true, I, O, w->prepared[which]);
  return VQ_OK;
}

static vq_status prepare_filtered(vq_device *device, vq_tensor *w, int which)
{
  int64_t O = w->dim[0], I = w->dim[3], count = vq_count(w);
  VQ_TRY(vq_weights_take(device, vq_winograd_bf16_bytes(O, I), &w->prepared[which]));
  if (device->plan)
    return VQ_OK;
  vq_real *values = malloc((size_t)count * sizeof *values);
  vq_status status = values ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory to lay a weight out");
  for (int64_t i = 0; i < count && values; i++)
    values[i] = (vq_real)vq_bf16_to_float(((const uint16_t *)w->data)[i]);
  if (!status && which == VQ_FORWARD)
    status = vq_winograd_bf16_prepare(device->threads, values, false, O, I, w->prepared[which]);
  else if (!status)
    status = vq_winograd_bf16_prepare(device->threads, values, true, I, O, w->prepared[which]);
  free(values);
  if (status)
    w->prepared[which] = NULL;
  return status;
}

static vq_status prepare_bf16(vq_device *device, vq_tensor *w, int64_t stride, bool back)
{
  if (!is_filtered_bf16(w, stride))
    return vq_bf16_prepare(device, w, back && stride == 1);
  if (!w->prepared[VQ_FORWARD])
    VQ_TRY(prepare_filtered(device, w, VQ_FORWARD));
  if (!back || w->prepared[VQ_BACKWARD])
    return VQ_OK;
  VQ_TRY(prepare_filtered(device, w, VQ_BACKWARD));
  vq_weight_drop(device, w);
  return VQ_OK;
}

vq_status vq_conv_prepare(const vq_call *call, int x, int w, int64_t stride)
{
  vq_tensor *weight = call->in[w];
  vq_shape s = vq_shape_of(weight);
  if (weight->dtype == VQ_BF16)
    return prepare_bf16(call->device, weight, stride, call->in[x]->wants);
  if (!weight->weight || weight->wants || stride != 1 || weight->dim[1] * weight->dim[2] == 1)
    return VQ_OK;
  bool winograd = vq_conv_by_winograd(weight, stride), back = call->in[x]->wants && !weight->prepared[VQ_BACKWARD];
  if (winograd && !weight->prepared[VQ_FORWARD])
    VQ_TRY(prepare_form(call->device, weight, VQ_FORWARD));
  if (winograd && back) {
    VQ_TRY(prepare_form(call->device, weight, VQ_BACKWARD));
    vq_weight_drop(call->device, weight);
    return VQ_OK;
  }
  if (!back)
    return VQ_OK;
  VQ_TRY(vq_weights_take(call->device, vq_shape_bytes(&s), &weight->prepared[VQ_BACKWARD]));
  if (!call->device->plan)
    turn(call->device, weight, weight->prepared[VQ_BACKWARD]);
  return VQ_OK;
}

static vq_conv_args backwards(const vq_conv_args *a, const vq_real *dy, bool add, vq_real *dx)
{
  return (vq_conv_args){.n = a->n,
                        .h = a->oh,
                        .w = a->ow,
                        .ci = a->co,
                        .kh = a->kh,
                        .kw = a->kw,
                        .co = a->ci,
                        .stride = 1,
                        .top = a->kh - 1 - a->top,
                        .left = a->kw - 1 - a->left,
                        .oh = a->h,
                        .ow = a->w,
                        .x = dy,
                        .add = add,
                        .y = dx};
}

/* With what stands in for the weight. */
static vq_conv_args frozen_backwards(const vq_conv_args *a, const vq_tensor *w, const vq_real *dy, bool add,
                                     vq_real *dx)
{
  vq_conv_args b = backwards(a, dy, add, dx);
  vq_conv_take_form(&b, w, VQ_BACKWARD);
  if (w->dtype == VQ_REAL && !b.form)
    b.weight = w->prepared[VQ_BACKWARD];
  return b;
}

static bool is_product(const vq_conv_args *a)
{
  return !a->panels && a->kh * a->kw == 1 && a->stride == 1 && a->oh == a->h && a->ow == a->w;
}

static size_t turned_bytes(const vq_conv_args *a)
{
  size_t bytes = (size_t)(a->co * a->kh * a->kw * a->ci) * sizeof(vq_real);
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

size_t vq_conv_dx_scratch(const vq_conv_args *a, const vq_tensor *w)
{
  vq_conv_args b = frozen_backwards(a, w, NULL, false, NULL);
  if (is_product(a))
    return 0;
  if (a->stride != 1)
    return a->panels ? turned_bytes(a) : 0;
  return vq_conv_cpu_scratch(&b) + (w->prepared[VQ_BACKWARD] ? 0 : turned_bytes(a));
}

typedef struct gather_job {
  const vq_conv_args *a;
  const vq_real *w, *dy;
  vq_real *dx;
  bool add;
} gather_job;

/* dx[y,x,i] (+)= sum over the taps that read (y,x), and over o, of dy[r,q,o] w[o,tap,i] */
static void gather_pixel(const gather_job *j, int64_t n, int64_t y, int64_t x)
{
  const vq_conv_args *a = j->a;
  vq_real *dx = j->dx + ((n * a->h + y) * a->w + x) * a->ci;
  for (int64_t i = 0; i < a->ci && !j->add; i++)
    dx[i] = 0;
  for (int64_t u = 0; u < a->kh; u++)
    for (int64_t v = 0; v < a->kw; v++) {
      int64_t down = y + a->top - u, right = x + a->left - v;
      int64_t r = down / a->stride, q = right / a->stride;
      if (down < 0 || right < 0 || down % a->stride || right % a->stride || r >= a->oh || q >= a->ow)
        continue;
      const vq_real *dy = j->dy + ((n * a->oh + r) * a->ow + q) * a->co;
      for (int64_t o = 0; o < a->co; o++) {
        const vq_real *w = j->w + ((o * a->kh + u) * a->kw + v) * a->ci;
        for (int64_t i = 0; i < a->ci; i++)
          dx[i] += dy[o] * w[i];
      }
    }
}

static void gather_task(void *context, int64_t row)
{
  const gather_job *j = context;
  for (int64_t x = 0; x < j->a->w; x++)
    gather_pixel(j, row / j->a->h, row % j->a->h, x);
}

vq_status vq_conv_dx(vq_device *device, const vq_conv_args *a, const vq_tensor *w, const vq_real *dy, bool add,
                     vq_real *dx, void *scratch)
{
  if (is_product(a)) {
    vq_gemm_args product = {false, false, a->n * a->h * a->w, a->ci, a->co, 1, dy, a->co, vq_values(w), a->ci, add,
                            dx,    a->ci};
    vq_gemm_parallel(device->threads, &product);
    return VQ_OK;
  }
  if (a->stride != 1) {
    if (a->panels)
      vq_bf16_read(w, scratch);
    gather_job j = {a, a->panels ? scratch : vq_values(w), dy, dx, add};
    vq_parallel(device->threads, a->n * a->h, gather_task, &j);
    return VQ_OK;
  }
  vq_conv_args b = frozen_backwards(a, w, dy, add, dx);
  if (!w->prepared[VQ_BACKWARD]) {
    turn(device, w, scratch);
    b.weight = scratch;
    scratch = (char *)scratch + turned_bytes(a);
  }
  return vq_conv_cpu(device, &b, scratch);
}

/* ---- d loss / d w ----
 *
 * For each tap, dw[:,tap,:] = dy^T p, p the pixels that this tap reads [pixels, I]: a task is a tap and a block of output
 * channels, and goes through strips of pixels in order. */

#define STRIP   256
#define COLUMNS 64
#define LANES   32

typedef struct dw_job {
  const vq_conv_args *a;
  const vq_real *dy;
  vq_real *dw, *scratch;
  bool add;
  int64_t across, tasks, lanes;
} dw_job;

static dw_job dw_cut(const vq_conv_args *a)
{
  int64_t across = (a->co + COLUMNS - 1) / COLUMNS, tasks = a->kh * a->kw * across;
  return (dw_job){.a = a, .across = across, .tasks = tasks, .lanes = tasks < LANES ? tasks : LANES};
}

size_t vq_conv_dw_scratch(const vq_conv_args *a)
{
  return (size_t)(dw_cut(a).lanes * STRIP * a->ci) * sizeof(vq_real);
}

static void dw_task(void *context, int64_t lane)
{
  const dw_job *j = context;
  const vq_conv_args *a = j->a;
  int64_t pixels = a->n * a->oh * a->ow, row = a->kh * a->kw * a->ci;
  vq_real *seen = j->scratch + lane * STRIP * a->ci;
  for (int64_t task = lane; task < j->tasks; task += j->lanes) {
    int64_t tap = task / j->across, o = task % j->across * COLUMNS;
    int64_t u = tap / a->kw, v = tap % a->kw;
    for (int64_t from = 0; from < pixels; from += STRIP) {
      int64_t to = from + STRIP < pixels ? from + STRIP : pixels;
      vq_im2col(a, NULL, from, to, u, u + 1, v, v + 1, seen);
      vq_gemm(&(vq_gemm_args){.ta = true,
                              .m = a->co - o < COLUMNS ? a->co - o : COLUMNS,
                              .n = a->ci,
                              .k = to - from,
                              .alpha = 1,
                              .a = j->dy + from * a->co + o,
                              .lda = a->co,
                              .b = seen,
                              .ldb = a->ci,
                              .beta = from || j->add,
                              .c = j->dw + o * row + tap * a->ci,
                              .ldc = row});
    }
  }
}

void vq_conv_dw(vq_device *device, const vq_conv_args *a, const vq_real *dy, bool add, vq_real *dw, void *scratch)
{
  dw_job j = dw_cut(a);
  j.dy = dy;
  j.dw = dw;
  j.scratch = scratch;
  j.add = add;
  vq_parallel(device->threads, j.lanes, dw_task, &j);
}
