"""Where a CLIP leads the pictures that are made with it, and where it should.

A run follows the gradient of the angle between a picture's embedding and the text's. So that gradient itself is trained: from
wherever a run may come by, it has to point along the straight way to the picture that the text tells of. The mean over all pictures that fit is
learned first; what is seen of the thing then tells more about where it is going. (Such a network is a denoiser that has
the form of an energy: Song and Ermon, Generative Modeling by Estimating Gradients of the Data Distribution, 2019; Ganz, Kawar and Elad,
Do Perceptually Aligned Gradients Imply Robustness?, 2023, for classifiers.)
"""
import numpy as np
import torch
import torch.nn.functional as F

from machine import mixed

STARTS = dict(gray=(0.3, 1.0), ground=(0.3, 0.6), sibling=(0.25, 1.0), other=(0.15, 1.0))  # how often; the most of the way that is gone
COARSE, FINE = 0.15, 0.05  # how rough what is found on the way may be
SMALL = 3.0  # a way's L2 norm, over 6912 numbers, below which it matters less where the gradient points


def blend(pictures, some, siblings, rng):
    """Pictures [N, 3, side, side] somewhere on the way to those that are numbered `some` [N]: from gray; from the ground alone, taken to
    be what the upper left corner shows; from their siblings, numbered likewise; from any other picture."""
    n, side, device = len(some), pictures.shape[-1], pictures.device

    def noise(at):
        return torch.randn(n, 3, at, at, device=device)

    gray = 0.5 + 0.15 * noise(1).expand(-1, -1, side, side)
    ground = pictures[some, :, 2:3, 2:3].expand(-1, -1, side, side)
    starts = torch.stack([gray, ground, pictures[siblings], pictures[rng.integers(0, len(pictures), n)]])
    often, most = np.array(list(STARTS.values())).T
    kind = rng.choice(len(starts), n, p=often)
    gone = torch.from_numpy((rng.random(n) * most[kind]).astype(np.float32)).to(device).view(-1, 1, 1, 1)
    rough = COARSE * F.interpolate(noise(12), side, mode="bilinear") + FINE * noise(side)
    return starts[kind, np.arange(n)].lerp(pictures[some], gone) + rough * torch.rand(n, 1, 1, 1, device=device)


def lead(clip, seen, words):
    """Where a run's loss moves what is seen, and the embeddings: minus the gradient of twice the squared half angle to the text's
    direction, differentiable in its turn."""
    def loss(x):
        found = clip.see(x)[0]
        return 2 * ((found - words).norm(dim=1) / 2).arcsin().square().sum(), found

    with mixed(seen.device.type):
        gradient, found = torch.func.grad(loss, has_aux=True)(seen)
    return -gradient, found


def astray(led, way):
    """1 less the cosine between where it leads and the way to the picture, both of the whole batch as one vector, so that the
    lengths matter as well: a gradient has to vanish where the picture is reached. Each is weighed by its way's length."""
    weight = 1 / (way.flatten(1).norm(dim=1) + SMALL).view(-1, 1, 1, 1)
    led, way = led * weight, way * weight
    return 1 - (led * way).sum() / (led.norm() * way.norm() + 1e-12)
