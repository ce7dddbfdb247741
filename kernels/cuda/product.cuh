/* product.cuh -- matrix products and convolutions on CUDA: one description, and the kernels that take whatever it can say.
 *
 *   y[m,o] = bias[o] + skip[m,o] + sum over u, v, c of x(m,u,v)[c] w(u,v)[o,c]
 *
 * m counts the pixels (i,r,q) of pictures [images,rows,columns], u and v the taps of a kernel. x(m,u,v) is the pixel of x
 * [images,height,width,channels] in
 *
 *   row (r step + u turn + top) / apart, column (q step + v turn + left) / apart
 *
 * or zeros where there is none, outside or between two rows. A convolution has step = its stride, turn = 1 and top = -padding; the
 * way back to its x has step = 1, turn = -1, top = padding and apart = the stride; a matrix is one picture of one row, [1,1,M,K].
 *
 * w(u,v)[o,c] stands at w_first + u w_down + v w_right + o w_output + c w_channel, where w_channel or w_output is 1: the way back reads the
 * weights of the way there, as they are.
 *
 * With scale = 2, y is [images,2 rows,2 columns] and its pixels (2r+a, 2q+b) are computed as four products, each with its own
 * weights: a and b are added to top and left, and 2u + a and 2v + b stand for u and v in the place of the weights.
 *
 * The plain kernels take all types and sizes; those for the tensor cores take bf16, 8 channels at a time. Which computes what,
 * with which tile and in how many parts of the sum, is decided in product.cu.
 */
#ifndef VQ_KERNELS_CUDA_PRODUCT_CUH
#define VQ_KERNELS_CUDA_PRODUCT_CUH

#include "kernels/cuda/cuda.cuh"

struct vq_product {
  const void *x, *w;
  vq_dtype x_type, w_type, y_type;
  int images, height, width, channels; /* x */
  int rows, columns, outputs;          /* y, but for `scale` */
  int kh, kw, step, turn, apart, top, left, scale;
  int64_t w_first, w_down, w_right, w_output, w_channel;
  const float *bias; /* NULL: none */
  const void *skip;  /* NULL: none; of y's type and shape */
  bool add;          /* to what stands in y */
  void *y;
};

/* y = x w^T: x [M,K], w [N,K]; by_channel: y = x w, w [K,N]. Pointers are the caller's to set. */
vq_product vq_product_of_rows(int64_t M, vq_dtype x_type, const vq_tensor *w, bool by_channel, vq_dtype y_type);

/* The convolution of x [N,H,W,I] with w [O,kh,kw,I] to y, and the way back from dy to dx. Of the tensors only the sizes are read; the
 * types are those of x, w and y, and again the pointers are the caller's to set. */
vq_product vq_product_of_conv(const vq_tensor *x, const vq_tensor *w, const vq_tensor *y, int64_t stride,
                              int64_t top, int64_t left);
vq_product vq_product_back(const vq_tensor *x, const vq_tensor *w, const vq_tensor *y, int64_t stride, int64_t top,
                           int64_t left);

/* Bytes of scratch: from sizes, types, the batch (vq_tape_batch) and the device's products_by alone. VQ_ERR_SHAPE for sizes of 2^31 and
 * more. `op` is for messages. */
size_t vq_product_scratch(const vq_call *c, const vq_product *p);
vq_status vq_product_run(const vq_call *c, const vq_product *p, void *scratch, const char *op);

/* dw (+)= the sum over m of dy[m,o] x(m,u,v)[c], like w; dbias (+)= the sum of dy over m. `p` is the way forward (its y is not read);
 * dy is of y's type, dw of w's. */
vq_status vq_product_dw(const vq_call *c, const vq_product *p, const void *dy, bool add, void *dw, const char *op);
vq_status vq_product_dbias(const vq_call *c, const vq_product *p, const void *dy, bool add, float *dbias,
                           const char *op);

/* ---- for ops that are one product: conv, linear ---- */

/* Its inputs are x, w, bias and skip, in this order; the last two may be missing. */
struct vq_product_op {
  vq_product forward, backward; /* their pointers are set from the call */
  const char *name;             /* for messages */
};

size_t vq_product_op_scratch(const vq_call *c, const vq_product_op *op, bool backward);
vq_status vq_product_op_forward(const vq_call *c, const vq_product_op *op);
vq_status vq_product_op_backward(const vq_call *c, const vq_product_op *op);

/* to = from, rounded to bf16. */
vq_status vq_product_round(const vq_call *c, void *to, const float *from, int64_t count, const char *op);

/* ---- for product_library.cu: products that cuBLASLt or cuDNN computes ---- */

/* What it takes of scratch, whether the library is there or not; 0 where our own kernels are meant to compute it. */
size_t vq_product_library_scratch(const vq_device *device, const vq_product *p);

/* Computes it, or sets *done to false and queues nothing: it is for our own kernels. */
vq_status vq_product_by_library(const vq_call *c, const vq_product *p, void *scratch, const char *op, bool *done);

vq_libraries *vq_libraries_create(void); /* NULL: no memory */
void vq_libraries_free(vq_libraries *libraries);
int64_t vq_libraries_computed(const vq_libraries *libraries, int maker);

/* ---- for the kernels: product_plain.cu, product_mma.cu, product_few.cu ---- */

/* One product in parts of the sum: partial [splits, phases, M, outputs] floats, which are then added up. */
struct vq_product_split {
  int parts;
  float *partial; /* NULL: one part, straight to y */
};

/* `tile`: rows of a block's sums. Plain: 64 x 64 or 128 x 128; on the tensor cores 64 x 64, 128 x 128 or 256 x 128, for what fits them. */
vq_status vq_product_plain(const vq_call *c, const vq_product *p, int tile, vq_product_split split, const char *op);
bool vq_product_mma_fits(const vq_product *p);
vq_status vq_product_mma(const vq_call *c, const vq_product *p, int tile, vq_product_split split, const char *op);

/* For 4 outputs at most. */
bool vq_product_few_fits(const vq_product *p);
vq_status vq_product_few(const vq_call *c, const vq_product *p, const char *op);

/* Adds up what the parts have left, into y. */
vq_status vq_product_sum_parts(const vq_call *c, const vq_product *p, vq_product_split split, const char *op);

static inline int64_t vq_product_rows(const vq_product *p)
{
  return (int64_t)p->images * p->rows * p->columns;
}

/* Where this block is in a launch of (tiles, parts, phases) blocks, and what of the sum is its: chunks [first, end). */
struct vq_product_place {
  int m, n, a, b, first, end;
};

template <int TILE_M, int TILE_N>
VQ_DEVICE vq_product_place vq_product_here(const vq_product &p, int parts, int chunks)
{
  vq_product_place here;
  int across = (p.outputs + TILE_N - 1) / TILE_N, each = (chunks + parts - 1) / parts;
  here.m = (int)(blockIdx.x / (unsigned)across) * TILE_M;
  here.n = (int)(blockIdx.x % (unsigned)across) * TILE_N;
  here.a = (int)blockIdx.z / p.scale;
  here.b = (int)blockIdx.z % p.scale;
  here.first = min((int)blockIdx.y * each, chunks);
  here.end = min(here.first + each, chunks);
  return here;
}

/* A row m taken apart: its picture, and the place in x of its tap (0,0), before it is divided by `apart`. */
struct vq_product_row {
  int image, down, right; /* image < 0: there is no such row */
};

VQ_DEVICE vq_product_row vq_product_row_at(const vq_product &p, const vq_product_place &here, int m)
{
  unsigned pixels = (unsigned)p.rows * (unsigned)p.columns, image = (unsigned)m / pixels;
  unsigned at = (unsigned)m % pixels, r = at / (unsigned)p.columns, q = at % (unsigned)p.columns;
  if (m >= p.images * (int)pixels)
    return {-1, 0, 0};
  return {(int)image, (int)r * p.step + p.top + here.a, (int)q * p.step + p.left + here.b};
}

VQ_DEVICE int64_t vq_product_weight_at(const vq_product &p, const vq_product_place &here, int u, int v)
{
  return p.w_first + (int64_t)(u * p.scale + here.a) * p.w_down + (int64_t)(v * p.scale + here.b) * p.w_right;
}

/* Row m of the product is this row of y. */
VQ_DEVICE int64_t vq_product_y_row(const vq_product &p, int a, int b, int m)
{
  if (p.scale == 1)
    return m;
  unsigned q = (unsigned)m % (unsigned)p.columns, r = (unsigned)m / (unsigned)p.columns; /* of all pictures */
  return ((int64_t)r * p.scale + a) * p.columns * p.scale + (int64_t)q * p.scale + b;
}

/* COUNT neighbours to or from floats, in the widest loads that there are. */
template <int COUNT, class T> VQ_DEVICE void vq_load_floats(float *to, const T *from)
{
  constexpr int WIDE = COUNT * sizeof(T) < 16 ? COUNT : 16 / (int)sizeof(T);
  for (int i = 0; i < COUNT; i += WIDE) {
    vq_pack<T, WIDE> pack = vq_load<WIDE>(from + i);
    for (int j = 0; j < WIDE; j++)
      to[i + j] = vq_float(pack.at[j]);
  }
}

template <int COUNT, class T> VQ_DEVICE void vq_store_floats(T *to, const float *from)
{
  constexpr int WIDE = COUNT * sizeof(T) < 16 ? COUNT : 16 / (int)sizeof(T);
  for (int i = 0; i < COUNT; i += WIDE) {
    vq_pack<T, WIDE> pack;
    for (int j = 0; j < WIDE; j++)
      pack.at[j] = vq_round<T>(from[i + j]);
    vq_store(to + i, pack);
  }
}

/* COUNT sums of row `row` of y, outputs from o on, are complete. */
template <class T, int COUNT>
VQ_DEVICE void vq_product_finish_as(const vq_product &p, int64_t row, int o, const float *sum)
{
  int64_t at = row * p.outputs + o;
  const T *skip = static_cast<const T *>(p.skip);
  T *y = static_cast<T *>(p.y);
  if (p.outputs % COUNT == 0) {
    float v[COUNT], more[COUNT];
    for (int i = 0; i < COUNT; i++)
      v[i] = sum[i] + (p.bias ? p.bias[o + i] : 0);
    if (skip) {
      vq_load_floats<COUNT>(more, skip + at);
      for (int i = 0; i < COUNT; i++)
        v[i] += more[i];
    }
    if (p.add) {
      vq_load_floats<COUNT>(more, y + at);
      for (int i = 0; i < COUNT; i++)
        v[i] += more[i];
    }
    vq_store_floats<COUNT>(y + at, v);
    return;
  }
  for (int i = 0; i < COUNT && o + i < p.outputs; i++) {
    float v = sum[i] + (p.bias ? p.bias[o + i] : 0) + (skip ? vq_float(skip[at + i]) : 0);
    vq_put_gradient(y + at + i, p.add, v);
  }
}

/* COUNT sums of row m of the product, outputs from o on (a multiple of COUNT): to y or to this part's place. */
template <int COUNT>
VQ_DEVICE void vq_product_finish(const vq_product &p, float *partial, int a, int b, int m, int o, const float *sum)
{
  int M = p.images * p.rows * p.columns;
  if (m >= M || o >= p.outputs)
    return;
  if (partial) {
    float *to = partial + (((int64_t)blockIdx.y * gridDim.z + blockIdx.z) * M + m) * p.outputs + o;
    if (p.outputs % COUNT == 0)
      vq_store_floats<COUNT>(to, sum);
    else
      for (int i = 0; i < COUNT && o + i < p.outputs; i++)
        to[i] = sum[i];
  } else if (p.y_type == VQ_BF16)
    vq_product_finish_as<vq_bf16, COUNT>(p, vq_product_y_row(p, a, b, m), o, sum);
  else
    vq_product_finish_as<float, COUNT>(p, vq_product_y_row(p, a, b, m), o, sum);
}

#endif
