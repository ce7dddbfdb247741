"""The engine's random numbers (base/rng.h) in Python's integers: Philox 4x32-10 of Salmon et al., and Box and Muller."""
import math


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
