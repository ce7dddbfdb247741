/* bf16.h -- the upper half of a float: its sign and exponent, and 8 of its 24 digits. */
#ifndef VQ_BASE_BF16_H
#define VQ_BASE_BF16_H

#include <stdint.h>
#include <string.h>

static inline float vq_bf16_to_float(uint16_t half)
{
  uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* To nearest, ties to even; what is too large becomes infinity, and a NaN stays one. */
static inline uint16_t vq_bf16_from_float(float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t nan = (bits & 0x7fffffffu) > 0x7f800000u; /* its quiet bit keeps it one */
  uint32_t rounded = nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1);
  return (uint16_t)(rounded >> 16);
}

#endif
