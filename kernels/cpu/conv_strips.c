/* conv_strips.c -- convolutions as matrix products of strips, and the way to the other forms that there are.
 *
 * A strip of output pixels is one product: the values that each pixel reads, side by side, [pixels, kh*kw*ci], times the
 * weights transposed. Tasks are strips, cut across the output channels too where a picture has few strips. They run in
 * LANES queues, lane l taking tasks l, l + LANES ...: each lane has a buffer of its own, so the scratch is bounded and
 * depends on the sizes alone. Where x is made as it is read, a lane takes a run of strips, and makes lines of x on its way (lines.h).
 */
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/im2col.h"
#include "kernels/cpu/winograd.h"

#define LANES        32
#define LANE_BYTES   ((int64_t)2 << 20) /* a strip's buffer: about what a second-level cache holds */
#define LEAST_PIXELS 16                 /* fewer would read the weights again for too little work */
#define MOST_PIXELS  256
#define FEW_COLUMNS  128 /* output channels of a task where there are few strips */

typedef struct cut {
  int64_t strip, strips;   /* output pixels of a task, and in how many strips that leaves them */
  int64_t columns, across; /* the same for output channels */
  int64_t tasks, lanes;
  bool direct; /* a 1x1 convolution reads x as it lies */
} cut;

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static cut cut_of(const vq_conv_args *a)
{
  int64_t pixels = a->n * a->oh * a->ow, reads = a->kh * a->kw * a->ci;
  int64_t fits = LANE_BYTES / (reads * (int64_t)sizeof(vq_real));
  cut c;
  c.strip = most(LEAST_PIXELS, least(fits, most(64, least(pixels / LANES, MOST_PIXELS))));
  c.strips = (pixels + c.strip - 1) / c.strip;
  c.columns = c.strips < LANES ? FEW_COLUMNS : a->co;
  c.across = (a->co + c.columns - 1) / c.columns;
  c.tasks = c.strips * c.across;
  c.lanes = least(LANES, c.tasks);
  c.direct =
      a->kh == 1 && a->kw == 1 && a->stride == 1 && a->oh == a->h && a->ow == a->w && !a->upsample && !a->read;
  return c;
}

bool vq_conv_wants_read(const vq_conv_args *a)
{
  if (a->filtered)
    return vq_winograd_bf16_wants_read(a);
  if (a->panels)
    return vq_bf16_conv_wants_read(a);
  if (a->form)
    return vq_winograd_wants_read(a);
  return a->kh <= VQ_MOST_LINES && cut_of(a).strips >= 2 * LANES; /* as winograd.c's */
}

/* A lane's: what a strip's pixels read, and the lines of x that it makes. */
static int64_t lane_reals(const vq_conv_args *a, const cut *c)
{
  return c->direct ? 0 : c->strip * a->kh * a->kw * a->ci + (a->read ? vq_lines_reals(a, a->kh) : 0);
}

size_t vq_conv_cpu_scratch(const vq_conv_args *a)
{
  if (a->filtered)
    return vq_winograd_bf16_scratch(a);
  if (a->panels)
    return vq_bf16_conv_scratch(a);
  if (a->form)
    return vq_winograd_scratch(a);
  cut c = cut_of(a);
  return (size_t)(c.lanes * lane_reals(a, &c)) * sizeof(vq_real);
}

typedef struct job {
  const vq_conv_args *a;
  cut c;
  vq_real *scratch;
} job;

/* Lays a strip out, line by line of y, so that no more of x's lines are kept than a pixel reads. */
static void read_strip(const vq_conv_args *a, vq_lines *lines, int64_t from, int64_t to, vq_real *buffer)
{
  for (int64_t pixel = from, next; pixel < to; pixel = next) {
    int64_t q = pixel % a->ow, line = pixel / a->ow, row = line % a->oh * a->stride - a->top;
    next = least(to, pixel - q + a->ow);
    vq_lines_reach(lines, line / a->oh, row, row + a->kh, q * a->stride - a->left,
                   (q + next - pixel - 1) * a->stride - a->left + a->kw);
    vq_im2col(a, lines, pixel, next, 0, a->kh, 0, a->kw, buffer + (pixel - from) * a->kh * a->kw * a->ci);
  }
}

static void run_task(const job *j, int64_t task, vq_lines *lines, vq_real *buffer)
{
  const vq_conv_args *a = j->a;
  int64_t reads = a->kh * a->kw * a->ci;
  int64_t from = task / j->c.across * j->c.strip, to = least(from + j->c.strip, a->n * a->oh * a->ow);
  int64_t column = task % j->c.across * j->c.columns, columns = least(j->c.columns, a->co - column);
  if (lines)
    read_strip(a, lines, from, to, buffer);
  else if (!j->c.direct)
    vq_im2col(a, NULL, from, to, 0, a->kh, 0, a->kw, buffer);
  vq_gemm(&(vq_gemm_args){.tb = true,
                          .m = to - from,
                          .n = columns,
                          .k = reads,
                          .alpha = 1,
                          .a = j->c.direct ? a->x + from * reads : buffer,
                          .lda = reads,
                          .b = a->weight + column * reads,
                          .ldb = reads,
                          .beta = a->add,
                          .c = a->y + from * a->co + column,
                          .ldc = a->co,
                          .bias = a->bias ? a->bias + column : NULL,
                          .skip = a->skip ? a->skip + from * a->co + column : NULL});
}

static void lane_task(void *context, int64_t lane)
{
  const job *j = context;
  const vq_conv_args *a = j->a;
  vq_real *buffer = j->c.direct ? NULL : j->scratch + lane * lane_reals(a, &j->c);
  if (!a->read) {
    for (int64_t task = lane; task < j->c.tasks; task += j->c.lanes)
      run_task(j, task, NULL, buffer);
    return;
  }
  vq_lines lines = vq_lines_begin(a, a->kh, buffer + j->c.strip * a->kh * a->kw * a->ci);
  for (int64_t task = lane * j->c.tasks / j->c.lanes; task < (lane + 1) * j->c.tasks / j->c.lanes; task++)
    run_task(j, task, &lines, buffer);
}

vq_status vq_conv_cpu(vq_device *device, const vq_conv_args *a, void *scratch)
{
  if (a->filtered) {
    vq_winograd_bf16_conv(device, a, scratch);
    return VQ_OK;
  }
  if (a->panels) {
    vq_bf16_conv(device, a, scratch);
    return VQ_OK;
  }
  if (a->form) {
    vq_winograd_conv(device, a, scratch);
    return VQ_OK;
  }
  job j = {a, cut_of(a), scratch};
  vq_parallel(device->threads, j.c.lanes, lane_task, &j);
  return VQ_OK;
}
