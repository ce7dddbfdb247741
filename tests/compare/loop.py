"""The exact step of VQGAN+CLIP, without augmentations or noise, as the published notebooks take it.

    zq     = nearest code of each token of z                     gradient passes straight through to z
    image  = clamp((decode(zq) + 1) / 2, 0, 1)                   gradient passes where it leads back inside
    cutout = adaptive average pooling of each box to CLIP's size
    loss_p = |w_p| mean over cutouts of sign(w_p) 2 asin(|a - b_p| / 2)^2, a and b_p of unit length;
             cutouts whose signed distance is below stop_p count, but give no gradient
    z      = Adam(z, gradient of the sum of all loss_p), clamped for each channel to the codebook's range

The clamp's gradient depends on the sign of what arrives, so it must see the sum over all prompts and cutouts.
"""
import math

import torch
from torch.nn import functional as F

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class StraightThrough(torch.autograd.Function):
    """Forward `value`, backward to `x`."""

    @staticmethod
    def forward(ctx, value, x):
        return value

    @staticmethod
    def backward(ctx, dy):
        return None, dy


class ClampWithGrad(torch.autograd.Function):
    """Forward clamp(x, 0, 1); backward dy where x is inside or a step against dy brings it back."""

    @staticmethod
    def forward(ctx, x):
        y = x.clamp(0, 1)
        ctx.save_for_backward(x - y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (outside,) = ctx.saved_tensors
        return dy * (dy * outside >= 0)


def cut(image, boxes, size):
    """image [1,3,H,W], boxes [n,3] = x, y, side -> [n,3,size,size]"""
    crops = [image[:, :, y : y + side, x : x + side] for x, y, side in boxes.tolist()]
    return torch.cat([F.adaptive_avg_pool2d(crop, size) for crop in crops])


def lanczos(x, size):
    """x [n,3,H,W] through a Lanczos-2 low-pass for `size` along W, reflected at the edges."""
    ratio = size / x.shape[-1]
    reach = math.ceil(2 / ratio + 1) - 2
    t = torch.arange(-reach, reach + 1, dtype=x.dtype) * ratio
    taps = torch.where(t.abs() < 2, torch.sinc(t) * torch.sinc(t / 2), torch.zeros_like(t))
    n, c, h, w = x.shape
    rows = F.pad(x.reshape(n * c, h, w), (reach, reach), "reflect").view(n * c * h, 1, -1)
    return F.conv1d(rows, (taps / taps.sum()).view(1, 1, -1)).view(n, c, h, w)


def resample(x, size):
    """The first notebooks' way from a box to CLIP's size: Lanczos-2 along the sides that shrink, then bicubic."""
    if size < x.shape[2]:
        x = lanczos(x.transpose(2, 3), size).transpose(2, 3)
    if size < x.shape[3]:
        x = lanczos(x, size)
    return F.interpolate(x, (size, size), mode="bicubic", align_corners=True)


def normalise(cutouts):
    mean, std = (cutouts.new_tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (cutouts - mean) / std


def signed_distances(features, text, weight):
    """features [n,D], text [D] -> [n]"""
    a, b = F.normalize(features, dim=-1), F.normalize(text, dim=-1)
    return 2 * ((a - b).norm(dim=-1) / 2).asin() ** 2 * ((weight > 0) - (weight < 0))


def prompt_loss(features, text, weight, stop):
    d = signed_distances(features, text, weight)
    return abs(weight) * StraightThrough.apply(d, d.clamp(min=stop)).mean()


def use_autocast(vqgan, clip):
    """From here on decoder and tower compute in bf16 where autocast on the CPU does so; what they give is float32 again."""

    def within(function):
        def call(*args):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return function(*args).float()

        return call

    vqgan.decode, clip.encode_image = within(vqgan.decode), within(clip.encode_image)


def evaluate(vqgan, clip, z, boxes, text, prompts, gradient=True):
    """Everything that a step computes before the update, as a dict of tensors under the names of `vqgen trace`.

    z [1,C,h,w], boxes [n,3] = x, y, side, text features [m,D], prompts a list of m (weight, stop).
    """
    z = z.detach().requires_grad_(gradient)
    indices, codes = vqgan.nearest(z)
    decode = vqgan.decode(StraightThrough.apply(codes, z))
    image = ClampWithGrad.apply((decode + 1) / 2)
    cutouts = cut(image, boxes, clip.image_resolution)
    features = clip.encode_image(normalise(cutouts))
    losses = torch.stack([prompt_loss(features, b, weight, stop) for b, (weight, stop) in zip(text, prompts)])
    out = dict(indices=indices, decode=decode, image=image, cutouts=cutouts, image_features=features, losses=losses)
    if gradient:
        (out["grad_z"],) = torch.autograd.grad(losses.sum(), z)
    return {name: tensor.detach() for name, tensor in out.items()}


def optimise(vqgan, clip, z, boxes, text, prompts, lr, steps, keep=()):
    """`steps` updates from z. Returns z, the losses before each update [steps,m], and z after each step in `keep`."""
    low, high = (f(0).values.view(1, -1, 1, 1) for f in (vqgan.codebook.detach().min, vqgan.codebook.detach().max))
    z = z.clone()
    adam = torch.optim.Adam([z], lr=lr)
    trajectory, kept = [], {}
    for step in range(1, steps + 1):
        now = evaluate(vqgan, clip, z, boxes, text, prompts)
        trajectory.append(now["losses"])
        z.grad = now["grad_z"]
        adam.step()
        z.copy_(z.clamp(low, high))
        if step in keep:
            kept[step] = z.clone()
    return z, torch.stack(trajectory), kept
