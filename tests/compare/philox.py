"""The engine's random numbers (base/rng.h) in Python's integers: Philox 4x32-10 of Salmon et al., and Box and Muller."""
import math

import numpy as np


def philox(counter, key):
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k0, b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k1, a & 0xFFFFFFFF]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c


def bits(seed, purpose, step, index):
    block = index // 4
    return philox((block & 0xFFFFFFFF, block >> 32, step, purpose), (seed & 0xFFFFFFFF, seed >> 32))[index % 4]


def uniform(seed, purpose, step, index):
    return (bits(seed, purpose, step, index) >> 8) / 2**24


def below(seed, purpose, step, index, n):
    return bits(seed, purpose, step, index) * n >> 32


def normal(seed, purpose, step, index):
    block = index // 4
    words = philox((block & 0xFFFFFFFF, block >> 32, step, purpose), (seed & 0xFFFFFFFF, seed >> 32))
    a, b = words[index % 4 & 2], words[index % 4 | 1]
    radius, angle = math.sqrt(-2 * math.log((a + 1) / 2**32)), 2 * math.pi * b / 2**32
    return radius * (math.sin(angle) if index % 2 else math.cos(angle))


def block_words(seed, purpose, step, first, blocks):
    """The words of `blocks` blocks from number `first`, uint64 [blocks, 4]."""
    number = np.arange(first, first + blocks, dtype=np.uint64)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [number & low, number >> shift, np.full(blocks, step, np.uint64), np.full(blocks, purpose, np.uint64)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [b >> shift ^ c[1] ^ np.uint64(k0), b & low, a >> shift ^ c[3] ^ np.uint64(k1), a & low]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack(c, 1)


def normals(seed, purpose, step, first, count):
    """normal() of the indices from `first` on, many at once."""
    block = first // 4
    w = block_words(seed, purpose, step, block, (first + count + 3) // 4 - block).reshape(-1, 2, 2).astype("f8")
    radius, angle = np.sqrt(-2 * np.log((w[..., 0] + 1) / 2**32)), 2 * math.pi * w[..., 1] / 2**32
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(-1)
    return both[first - 4 * block :][:count]


def uniforms(seed, purpose, step, count):
    return (block_words(seed, purpose, step, 0, (count + 3) // 4).reshape(-1)[:count] >> np.uint64(8)).astype("f8") / 2**24
