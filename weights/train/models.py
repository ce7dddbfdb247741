"""The two networks with the published layouts and key names: taming-transformers' VQModel, OpenAI's CLIP with a ViT.

Nothing here is written for any size in particular; the sizes of the pair that ships stand in train_vqgan.py and train_clip.py.
"""
import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Group(nn.Module):
    """A place for submodules that only gives them their names."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)


# ---- VQGAN ----

def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResnetBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class AttnBlock(nn.Module):
    """One head over all places."""

    def __init__(self, channels):
        super().__init__()
        self.norm = norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + self.proj_out(y.transpose(1, 2).reshape(x.shape))


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def middle(channels):
    return Group(block_1=ResnetBlock(channels, channels), attn_1=AttnBlock(channels), block_2=ResnetBlock(channels, channels))


def through_middle(mid, x):
    return mid.block_2(mid.attn_1(mid.block_1(x)))


def make_level(inputs, outputs, blocks, attention):
    blocks = [ResnetBlock(inputs if i == 0 else outputs, outputs) for i in range(blocks)]
    attns = [AttnBlock(outputs) for _ in blocks] if attention else []
    return Group(block=nn.ModuleList(blocks), attn=nn.ModuleList(attns))


def through_level(level, x):
    for i, block in enumerate(level.block):
        x = block(x)
        if len(level.attn):
            x = level.attn[i](x)
    return x


class Encoder(nn.Module):
    def __init__(self, ch, ch_mult, num_res_blocks, attn_resolutions, resolution, z_channels, in_channels, **_):
        super().__init__()
        widths = [ch] + [ch * m for m in ch_mult]
        self.conv_in, self.down = nn.Conv2d(in_channels, ch, 3, padding=1), nn.ModuleList()
        for i in range(len(ch_mult)):
            level = make_level(widths[i], widths[i + 1], num_res_blocks, resolution >> i in attn_resolutions)
            if i + 1 < len(ch_mult):
                level.downsample = Downsample(widths[i + 1])
            self.down.append(level)
        self.mid = middle(widths[-1])
        self.norm_out, self.conv_out = norm(widths[-1]), nn.Conv2d(widths[-1], z_channels, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            x = through_level(level, x)
            if hasattr(level, "downsample"):
                x = level.downsample(x)
        return self.conv_out(F.silu(self.norm_out(through_middle(self.mid, x))))


class Decoder(nn.Module):
    def __init__(self, ch, ch_mult, num_res_blocks, attn_resolutions, resolution, z_channels, out_ch, **_):
        super().__init__()
        widths = [ch * m for m in ch_mult]
        self.conv_in, self.mid = nn.Conv2d(z_channels, widths[-1], 3, padding=1), middle(widths[-1])
        levels = []
        for i in range(len(ch_mult)):
            inputs = widths[min(i + 1, len(widths) - 1)]
            level = make_level(inputs, widths[i], num_res_blocks + 1, resolution >> i in attn_resolutions)
            if i > 0:
                level.upsample = Upsample(widths[i])
            levels.append(level)
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = norm(widths[0]), nn.Conv2d(widths[0], out_ch, 3, padding=1)

    def forward(self, z):
        x = through_middle(self.mid, self.conv_in(z))
        for level in reversed(self.up):
            x = through_level(level, x)
            if hasattr(level, "upsample"):
                x = level.upsample(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VQModel(nn.Module):
    """Pictures are [N, 3, H, W] from -1 to 1; z is [N, embed_dim, H / f, W / f]."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        codes, width, z = config["n_embed"], config["embed_dim"], config["z_channels"]
        self.encoder, self.decoder = Encoder(**config), Decoder(**config)
        self.quantize = Group(embedding=nn.Embedding(codes, width))
        self.quant_conv, self.post_quant_conv = nn.Conv2d(z, width, 1), nn.Conv2d(width, z, 1)

    @property
    def codebook(self):
        return self.quantize.embedding.weight

    def encode(self, x):
        return self.quant_conv(self.encoder(x))

    def nearest(self, z):
        """The nearest code of each place, [N, H, W]."""
        flat = z.float().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.t()
        return distance.argmin(1).reshape(z.shape[0], *z.shape[2:])

    def look_up(self, codes):
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)

    def quantise(self, z):
        """The nearest codes' vectors; the gradient passes as if nothing had been done."""
        return z + (self.look_up(self.nearest(z.detach())) - z).detach()

    def decode(self, z):
        return self.decoder(self.post_quant_conv(z))


# ---- CLIP ----

class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """With the names of nn.MultiheadAttention, sequences first in the batch."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, causal):
        n, length, width = x.shape
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q * (width // self.heads) ** -0.5 @ k.transpose(-1, -2)  # written out: on a CPU, faster than the fused one
        if causal:
            scores = scores + torch.full((length, length), -1e4, dtype=scores.dtype, device=x.device).triu(1)
        y = scores.softmax(-1).to(v.dtype) @ v
        return self.out_proj(y.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    def __init__(self, width, heads, layers):
        super().__init__()
        self.attn, self.ln_1, self.ln_2 = Attention(width, heads), nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=QuickGELU(),
                                             c_proj=nn.Linear(4 * width, width)))
        nn.init.normal_(self.mlp.c_fc.weight, std=(2 * width) ** -0.5)
        for out in (self.attn.out_proj, self.mlp.c_proj):  # the sum over all layers stays of size 1
            nn.init.normal_(out.weight, std=width**-0.5 * (2 * layers) ** -0.5)

    def forward(self, x, causal):
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, layers, heads, causal):
        super().__init__()
        self.causal = causal
        self.resblocks = nn.ModuleList([Block(width, heads, layers) for _ in range(layers)])

    def forward(self, x):
        for block in self.resblocks:
            x = block(x, self.causal)
        return x


class Vision(nn.Module):
    def __init__(self, side, patch, width, layers, heads, out):
        super().__init__()
        scale = width**-0.5
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((side // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads, causal=False)
        self.proj = nn.Parameter(scale * torch.randn(width, out))

    def forward(self, x):
        """The embedding [N, out]; and what every patch holds, [N, patches, width], for training."""
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ self.proj, x[:, 1:]


class CLIP(nn.Module):
    """Pictures are [N, 3, side, side] from 0 to 1; texts are [N, L] of tokens, ended by the largest one."""

    def __init__(self, config):
        super().__init__()
        self.config = c = config
        width, out = c["transformer_width"], c["embed_dim"]
        self.visual = Vision(c["image_resolution"], c["vision_patch_size"], c["vision_width"], c["vision_layers"],
                             c["vision_heads"], out)
        self.transformer = Transformer(width, c["transformer_layers"], c["transformer_heads"], causal=True)
        self.token_embedding = nn.Embedding(c["vocab_size"], width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(c["context_length"], width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(width**-0.5 * torch.randn(width, out))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CLIP_STD).view(1, 3, 1, 1), persistent=False)

    def see(self, x):
        """Pictures' directions, and their patches."""
        embedding, patches = self.visual((x - self.mean) / self.std)
        return F.normalize(embedding.float(), dim=-1), patches

    def read(self, tokens):
        """Texts' directions. Texts may be cut after the longest one's end: nothing looks behind it."""
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        x = self.ln_final(self.transformer(x))
        x = x[torch.arange(len(x), device=x.device), tokens.argmax(1)] @ self.text_projection
        return F.normalize(x.float(), dim=-1)
