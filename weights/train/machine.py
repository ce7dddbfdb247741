"""What a training wants of the machine."""
import ctypes

import torch


def prepare(device, threads):
    """Says how many threads compute; and on a CPU, that memory once got is kept.

    PyTorch asks for large blocks and gives them back at every step. By default each is mapped anew and its pages are cleared
    by the system, which takes as long as the computing does."""
    torch.set_num_threads(threads)
    if device == "cpu":
        trim_threshold, top_pad, mmap_max = -1, -2, -4  # the numbers of <malloc.h>
        try:
            c = ctypes.CDLL(None)
            c.mallopt(mmap_max, 0)
            c.mallopt(trim_threshold, 2**31 - 1)
            c.mallopt(top_pad, 64 << 20)
        except (OSError, AttributeError):  # another C library: only slower
            pass
