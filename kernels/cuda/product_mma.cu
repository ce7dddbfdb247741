/* product_mma.cu -- products and convolutions of bf16 by the tensor cores, with sums in float. Contract: product.cuh.
 *
 * A block has TILE_M x TILE_N sums, each warp a part of them in registers. Chunks of 32 channels of one tap come by asynchronous copies
 * of 16 bytes, zeros where a pixel, a channel or an output is not there, STAGES of them in turn: while one is computed, the next
 * STAGES - 1 are on their way. Which taps of a row lie inside the picture is found once, a bit for each tap, so that a copy costs a
 * few additions whatever the kernel's size.
 *
 * What the tile is for: a step of 16 terms needs 32 (TILE_M + TILE_N) bytes from L2 and 32 (WARP_M + WARP_N) bytes from shared memory a
 * warp. At the 1024 products a clock that a Hopper multiprocessor makes of mma.sync, 256 x 128 with warps of 64 x 64 takes 24 bytes
 * a clock of L2 (5 TB/s for all, what it has) and 64 + 24 of the 128 of shared memory; warps of 64 x 32 would take all of it. */
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/product.cuh"

namespace
{

#define CHUNK   32 /* channels */
#define VECTOR  8  /* of them in a copy */
#define VECTORS (CHUNK / VECTOR)
#define STAGES  4

template <int TILE_M, int TILE_N, int WARPS_M, int WARPS_N> struct mma_sizes {
  static constexpr int M = TILE_M, N = TILE_N;
  static constexpr int THREADS = 32 * WARPS_M * WARPS_N;
  static constexpr int ACROSS = WARPS_N;                                     /* warps */
  static constexpr int WARP_M = TILE_M / WARPS_M, WARP_N = TILE_N / WARPS_N; /* a warp's part of the tile */
  static constexpr int STAGE = (TILE_M + TILE_N) * CHUNK;                    /* elements */
  static constexpr int BYTES = STAGES * STAGE * 2;
  static constexpr int PITCH = WARP_N + 8; /* floats, of the rows in which a warp's sums are put in order */
};

/* Rows of CHUNK channels lie in shared memory without gaps, their vectors shuffled so that the 8 rows that a warp loads together
 * lie in different banks. The shuffle has a period of 8 rows. */
VQ_DEVICE int place_of(int row, int vector)
{
  return (row * VECTORS + (vector ^ (row / 2 % VECTORS))) * VECTOR;
}

/* The same for rows of N outputs, of weights by channel. */
template <int N> VQ_DEVICE int place_by_channel(int row, int vector)
{
  return (row * (N / VECTOR) + (vector ^ (row % 8))) * VECTOR;
}

/* What a thread brings: vectors of some rows of x and of w, chunk after chunk. All that does not change from one chunk to the next is
 * computed once: where a vector stands in each row, and where it goes in a stage. */
template <class S, bool BY_CHANNEL> struct bringer {
  static constexpr int ROWS = S::M * VECTORS / S::THREADS, OUTPUTS = S::N * VECTORS / S::THREADS;
  static constexpr int ROWS_APART = S::THREADS / VECTORS; /* between a thread's rows of x */
  static constexpr int W_APART = BY_CHANNEL ? S::THREADS / (S::N / VECTOR) : ROWS_APART; /* and of w */
  static_assert(ROWS_APART % 8 == 0 && W_APART % 8 == 0, "the rows of a thread are shuffled alike");
  const vq_bf16 *x[ROWS]; /* of tap (0,0) and channel 0; it may lie outside */
  unsigned inside[ROWS];  /* bit u * kw + v: that tap lies in the picture */
  int x_to, x_channel;    /* in a stage; of a chunk */
  const vq_bf16 *w;
  int64_t w_apart;
  int w_to, w_channel, w_outputs; /* w_outputs: as many of its rows are there, or all or none */
  int u, v, tap, c;               /* the next chunk */
  int64_t x_from, w_from;         /* its distance from tap (0,0), channel 0 */

  VQ_DEVICE void aim(const vq_product &p, const vq_product_place &here)
  {
    x_from = ((int64_t)u * p.width + v) * p.turn * p.channels + c;
    w_from = vq_product_weight_at(p, here, u, v) + c * p.w_channel;
  }

  VQ_DEVICE void start_x(const vq_product &p, const vq_product_place &here)
  {
    int vector = threadIdx.x % VECTORS, first = threadIdx.x / VECTORS;
    x_to = place_of(first, vector);
    x_channel = vector * VECTOR;
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      vq_product_row row = vq_product_row_at(p, here, here.m + first + i * ROWS_APART);
      int64_t pixel = ((int64_t)row.image * p.height + row.down) * p.width + row.right;
      x[i] = static_cast<const vq_bf16 *>(p.x) + pixel * p.channels + x_channel;
      inside[i] = 0;
      for (int y = 0; y < p.kh; y++)
        for (int z = 0; z < p.kw; z++) {
          int down = row.down + y * p.turn, right = row.right + z * p.turn;
          bool in = row.image >= 0 && down >= 0 && down < p.height && right >= 0 && right < p.width;
          inside[i] |= (unsigned)in << (y * p.kw + z);
        }
    }
  }

  VQ_DEVICE void start_w(const vq_product &p, const vq_product_place &here)
  {
    constexpr int ACROSS = BY_CHANNEL ? S::N / VECTOR : VECTORS;
    int vector = threadIdx.x % ACROSS, row = threadIdx.x / ACROSS;
    int o = here.n + (BY_CHANNEL ? vector * VECTOR : row);
    w_to = S::M * CHUNK + (BY_CHANNEL ? place_by_channel<S::N>(row, vector) : place_of(row, vector));
    w_channel = BY_CHANNEL ? row : vector * VECTOR;
    w = static_cast<const vq_bf16 *>(p.w) + o * p.w_output + w_channel * p.w_channel;
    w_apart = W_APART * (BY_CHANNEL ? p.w_channel : p.w_output);
    w_outputs = p.outputs - o;
  }

  VQ_DEVICE void start(const vq_product &p, const vq_product_place &here)
  {
    int chunks = (p.channels + CHUNK - 1) / CHUNK;
    tap = here.first / chunks;
    u = tap / p.kw;
    v = tap % p.kw;
    c = here.first % chunks * CHUNK;
    start_x(p, here);
    start_w(p, here);
    aim(p, here);
  }

  /* One chunk into a stage, and on to the next. */
  VQ_DEVICE void bring(const vq_product &p, const vq_product_place &here, vq_bf16 *stage)
  {
    unsigned bit = c + x_channel < p.channels ? 1u << tap : 0;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
      vq_copy_async(stage + x_to + i * ROWS_APART * CHUNK, x[i] + x_from, (inside[i] & bit) != 0);
    const vq_bf16 *from = w + w_from;
    int left = p.channels - c - w_channel;
#pragma unroll
    for (int i = 0; i < OUTPUTS; i++) {
      bool there = BY_CHANNEL ? left > i * W_APART && w_outputs > 0 : left > 0 && w_outputs > i * W_APART;
      vq_copy_async(stage + w_to + i * W_APART * (BY_CHANNEL ? S::N : CHUNK), from, there);
      from += w_apart;
    }
    c += CHUNK;
    x_from += CHUNK;
    w_from += CHUNK * p.w_channel;
    if (c < p.channels)
      return;
    c = 0;
    tap++;
    if (++v == p.kw) {
      v = 0;
      u++;
    }
    aim(p, here);
  }
};

/* A warp's part of the tile: its sums += those of a chunk. mma.cuh has which lane holds what. */
template <class S, bool BY_CHANNEL> struct multiplier {
  static constexpr int A = S::WARP_M / 16, B = S::WARP_N / 16; /* pieces of 16 rows, of 16 outputs */
  int a[CHUNK / 16];                  /* in a stage: this lane's row for steps of 16 channels */
  int b[BY_CHANNEL ? B : CHUNK / 16]; /* by channel, for pieces of 16 outputs */

  VQ_DEVICE void start()
  {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int m = warp / S::ACROSS * S::WARP_M, n = warp % S::ACROSS * S::WARP_N;
#pragma unroll
    for (int k = 0; k < CHUNK / 16; k++)
      a[k] = place_of(m + lane % 16, 2 * k + lane / 16);
#pragma unroll
    for (int j = 0; j < (BY_CHANNEL ? B : CHUNK / 16); j++)
      b[j] = S::M * CHUNK + (BY_CHANNEL ? place_by_channel<S::N>(lane % 16, (n + j * 16) / VECTOR + lane / 16)
                                        : place_of(n + lane / 16 * 8 + lane % 8, 2 * j + lane / 8 % 2));
  }

  VQ_DEVICE void multiply(const vq_bf16 *stage, float sum[A][2 * B][4]) const
  {
#pragma unroll
    for (int k = 0; k < CHUNK / 16; k++) {
      uint32_t of_a[A][4], of_b[B][4];
#pragma unroll
      for (int i = 0; i < A; i++)
        vq_load_matrices(of_a[i], stage + a[k] + i * 16 * CHUNK);
#pragma unroll
      for (int j = 0; j < B; j++)
        if (BY_CHANNEL)
          vq_load_matrices_transposed(of_b[j], stage + b[BY_CHANNEL ? j : 0] + k * 16 * S::N);
        else
          vq_load_matrices(of_b[j], stage + b[BY_CHANNEL ? 0 : k] + j * 16 * CHUNK);
#pragma unroll
      for (int i = 0; i < A; i++)
#pragma unroll
        for (int j = 0; j < 2 * B; j++)
          vq_mma_bf16(sum[i][j], of_a[i], of_b[j / 2] + j % 2 * 2);
    }
  }
};

/* The warp's sums, 16 rows at a time through shared memory, so that each lane ends with 8 neighbours of a row. */
template <class S>
VQ_DEVICE void finish(const vq_product &p, const vq_product_place &here, float *partial, char *shared,
                      float sum[S::WARP_M / 16][S::WARP_N / 8][4])
{
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int m = here.m + warp / S::ACROSS * S::WARP_M, n = here.n + warp % S::ACROSS * S::WARP_N;
  float *room = reinterpret_cast<float *>(shared) + warp * 16 * S::PITCH;
  constexpr int LANES = S::WARP_N / 8; /* for a row */
#pragma unroll
  for (int i = 0; i < S::WARP_M / 16; i++) {
#pragma unroll
    for (int j = 0; j < S::WARP_N / 8; j++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        vq_store_floats<2>(room + (lane / 4 + half * 8) * S::PITCH + j * 8 + lane % 4 * 2, sum[i][j] + half * 2);
    __syncwarp();
#pragma unroll
    for (int row = lane / LANES; row < 16; row += 32 / LANES) {
      float v[8];
      vq_load_floats<8>(v, room + row * S::PITCH + lane % LANES * 8);
      vq_product_finish<8>(p, partial, here.a, here.b, m + i * 16 + row, n + lane % LANES * 8, v);
    }
    __syncwarp();
  }
}

template <class S, bool BY_CHANNEL, int BLOCKS>
__global__ void __launch_bounds__(S::THREADS, BLOCKS) mma_kernel(vq_product p, int parts, float *partial)
{
  VQ_SHARED_OF_LAUNCH(shared);
  vq_bf16 *stage = reinterpret_cast<vq_bf16 *>(shared);
  vq_product_place here = vq_product_here<S::M, S::N>(p, parts, p.kh * p.kw * ((p.channels + CHUNK - 1) / CHUNK));
  bringer<S, BY_CHANNEL> next;
  float sum[S::WARP_M / 16][S::WARP_N / 8][4] = {};
  int count = here.end - here.first;
  multiplier<S, BY_CHANNEL> those;
  next.start(p, here);
  those.start();
  for (int i = 0; i < STAGES - 1; i++) {
    if (i < count)
      next.bring(p, here, stage + i * S::STAGE);
    vq_copy_commit();
  }
  for (int i = 0; i < count; i++) {
    vq_copy_wait<STAGES - 2>();
    __syncthreads(); /* everybody's copies of chunk i are there, and nobody reads chunk i - 1 any more */
    if (i + STAGES - 1 < count)
      next.bring(p, here, stage + (i + STAGES - 1) % STAGES * S::STAGE);
    vq_copy_commit();
    those.multiply(stage + i % STAGES * S::STAGE, sum);
  }
  __syncthreads();
  finish<S>(p, here, partial, shared, sum);
}

template <class S, bool BY_CHANNEL, int BLOCKS>
static vq_status launch_kernel(const vq_call *c, const vq_product *p, vq_product_split split, const char *op)
{
  int64_t down = (vq_product_rows(p) + S::M - 1) / S::M, across = (p->outputs + S::N - 1) / S::N;
  dim3 blocks((unsigned)(down * across), (unsigned)split.parts, (unsigned)(p->scale * p->scale));
  VQ_TRY(vq_cuda_status(VQ_ALLOW_SHARED((mma_kernel<S, BY_CHANNEL, BLOCKS>), S::BYTES), op));
  return vq_cuda_status(VQ_LAUNCH_SHARED((mma_kernel<S, BY_CHANNEL, BLOCKS>), blocks, S::THREADS, S::BYTES,
                                         vq_stream(c), *p, split.parts, split.partial),
                        op);
}

template <class S, int BLOCKS>
static vq_status launch(const vq_call *c, const vq_product *p, vq_product_split split, const char *op)
{
  if (p->w_channel == 1)
    return launch_kernel<S, false, BLOCKS>(c, p, split, op);
  return launch_kernel<S, true, BLOCKS>(c, p, split, op);
}

} // namespace

bool vq_product_mma_fits(const vq_product *p)
{
  return p->x_type == VQ_BF16 && p->w_type == VQ_BF16 && p->apart == 1 && p->kh * p->kw <= 32 &&
         p->channels % VECTOR == 0 && (p->w_channel == 1 || p->outputs % VECTOR == 0);
}

vq_status vq_product_mma(const vq_call *c, const vq_product *p, int tile, vq_product_split split, const char *op)
{
  switch (tile) {
  case 256: return launch<mma_sizes<256, 128, 4, 2>, 1>(c, p, split, op);
  case 128: return launch<mma_sizes<128, 128, 2, 2>, 2>(c, p, split, op);
  default: return launch<mma_sizes<64, 64, 2, 2>, 4>(c, p, split, op);
  }
}
