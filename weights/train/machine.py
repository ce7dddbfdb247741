"""What a training wants of the machine."""
import ctypes

import torch


bfloat16 = True


def mixed(device):
    """Within it matrix products and convolutions take bfloat16, unless prepare was told otherwise."""
    return torch.autocast(device, torch.bfloat16, enabled=bfloat16)


def prepare(device, threads, float32=False):
    """Says how many threads compute, and in what; and on a CPU, that memory once got is kept.

    float32: quicker on some processors, a Xeon without AMX among them; on a Zen 5 bfloat16 took less than half the time.

    PyTorch asks for large blocks and gives them back at every step. By default each is mapped anew and its pages are cleared
    by the system, which takes as long as the computing does."""
    global bfloat16
    bfloat16 = not float32
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
