/* product.cu -- descriptions of products, which kernel computes them, and the sum of a product's parts. Contract: product.cuh. */
#include "kernels/cuda/product.cuh"

#define THREADS 256

/* ---- descriptions ---- */

vq_product vq_product_of_rows(int64_t M, vq_dtype x_type, const vq_tensor *w, bool by_channel, vq_dtype y_type)
{
  vq_product p = {};
  p.x_type = x_type;
  p.w_type = w->dtype;
  p.y_type = y_type;
  p.images = p.height = p.rows = p.kh = p.kw = p.step = p.turn = p.apart = p.scale = 1;
  p.width = p.columns = (int)M;
  p.channels = (int)w->dim[by_channel ? 0 : 1];
  p.outputs = (int)w->dim[by_channel ? 1 : 0];
  p.w_output = by_channel ? 1 : w->dim[1];
  p.w_channel = by_channel ? w->dim[1] : 1;
  return p;
}

vq_product vq_product_of_conv(const vq_tensor *x, const vq_tensor *w, const vq_tensor *y, int64_t stride,
                              int64_t top, int64_t left)
{
  vq_product p = {};
  p.x_type = x->dtype;
  p.w_type = w->dtype;
  p.y_type = y->dtype;
  p.images = (int)x->dim[0];
  p.height = (int)x->dim[1];
  p.width = (int)x->dim[2];
  p.channels = (int)x->dim[3];
  p.rows = (int)y->dim[1];
  p.columns = (int)y->dim[2];
  p.outputs = (int)w->dim[0];
  p.kh = (int)w->dim[1];
  p.kw = (int)w->dim[2];
  p.step = (int)stride;
  p.turn = p.apart = p.scale = 1;
  p.top = -(int)top;
  p.left = -(int)left;
  p.w_down = w->dim[2] * w->dim[3];
  p.w_right = w->dim[3];
  p.w_output = w->dim[1] * w->dim[2] * w->dim[3];
  p.w_channel = 1;
  return p;
}

vq_product vq_product_back(const vq_tensor *x, const vq_tensor *w, const vq_tensor *y, int64_t stride, int64_t top,
                           int64_t left)
{
  vq_product p = vq_product_of_conv(x, w, y, 1, -top, -left), forward = p;
  p.x_type = forward.y_type;
  p.y_type = forward.x_type;
  p.height = forward.rows;
  p.width = forward.columns;
  p.channels = forward.outputs;
  p.rows = forward.height;
  p.columns = forward.width;
  p.outputs = forward.channels;
  p.turn = -1;
  p.apart = (int)stride;
  p.w_output = 1;
  p.w_channel = forward.w_output;
  return p;
}

/* ---- which kernel ---- */

namespace
{

/* A launch should have this many blocks: the multiprocessors of the cards that we mean. It is no question to the card at hand: the sum's
 * order, and so a result's last bits, would depend on it. */
#define MULTIPROCESSORS 132

/* A part of a sum has this many terms at least, and there are at most so many parts. */
#define TERMS_OF_PART 256
#define MOST_PARTS    16

struct choice {
  int tile, parts;
};

/* Rows of y that there are, and that there would be if the whole batch came at once. The number of parts, and so a sum's order, is what
 * suits the whole: then each row gets the same bits in whatever company it comes. */
struct rows_of {
  int64_t now, whole;
};

static rows_of count_rows(const vq_call *c, const vq_product *p)
{
  return {vq_product_rows(p), vq_whole_rows(c, vq_product_rows(p))};
}

static int64_t blocks_of(const vq_product *p, int64_t M, int rows, int outputs)
{
  return (M + rows - 1) / rows * ((p->outputs + outputs - 1) / outputs) * p->scale * p->scale;
}

static int most_parts(const vq_product *p)
{
  int64_t parts = (int64_t)p->kh * p->kw * p->channels / TERMS_OF_PART;
  return (int)(parts < 1 ? 1 : parts < MOST_PARTS ? parts : MOST_PARTS);
}

static int plain_tile(const vq_product *p, int64_t M)
{
  return blocks_of(p, M, 128, 128) >= MULTIPROCESSORS ? 128 : 64;
}

static choice choose_plain(const vq_call *c, const vq_product *p)
{
  rows_of M = count_rows(c, p);
  int tile = plain_tile(p, M.whole), most = most_parts(p);
  int64_t parts = MULTIPROCESSORS / blocks_of(p, M.whole, tile, tile);
  if (parts > 1) /* which terms a part has depends on the tile */
    return {tile, (int)(parts < most ? parts : most)};
  return {plain_tile(p, M.now), 1};
}

/* The tensor cores' tiles, and how much of 1024 products a clock a multiprocessor is expected to make of them, in percent, with 1, 2 and
 * more blocks at a time. Estimates, until they have been measured. */
static const struct {
  int rows, outputs, percent[3];
} mma_tile[] = {{256, 128, {75, 75, 75}}, {128, 128, {50, 70, 70}}, {64, 64, {25, 40, 48}}};

/* Clocks that a product takes by those estimates: rounds of blocks, then for each part of the sum 4 bytes of every sum to L2 and
 * back, at 2000 bytes a clock, and a launch. */
static int64_t clocks_of(const vq_product *p, int64_t M, int tile, int parts)
{
  int64_t chunks = ((p->channels + 31) / 32 * p->kh * p->kw + parts - 1) / parts;
  int64_t sums = M * p->scale * p->scale * p->outputs;
  int64_t blocks = blocks_of(p, M, mma_tile[tile].rows, mma_tile[tile].outputs) * parts;
  int64_t rounds = (blocks + MULTIPROCESSORS - 1) / MULTIPROCESSORS;
  int64_t products = rounds * chunks * 32 * mma_tile[tile].rows * mma_tile[tile].outputs;
  return products / 1024 * 100 / mma_tile[tile].percent[rounds < 3 ? rounds - 1 : 2] + rounds * 1000 +
         (parts > 1 ? 5000 + sums * 8 * parts / 2000 : 0);
}

/* The fewest clocks for M rows in `least` to `most` parts. */
static choice choose_among(const vq_product *p, int64_t M, int least, int most)
{
  choice best = {};
  int64_t fewest = 0;
  for (int tile = 0; tile < 3; tile++)
    for (int parts = least; parts <= most; parts++) {
      int64_t clocks = clocks_of(p, M, tile, parts);
      if (fewest && clocks >= fewest)
        continue;
      fewest = clocks;
      best = {mma_tile[tile].rows, parts};
    }
  return best;
}

static choice choose_mma(const vq_call *c, const vq_product *p)
{
  rows_of M = count_rows(c, p);
  int parts = choose_among(p, M.whole, 1, most_parts(p)).parts;
  return choose_among(p, M.now, parts, parts);
}

/* The same product of x in bf16, for x in float and weights in bf16: what is read is then rounded, as the sums are. */
static vq_product of_rounded(const vq_product *p)
{
  vq_product q = *p;
  if (q.x_type == VQ_F32 && q.w_type == VQ_BF16)
    q.x_type = VQ_BF16;
  return q;
}

/* ---- parts of the sum ---- */

__global__ void sum_parts_kernel(vq_product p, int parts, const float *partial)
{
  int M = p.images * p.rows * p.columns, across = (p.outputs + 3) / 4;
  int64_t phases = p.scale * p.scale, count = phases * M * across;
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    int phase = (int)(i / across / M), m = (int)(i / across % M), o = (int)(i % across) * 4;
    float sum[4] = {};
    for (int part = 0; part < parts; part++)
      for (int j = 0; j < 4 && o + j < p.outputs; j++)
        sum[j] += partial[((part * phases + phase) * M + m) * p.outputs + o + j];
    vq_product_finish<4>(p, NULL, phase / p.scale, phase % p.scale, m, o, sum);
  }
}

} // namespace

vq_status vq_product_sum_parts(const vq_call *c, const vq_product *p, vq_product_split split, const char *op)
{
  int64_t count = vq_product_rows(p) * p->scale * p->scale * ((p->outputs + 3) / 4);
  return vq_cuda_status(
      VQ_LAUNCH(sum_parts_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c), *p, split.parts, split.partial),
      op);
}

namespace
{

static size_t partial_bytes(const vq_product *p, int parts)
{
  return parts < 2 ? 0 : (size_t)(parts * vq_product_rows(p) * p->scale * p->scale * p->outputs) * sizeof(float);
}

/* ---- running ---- */

static int64_t x_count(const vq_product *p)
{
  return (int64_t)p->images * p->height * p->width * p->channels;
}

/* Bytes of x rounded, if it is. */
static size_t rounded_bytes(const vq_product *p)
{
  size_t bytes = p->x_type == VQ_F32 ? (size_t)x_count(p) * sizeof(vq_bf16) : 0;
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

static size_t own_scratch(const vq_call *c, const vq_product *p)
{
  if (vq_product_few_fits(p))
    return 0;
  vq_product rounded = of_rounded(p);
  size_t plain = partial_bytes(p, choose_plain(c, p).parts);
  size_t mma =
      vq_product_mma_fits(&rounded) ? rounded_bytes(p) + partial_bytes(p, choose_mma(c, &rounded).parts) : 0;
  return plain > mma ? plain : mma;
}

__global__ void round_kernel(vq_bf16 *to, const float *from, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    to[i] = vq_round<vq_bf16>(from[i]);
}

} // namespace

size_t vq_product_scratch(const vq_call *c, const vq_product *p)
{
  size_t own = own_scratch(c, p), library = vq_product_library_scratch(c->device, p);
  return own > library ? own : library;
}

vq_status vq_product_round(const vq_call *c, void *to, const float *from, int64_t count, const char *op)
{
  return vq_cuda_status(VQ_LAUNCH(round_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                  static_cast<vq_bf16 *>(to), from, count),
                        op);
}

namespace
{

static vq_status run_mma(const vq_call *c, const vq_product *p, void *scratch, const char *op)
{
  vq_product rounded = of_rounded(p);
  choice it = choose_mma(c, &rounded);
  if (p->x_type == VQ_F32) {
    VQ_TRY(vq_product_round(c, scratch, static_cast<const float *>(p->x), x_count(p), op));
    rounded.x = scratch;
    scratch = static_cast<char *>(scratch) + rounded_bytes(p);
  }
  vq_product_split split = {it.parts, it.parts > 1 ? static_cast<float *>(scratch) : NULL};
  VQ_TRY(vq_product_mma(c, &rounded, it.tile, split, op));
  return split.partial ? vq_product_sum_parts(c, p, split, op) : VQ_OK;
}

static vq_status run_plain(const vq_call *c, const vq_product *p, void *scratch, const char *op)
{
  choice it = choose_plain(c, p);
  vq_product_split split = {it.parts, it.parts > 1 ? static_cast<float *>(scratch) : NULL};
  VQ_TRY(vq_product_plain(c, p, it.tile, split, op));
  return split.partial ? vq_product_sum_parts(c, p, split, op) : VQ_OK;
}

/* The kernels count rows, outputs and terms in int. */
static vq_status check_sizes(const vq_product *p, const char *op)
{
  const int64_t most = 0x7fffffff - 1024;
  int64_t rows = (int64_t)p->images * p->rows * p->columns, terms = (int64_t)p->kh * p->kw * p->channels;
  if (rows > most / (p->scale * p->scale) || terms > most)
    return vq_fail(VQ_ERR_SHAPE, "%s: %lld rows of %lld terms are more than the GPU's kernels count", op,
                   (long long)rows, (long long)terms);
  return VQ_OK;
}

} // namespace

vq_status vq_product_run(const vq_call *c, const vq_product *p, void *scratch, const char *op)
{
  vq_product rounded = of_rounded(p);
  bool done;
  VQ_TRY(check_sizes(p, op));
  VQ_TRY(vq_product_by_library(c, p, scratch, op, &done));
  if (done)
    return VQ_OK;
  if (vq_product_few_fits(p))
    return vq_product_few(c, p, op);
  if (vq_cuda(c)->major >= 8 && vq_product_mma_fits(&rounded))
    return run_mma(c, p, scratch, op);
  return run_plain(c, p, scratch, op);
}
