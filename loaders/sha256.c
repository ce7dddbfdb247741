/* sha256.c -- plain C, and the x86 SHA extension. */
#include "loaders/sha256.h"

#include "loaders/input.h"

#include <stdio.h>
#include <string.h>

#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

#define BLOCK 64

/* Of the cube roots of the first 64 primes, the first 32 bits after the point. */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int n)
{
  return x >> n | x << (32 - n);
}

static void plain_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
  for (; blocks; blocks--, data += BLOCK) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 | (uint32_t)data[4 * i + 2] << 8 |
             data[4 * i + 3];
    for (int i = 16; i < 64; i++)
      w[i] = w[i - 16] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
             (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, state, sizeof s);
    /* Each round moves every letter one place on: here the letters move and the numbers stay. */
#define LETTER(n) s[(n - i) & 7]
#pragma GCC unroll 64
    for (int i = 0; i < 64; i++) {
      uint32_t a = LETTER(0), b = LETTER(1), c = LETTER(2), e = LETTER(4), f = LETTER(5), g = LETTER(6);
      uint32_t one = LETTER(7) + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
      uint32_t two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      LETTER(3) += one;
      LETTER(7) = one + two;
    }
#undef LETTER
    for (int i = 0; i < 8; i++)
      state[i] += s[i];
  }
}

#if defined __x86_64__

static bool has_own(void)
{
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
    return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

/* Two rounds an instruction, on the state as ABEF and CDGH; the schedule four words at a time, of which 16 are kept. */
__attribute__((target("sha,sse4.1"))) static void own_blocks(uint32_t s[8], const uint8_t *data, size_t blocks)
{
  const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  __m128i abef = _mm_set_epi32((int)s[0], (int)s[1], (int)s[4], (int)s[5]);
  __m128i cdgh = _mm_set_epi32((int)s[2], (int)s[3], (int)s[6], (int)s[7]);
  uint32_t front[4], back[4];
  for (; blocks; blocks--, data += BLOCK) {
    __m128i w[4], abef_before = abef, cdgh_before = cdgh;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
      __m128i now, last = w[(i + 3) & 3], sum;
      if (i < 4)
        now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i), big_endian);
      else
        now = _mm_sha256msg2_epu32(
            _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), _mm_alignr_epi8(last, w[(i + 2) & 3], 4)),
            last);
      w[i & 3] = now;
      sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(const void *)k + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  _mm_storeu_si128((__m128i *)(void *)front, abef);
  _mm_storeu_si128((__m128i *)(void *)back, cdgh);
  s[0] = front[3], s[1] = front[2], s[4] = front[1], s[5] = front[0];
  s[2] = back[3], s[3] = back[2], s[6] = back[1], s[7] = back[0];
}

#else

static bool has_own(void)
{
  return false;
}

#define own_blocks plain_blocks

#endif

static void add_blocks(vq_sha256 *hash, const uint8_t *data, size_t blocks)
{
  (hash->plain ? plain_blocks : own_blocks)(hash->state, data, blocks);
}

void vq_sha256_begin(vq_sha256 *hash)
{
  /* Of the square roots of the first 8 primes, the first 32 bits after the point. */
  *hash = (vq_sha256){
      .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      .plain = !has_own()};
}

void vq_sha256_add(vq_sha256 *hash, const void *data, size_t bytes)
{
  const uint8_t *from = data;
  size_t filled = hash->bytes % BLOCK;
  if (!bytes)
    return;
  hash->bytes += bytes;
  if (filled) {
    size_t part = bytes < BLOCK - filled ? bytes : BLOCK - filled;
    memcpy(hash->block + filled, from, part);
    from += part, bytes -= part;
    if (filled + part == BLOCK)
      add_blocks(hash, hash->block, 1);
  }
  if (bytes >= BLOCK)
    add_blocks(hash, from, bytes / BLOCK);
  if (bytes % BLOCK) /* the block is empty here: else all had gone into it */
    memcpy(hash->block, from + bytes / BLOCK * BLOCK, bytes % BLOCK);
}

void vq_sha256_end(vq_sha256 *hash, char hex[VQ_SHA256_HEX])
{
  uint64_t bits = hash->bytes * 8;
  uint8_t end[BLOCK + 8] = {0x80};
  size_t zeros = (2 * BLOCK - 9 - hash->bytes % BLOCK) % BLOCK;
  for (int i = 0; i < 8; i++)
    end[1 + zeros + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
  vq_sha256_add(hash, end, zeros + 9);
  for (int i = 0; i < 8; i++)
    snprintf(hex + 8 * i, 9, "%08x", (unsigned)hash->state[i]);
}

static void add_block(void *user, const void *block, size_t bytes)
{
  vq_sha256_add(user, block, bytes);
}

vq_status vq_sha256_file(const char *path, char hex[VQ_SHA256_HEX])
{
  vq_sha256 hash;
  vq_sha256_begin(&hash);
  VQ_TRY(vq_input_each(path, add_block, &hash));
  vq_sha256_end(&hash, hex);
  return VQ_OK;
}
