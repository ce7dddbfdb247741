"""Latents that are being optimised against the CLIP in training, just as vqgen would: where they stray, the CLIP is shown the
way to the picture that was asked for."""
import math

import torch

import cutouts
from machine import mixed

CUTOUTS, LR, LR_END, TV_WEIGHT, GRAY_NOISE = 2, 0.2, 0.04, 1.0, 0.02
YOUNGEST, OLDEST = 60, 130  # steps that a latent lives; a run has 120
CELLS, MOST = (4, 8, 16), 0.5  # Perlin's noise on the gray ones: how fine, and its deviation at most; vqgen's has 0.4
GRAY, SIBLING = 0.75, 0.2      # parts of the latents that begin so; the others begin with tokens at random


class Clamp01(torch.autograd.Function):
    """Where a value lies outside, the gradient passes if it leads back."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (g * (x - x.clamp(0, 1)) >= 0)


def synth(vqgan, z, device):
    """z to pictures from 0 to 1"""
    with mixed(device):
        y = vqgan.decode(vqgan.quantise(z))
    return Clamp01.apply(y.float() * 0.5 + 0.5)


def perlin(count, side, device):
    """Noise [count, 3, side, side] as vqgen's `--init perlin` has it (runtime/perlin.c), of deviation 1."""
    out = 0
    for cells in CELLS:
        at = (torch.arange(side, device=device) + 0.5) * cells / side
        low = at.long()
        f = at - low
        angle = 2 * math.pi * torch.rand(3 * count, cells + 1, cells + 1, device=device)
        fade = f**3 * (6 * f**2 - 15 * f + 10)

        def corner(down, right):
            a = angle[:, low + down][:, :, low + right]
            return a.cos() * (f - right) + a.sin() * (f[:, None] - down)

        upper, lower = (corner(down, 0).lerp(corner(down, 1), fade) for down in (0, 1))
        out = out + upper.lerp(lower, fade[:, None])
    return out.view(count, 3, side, side) / (0.2157 * math.sqrt(len(CELLS)))


class Pool:
    def __init__(self, vqgan, count, choose, show, paint, tell, device, side):
        """choose(n): the numbers of n pictures; show(numbers): these pictures, from -1 to 1; paint(number): its scene a few times
        over, uint8 [variants, side, side, 3]; tell(number): a text for it, as tokens."""
        self.vqgan, self.device, self.side = vqgan, device, side
        self.choose, self.show, self.paint, self.tell = choose, show, paint, tell
        self.low, self.high = (v.view(1, -1, 1, 1) for v in (vqgan.codebook.amin(0), vqgan.codebook.amax(0)))
        f = 2 ** (len(vqgan.config["ch_mult"]) - 1)
        self.z = torch.zeros(count, vqgan.config["embed_dim"], side // f, side // f, device=device)
        self.m, self.v = torch.zeros_like(self.z), torch.zeros_like(self.z)
        self.age, self.life, self.number = (torch.zeros(count, dtype=torch.long) for _ in range(3))
        self.text, self.wanted = [None] * count, [None] * count
        self.begin(torch.arange(count))
        self.age = (torch.rand(count) * self.life).long()  # they do not all end at once

    @torch.no_grad()
    def begin(self, which):
        """New texts. Most start from gray under more or less of Perlin's noise, as runs do (--init gray, --init perlin). Some start
        from the picture of their text's sibling, another shape at the same place or the same shape at another: what lies between
        nearly right and right is seen seldom on the way from gray."""
        n = len(which)
        self.number[which] = self.choose(n)
        self.look_up(which)
        gray = GRAY_NOISE * torch.randn(n, 3, self.side, self.side, device=self.device)
        gray = gray + MOST * torch.rand(n, 1, 1, 1, device=self.device) * perlin(n, self.side, self.device)
        z = self.vqgan.encode(gray)  # as it is: vqgen begins there, not at the nearest codes
        tokens = self.vqgan.look_up(torch.randint(len(self.vqgan.codebook), (n, *z.shape[2:]), device=self.device))
        sibling = self.vqgan.encode(self.show(self.number[which].numpy() ^ 1))
        chance = torch.rand(n, device=self.device).view(-1, 1, 1, 1)
        self.z[which] = torch.where(chance < GRAY, z, torch.where(chance < GRAY + SIBLING, sibling, tokens))
        self.m[which], self.v[which] = 0, 0
        self.age[which], self.life[which] = 0, torch.randint(YOUNGEST, OLDEST, (n,))

    def look_up(self, which):
        for i in which.tolist():
            self.text[i], self.wanted[i] = self.tell(int(self.number[i])), self.paint(int(self.number[i]))

    def nearest(self, which, pictures):
        """Of each scene's variants the one that is nearest to what its latent shows: where a text leaves open where exactly a
        thing stands, the mean of all answers would be a blur."""
        wanted = torch.stack([torch.from_numpy(self.wanted[i]) for i in which.tolist()]).to(self.device).permute(0, 1, 4, 2, 3).float() / 255
        best = (wanted - pictures[:, None]).square().mean((2, 3, 4)).argmin(1)
        return wanted[torch.arange(len(best), device=self.device), best]

    def step(self, which, clip, directions):
        """Each of them takes one of Adam's steps towards its text's direction. Returns the pictures from before it."""
        z = self.z[which].requires_grad_()
        picture = synth(self.vqgan, z, self.device)
        seen = cutouts.take(picture.repeat(CUTOUTS, 1, 1, 1), clip.config["image_resolution"])
        with mixed(self.device):
            found = clip.see(seen)[0]
        wanted = directions.repeat(CUTOUTS, 1)
        loss = 2 * (((found - wanted).norm(dim=1) / 2).arcsin().square().sum() / CUTOUTS)
        across, down = picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]
        loss = loss + TV_WEIGHT * (across.square().mean((1, 2, 3)) + down.square().mean((1, 2, 3))).sum()
        (g,) = torch.autograd.grad(loss, z)
        age = self.age[which] = self.age[which] + 1
        t = age.to(self.device).view(-1, 1, 1, 1).float()
        lr = LR + (LR_END - LR) * t / OLDEST
        m = self.m[which] = self.m[which].lerp(g, 0.1)
        v = self.v[which] = self.v[which].lerp(g * g, 0.001)
        z = z.detach() - lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        self.z[which] = z.maximum(self.low).minimum(self.high)
        return picture.detach()

    def renew(self):
        old = torch.nonzero(self.age >= self.life)[:, 0]
        if len(old):
            self.begin(old)

    def state(self):
        """Without the moments, which would be two thirds of it: Adam's first step after that is 0.7 of a usual one."""
        return dict(z=self.z.to("cpu", torch.float16), age=self.age.clone(), life=self.life.clone(), number=self.number.clone())

    def restore(self, state):
        self.z = state["z"].to(self.device, torch.float32)
        self.age, self.life, self.number = state["age"], state["life"], state["number"]
        self.look_up(torch.arange(len(self.age)))
