/* quantise.cu -- nearest and quantise on CUDA. Contract: quantise.h.
 *
 * nearest gives the CPU's tokens, not only near ones: a distance is added up as kernels/cpu/reduce.h does it, in 16 partial
 * sums that are folded in halves, product and sum rounded apart. A tensor core, or |z|^2 + |b|^2 - 2 z b, would be faster and
 * would choose other tokens where two rows are almost equally near.
 */
#include "kernels/quantise/rows.cuh"

namespace
{

#define THREADS 256

enum { Z, BOOK, IDS };

/* ---- nearest ---- */

#define LANES   16 /* VQ_LANES */
#define TILE    32 /* tokens, and book rows, of a block */
#define CHUNK   32 /* channels in shared memory at once: of whole LANES */
#define STRIDE  36 /* of a row there: 8 rows' 16 bytes lie in 32 banks */
#define PER     2  /* tokens, and book rows, of a thread */
#define ACROSS  (TILE / PER)
#define LEAST   4   /* tiles of the book that a block goes through, so that starting it is worth while */
#define WANTED  512 /* blocks: some for each multiprocessor of the largest cards */
#define MERGING 64  /* threads of a block that chooses among the parts */

/* The book's tiles are dealt to `parts` blocks for each tile of tokens, `each` to one, by the shapes alone. */
struct split {
  int64_t tokens, K, C, token_tiles, each, parts;
};

split split_of(const vq_call *c)
{
  split s = {vq_rows(c->in[Z]), c->in[BOOK]->dim[0], c->in[BOOK]->dim[1], 0, 0, 0};
  int64_t tiles = (s.K + TILE - 1) / TILE;
  s.token_tiles = (s.tokens + TILE - 1) / TILE;
  int64_t wanted = (WANTED + s.token_tiles - 1) / s.token_tiles;
  s.each = (tiles + wanted - 1) / wanted;
  s.each = s.each > LEAST ? s.each : LEAST;
  s.parts = (tiles + s.each - 1) / s.each;
  return s;
}

/* What each part found, for each token: the least distance, and whose it is. */
struct found {
  float distance;
  int32_t id;
};

size_t nearest_scratch_cuda(const vq_call *c, bool backward)
{
  split s = split_of(c);
  return backward ? 0 : (size_t)(s.parts * s.tokens) * sizeof(found);
}

/* A distance that is no number is never less. */
VQ_DEVICE void keep_nearer(found *best, float distance, int32_t id)
{
  if (distance < best->distance || (distance == best->distance && id < best->id)) {
    best->distance = distance;
    best->id = id;
  }
}

/* Rows [from, from + TILE) of `rows`, channels [at, at + CHUNK); zeros beyond: they add nothing to any partial sum. */
VQ_DEVICE void load_tile(float *to, const float *x, int64_t from, int64_t rows, int64_t at, int64_t C)
{
  for (int i = threadIdx.x; i < TILE * CHUNK; i += THREADS) {
    int64_t row = from + i / CHUNK, channel = at + i % CHUNK;
    to[i / CHUNK * STRIDE + i % CHUNK] = row < rows && channel < C ? x[row * C + channel] : 0;
  }
}

/* sum[t][b][lane] += (z - book)^2 for the thread's tokens and book rows, over the channels in shared memory. */
VQ_DEVICE void add_squares(float (*sum)[PER][LANES], const float *z, const float *book)
{
  int column = threadIdx.x % ACROSS, line = threadIdx.x / ACROSS;
#pragma unroll
  for (int at = 0; at < CHUNK; at += 4) {
    vq_pack<float, 4> a[PER], b[PER];
#pragma unroll
    for (int i = 0; i < PER; i++) {
      a[i] = vq_load<4>(z + (line + i * ACROSS) * STRIDE + at);
      b[i] = vq_load<4>(book + (column + i * ACROSS) * STRIDE + at);
    }
#pragma unroll
    for (int t = 0; t < PER; t++)
#pragma unroll
      for (int r = 0; r < PER; r++)
#pragma unroll
        for (int k = 0; k < 4; k++) {
          float d = a[t].at[k] - b[r].at[k], *to = &sum[t][r][at % LANES + k];
          *to = __fadd_rn(*to, __fmul_rn(d, d));
        }
  }
}

/* Written out, so that the sums stay in registers. */
VQ_DEVICE float fold(const float (&a)[LANES])
{
  float b[8] = {a[0] + a[8],  a[1] + a[9],  a[2] + a[10], a[3] + a[11],
                a[4] + a[12], a[5] + a[13], a[6] + a[14], a[7] + a[15]};
  float d[4] = {b[0] + b[4], b[1] + b[5], b[2] + b[6], b[3] + b[7]};
  return (d[0] + d[2]) + (d[1] + d[3]);
}

/* The 16 threads of a line have the same tokens; the nearest of all of theirs. */
VQ_DEVICE found nearest_of_line(found best)
{
  for (int bits = ACROSS / 2; bits; bits /= 2) {
    float distance = __shfl_xor_sync(0xffffffffu, best.distance, bits);
    int32_t id = __shfl_xor_sync(0xffffffffu, best.id, bits);
    keep_nearer(&best, distance, id);
  }
  return best;
}

/* A block: one tile of tokens (blockIdx.x) and one part of the book (blockIdx.y). 3 instructions for each of the 4 pairs and each
 * channel, against an eighth of a 16-byte load from shared memory: bound by arithmetic, 0.4 ms on an H100 for 1024 tokens, 16384
 * rows, 256 channels. */
__global__ void __launch_bounds__(THREADS, 2)
    nearest_kernel(found *to, const float *z, const float *book, int64_t tokens, int64_t K, int64_t C, int64_t each)
{
  VQ_SHARED(float, z_tile, TILE *STRIDE);
  VQ_SHARED(float, book_tile, TILE *STRIDE);
  int column = threadIdx.x % ACROSS, line = threadIdx.x / ACROSS;
  int64_t first = blockIdx.x * (int64_t)TILE;
  found best[PER];
  for (int t = 0; t < PER; t++)
    best[t] = found{INFINITY, 0};
  for (int64_t tile = blockIdx.y * each; tile < (blockIdx.y + 1) * each && tile * TILE < K; tile++) {
    float sum[PER][PER][LANES] = {};
    for (int64_t at = 0; at < C; at += CHUNK) {
      __syncthreads();
      load_tile(z_tile, z, first, tokens, at, C);
      load_tile(book_tile, book, tile * TILE, K, at, C);
      __syncthreads();
      add_squares(sum, z_tile, book_tile);
    }
#pragma unroll
    for (int t = 0; t < PER; t++)
#pragma unroll
      for (int r = 0; r < PER; r++) {
        int64_t k = tile * TILE + column + r * ACROSS;
        float distance = fold(sum[t][r]);
        if (k < K && distance < best[t].distance)
          best[t] = found{distance, (int32_t)k};
      }
  }
#pragma unroll
  for (int t = 0; t < PER; t++) {
    int64_t m = first + line + t * ACROSS;
    found nearest = nearest_of_line(best[t]);
    if (column == 0 && m < tokens)
      to[blockIdx.y * tokens + m] = nearest;
  }
}

__global__ void nearest_part_kernel(int32_t *ids, const found *of, int64_t tokens, int64_t parts)
{
  int64_t m = vq_thread();
  if (m >= tokens)
    return;
  found best = of[m];
  for (int64_t part = 1; part < parts; part++)
    keep_nearer(&best, of[part * tokens + m].distance, of[part * tokens + m].id);
  ids[m] = best.id;
}

vq_status nearest_forward_cuda(const vq_call *c)
{
  split s = split_of(c);
  found *parts = static_cast<found *>(c->scratch);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(nearest_kernel, dim3((unsigned)s.token_tiles, (unsigned)s.parts), THREADS,
                                  vq_stream(c), parts, vq_values(c->in[Z]), vq_values(c->in[BOOK]), s.tokens, s.K,
                                  s.C, s.each),
                        "nearest"));
  return vq_cuda_status(VQ_LAUNCH(nearest_part_kernel, vq_blocks(s.tokens, MERGING), MERGING, vq_stream(c),
                                  static_cast<int32_t *>(vq_root(c->out)->data), parts, s.tokens, s.parts),
                        "nearest");
}

/* ---- quantise ---- */

const vq_cuda_complaint no_such_row = {VQ_ERR_ARGUMENT,
                                       "quantise: token %lld has an id that is no row of the book"};

/* N channels a thread. */
template <int N>
__global__ void take_kernel(float *y, const float *book, const int32_t *ids, int64_t rows, int64_t K, int64_t C,
                            vq_cuda_fault *fault, unsigned long long complaint)
{
  int64_t packs = C / N, i = vq_thread();
  if (i >= rows * packs)
    return;
  int64_t m = i / packs, id = ids[m];
  vq_pack<float, N> row;
  if (id >= 0 && id < K)
    row = vq_load<N>(book + id * C + i % packs * N);
  else {
    for (int k = 0; k < N; k++)
      row.at[k] = NAN;
    vq_complain(fault, complaint, m);
  }
  vq_store(y + i * N, row);
}

template <int N>
vq_status take_rows(const vq_call *c, const vq_tensor *book, const vq_tensor *ids,
                    const vq_cuda_complaint *complaint, const char *op)
{
  int64_t rows = vq_count(ids), K = book->dim[0], C = book->dim[1];
  return vq_cuda_status(VQ_LAUNCH(take_kernel<N>, vq_blocks(rows * (C / N), THREADS), THREADS, vq_stream(c),
                                  vq_values(c->out), vq_values(book), vq_values_as<int32_t>(ids), rows, K, C,
                                  vq_cuda(c)->fault, vq_complaint(complaint)),
                        op);
}

vq_status quantise_forward_cuda(const vq_call *c)
{
  return vq_cuda_take_rows(c, c->in[BOOK], c->in[IDS], &no_such_row, "quantise");
}

} // namespace

vq_status vq_cuda_take_rows(const vq_call *c, const vq_tensor *book, const vq_tensor *ids,
                            const vq_cuda_complaint *complaint, const char *op)
{
  return book->dim[1] % 4 == 0 ? take_rows<4>(c, book, ids, complaint, op)
                               : take_rows<1>(c, book, ids, complaint, op);
}

const vq_kernels vq_cuda_nearest = {nearest_forward_cuda, NULL, nearest_scratch_cuda, NULL};
const vq_kernels vq_cuda_quantise = {quantise_forward_cuda, NULL, NULL, NULL};
