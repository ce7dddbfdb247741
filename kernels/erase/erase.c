/* erase.c -- erase on the CPU. Contract: erase.h. */
#include "kernels/erase/erase.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <math.h>

enum { X, BOX };
enum { VALUE }; /* attr.f */

static vq_status erase_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "erase", 1u << BOX));
  VQ_TRY(vq_check_rank("erase", "x", c->in[X], 4));
  VQ_TRY(vq_check_dims("erase", "box", c->in[BOX], 2, c->in[X]->dim[0], 4, -1, -1));
  *out = vq_shape_of(c->in[X]);
  return VQ_OK;
}

static int64_t held(int64_t i, int64_t most)
{
  return i < 0 ? 0 : i > most ? most : i;
}

/* to[0 ... n) = from, or is added it. */
static void copy(vq_real *to, const vq_real *from, int64_t n, bool add)
{
  for (int64_t i = 0; i < n; i++)
    vq_put(&to[i], add, from[i]);
}

/* One line of the cutouts: what is left, and right, of the rectangle, and `value` inside; to = from, or is added it. */
static void erase_line(const vq_call *c, int64_t line, vq_real *to, const vq_real *from, vq_real value, bool add)
{
  const vq_tensor *x = c->in[X];
  int64_t H = x->dim[1], W = x->dim[2], C = x->dim[3], r = line % H;
  const int32_t *box = (const int32_t *)vq_root(c->in[BOX])->data + line / H * 4;
  bool inside = r >= box[1] && r < (int64_t)box[1] + box[3] && box[2] > 0;
  int64_t left = inside ? held(box[0], W) * C : W * C;
  int64_t right = inside ? held((int64_t)box[0] + box[2], W) * C : W * C;
  copy(to, from, left, add);
  for (int64_t i = left; i < right; i++)
    vq_put(&to[i], add, value);
  copy(to + right, from + right, W * C - right, add);
}

static void forward_lines(const vq_call *c, int64_t from, int64_t to)
{
  int64_t line = c->in[X]->dim[2] * c->in[X]->dim[3];
  for (int64_t i = from; i < to; i++)
    erase_line(c, i, vq_values(c->out) + i * line, vq_values(c->in[X]) + i * line, (vq_real)c->attr->f[VALUE],
               false);
}

static void backward_lines(const vq_call *c, int64_t from, int64_t to)
{
  int64_t line = c->in[X]->dim[2] * c->in[X]->dim[3];
  for (int64_t i = from; i < to; i++)
    erase_line(c, i, vq_grad(c->in[X]) + i * line, vq_grad(c->out) + i * line, 0, vq_adds(c, X));
}

static vq_status run_lines(const vq_call *c, vq_rows_fn lines)
{
  const vq_tensor *x = c->in[X];
  vq_parallel_rows(c, x->dim[0] * x->dim[1], x->dim[2] * x->dim[3], lines);
  return VQ_OK;
}

static vq_status erase_forward_cpu(const vq_call *c)
{
  return run_lines(c, forward_lines);
}

static vq_status erase_backward_cpu(const vq_call *c)
{
  return run_lines(c, backward_lines);
}

const vq_op vq_op_erase = {
    .name = "erase",
    .reads = {[X] = VQ_READS_IN(BOX)},
    .gives = 1u << X,
    .shape = erase_shape,
    .forward = erase_forward_cpu,
    .backward = erase_backward_cpu,
};

vq_tensor *vq_erase(vq_tape *tape, vq_tensor *x, vq_tensor *box, double value)
{
  vq_attr attr = {.f = {[VALUE] = value}};
  return vq_record(tape, &vq_op_erase, VQ_INPUTS(x, box), &attr);
}

static int side_of(double square, int most)
{
  double side = nearbyint(sqrt(square));
  return side < 1 ? 1 : side > most ? most : (int)side;
}

void vq_erase_box(int32_t box[4], int width, int height, double area, double ratio, double u, double v)
{
  double pixels = area * width * height;
  box[2] = side_of(pixels / ratio, width);
  box[3] = side_of(pixels * ratio, height);
  box[0] = (int32_t)floor(u * (width - box[2] + 1));
  box[1] = (int32_t)floor(v * (height - box[3] + 1));
}
