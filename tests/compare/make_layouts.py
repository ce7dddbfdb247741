#!/usr/bin/env python3
"""Small CLIPs as those who publish them save them, and what they compute: tests/data/layouts.

    make_layouts.py FOLDER

Hugging Face: CLIPModel.save_pretrained. open_clip: a training checkpoint (state_dict, module.) with the text tower apart (text.) and
its open_clip_config.json. OpenAI: TorchScript with 16-bit weights, 32-bit norms and embeddings, and OpenAI's three numbers. Each has
expected.json: tokens, the features of them and of a picture. taming-transformers: the first stage (VQModel) inside the checkpoint of a
transformer, with its yaml, as PyTorch Lightning saves it, by models.py, which computes what the published code does (check_reference.py).

Needs transformers, open_clip, torch, safetensors; the files in tests/data were made with the versions in expected.json.
"""
import json
import sys
import tempfile
from pathlib import Path

import open_clip
import torch
import transformers
import yaml
from tokenizers.models import BPE

from bpe import Tokeniser
from models import VQGAN, Named

WIDTH, LAYERS, PATCH, SIDE, EMBED, WORDS, CONTEXT = 32, 1, 8, 16, 16, 544, 16
torch.manual_seed(1)


def inputs():
    i = torch.arange(SIDE * SIDE * 3)
    bytes_ = ((7 * i * i + 13 * i) % 256).reshape(SIDE, SIDE, 3).permute(2, 0, 1)[None]  # tests/test_layouts.c draws the same
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    picture = (bytes_ / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    tokens = torch.zeros(1, CONTEXT, dtype=torch.long)
    tokens[0, :6] = torch.tensor([WORDS - 2, 5, 320, 77, 400, WORDS - 1])
    return picture, tokens


def expect(folder, image, text, versions):
    _, tokens = inputs()
    folder.joinpath("expected.json").write_text(json.dumps({
        "made_with": versions, "tokens": tokens[0].tolist(),
        "image": [round(float(v), 9) for v in image.flatten()], "text": [round(float(v), 9) for v in text.flatten()]}))


def spread(model):
    """Weights of about unit gain, so that nothing is lost in small numbers."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1 and "embed" not in name:
                p.normal_(0, p[0].numel() ** -0.5)
            elif p.dim() and "norm" not in name and "ln" not in name:
                p.normal_(0, 0.1)
    return model.eval().requires_grad_(False)


def hugging_face(root):
    tower = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=LAYERS, num_attention_heads=2)
    config = transformers.CLIPConfig(
        text_config=dict(tower, vocab_size=WORDS, max_position_embeddings=CONTEXT, bos_token_id=WORDS - 2,
                         eos_token_id=WORDS - 1, pad_token_id=0),
        vision_config=dict(tower, image_size=SIDE, patch_size=PATCH), projection_dim=EMBED)
    model = spread(transformers.CLIPModel(config))
    folder = root / "hugging_face"
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    picture, tokens = inputs()
    image = model.visual_projection(model.vision_model(pixel_values=picture).pooler_output)
    text = model.text_projection(model.text_model(input_ids=tokens).pooler_output)
    expect(folder, image, text, {"transformers": transformers.__version__, "torch": torch.__version__})


def open_clip_files(root):
    # open_clip's own heads are 64 wide.
    config = dict(embed_dim=EMBED, vision_cfg=dict(image_size=SIDE, layers=LAYERS, width=WIDTH, head_width=16, patch_size=PATCH),
                  text_cfg=dict(context_length=CONTEXT, vocab_size=WORDS, width=WIDTH, heads=1, layers=LAYERS))
    model = spread(open_clip.model.CustomTextCLIP(**config))
    folder = root / "open_clip"
    folder.mkdir(parents=True, exist_ok=True)
    state = {"module." + name: p for name, p in model.state_dict().items()}
    torch.save({"epoch": 3, "name": "test", "state_dict": state}, folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    picture, tokens = inputs()
    expect(folder, model.encode_image(picture), model.encode_text(tokens),
           {"open_clip": open_clip.__version__, "torch": torch.__version__})


def openai(root):
    config = dict(embed_dim=EMBED, quick_gelu=True,
                  vision_cfg=dict(image_size=SIDE, layers=LAYERS, width=64, patch_size=PATCH),  # OpenAI's heads are 64 wide
                  text_cfg=dict(context_length=CONTEXT, vocab_size=WORDS, width=64, heads=1, layers=LAYERS))
    model = spread(open_clip.model.CLIP(**config))
    # As OpenAI's convert_weights does: layers and projections in 16 bits, norms and embeddings in 32.
    state = {}
    for name, p in model.state_dict().items():
        whole = "ln_" in name or "embedding" in name or name in ("logit_scale", "attn_mask")
        state[name] = p if whole else p.half()
    model.load_state_dict({name: p.float() for name, p in state.items()})
    state.pop("attn_mask", None)
    picture, tokens = inputs()
    image, text = model.encode_image(picture), model.encode_text(tokens)
    versions = {"open_clip": open_clip.__version__, "torch": torch.__version__}

    numbers = {"input_resolution": torch.tensor(SIDE), "context_length": torch.tensor(CONTEXT), "vocab_size": torch.tensor(WORDS)}
    folder = root / "openai"
    folder.mkdir(parents=True, exist_ok=True)
    module = Named()
    for name, p in {**state, **numbers}.items():
        owner = module
        *way, last = name.split(".")
        for part in way:
            if not hasattr(owner, part):
                owner.add_module(part, Named())
            owner = getattr(owner, part)
        if name in numbers:
            owner.register_buffer(last, p)
        else:
            owner.register_parameter(last, torch.nn.Parameter(p, requires_grad=False))
    torch.jit.save(torch.jit.script(module), str(folder / "small.pt"))
    expect(folder, image, text, versions)


def taming(root):
    ddconfig = dict(double_z=False, z_channels=8, resolution=8, in_channels=3, out_ch=3, ch=32, ch_mult=[1], num_res_blocks=1,
                    attn_resolutions=[], dropout=0.0)
    model = spread(VQGAN(dict(ddconfig, embed_dim=8, n_embed=16), "vqgan"))
    with torch.no_grad():  # 16 bits each, so that the file is small
        model.load_state_dict({name: p.half().float() for name, p in model.state_dict().items()})
    state = {"first_stage_model." + name: p.half() for name, p in model.state_dict().items()}
    state["first_stage_model.loss.discriminator.main.0.weight"] = torch.zeros(2, 3, 4, 4)
    state["cond_stage_model.quantize.embedding.weight"] = torch.zeros(4, 8)
    state["cond_stage_model.decoder.conv_in.weight"] = torch.zeros(8, 8, 3, 3)
    state["transformer.tok_emb.weight"] = torch.zeros(4, 2)
    folder = root / "taming"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 7, "global_step": 100, "pytorch-lightning_version": "1.0.8", "state_dict": state, "callbacks": {},
                "optimizer_states": [{"state": {0: {"step": 3, "exp_avg": torch.zeros(4, 2)}}, "param_groups": []}]},
               folder / "coco.ckpt")
    stage = {"target": "taming.models.vqgan.VQModel", "params": dict(embed_dim=8, n_embed=16, ddconfig=ddconfig)}
    (folder / "coco.yaml").write_text(yaml.dump({"model": {
        "target": "taming.models.cond_transformer.Net2NetTransformer",
        "params": {"first_stage_config": stage, "cond_stage_config": {"params": {"n_embed": 4, "ddconfig": {"ch": 64}}}}}}))
    ids = (torch.arange(64) * 7 % 16).reshape(1, 8, 8)  # tests/test_layouts.c has the same
    z = model.quantize.embedding.weight[ids].permute(0, 3, 1, 2)
    picture = ((torch.arange(192) * 37 % 101).float() / 50 - 1).reshape(1, 8, 8, 3).permute(0, 3, 1, 2)
    last = lambda x: [round(float(v), 9) for v in x.permute(0, 2, 3, 1).flatten()]
    folder.joinpath("expected.json").write_text(json.dumps({
        "made_with": {"torch": torch.__version__}, "decode": last(model.decode(z)), "encode": last(model.encode(picture))}))


def vocabulary(root):
    """vocab.json as Hugging Face's tokenizers write it, of the merges in tests/data/bpe_544_merges.txt: beside these."""
    merges = root.parent.joinpath("bpe_544_merges.txt").read_text().splitlines()
    words = Tokeniser(merges).ids
    words.update({"<|startoftext|>": len(words), "<|endoftext|>": len(words) + 1})
    with tempfile.TemporaryDirectory() as folder:
        BPE(words, [tuple(m.split(" ")) for m in merges], end_of_word_suffix="</w>").save(folder)
        Path(folder, "vocab.json").rename(root.parent / "vocab_544.json")


def main():
    root = Path(sys.argv[1])
    hugging_face(root)
    open_clip_files(root)
    openai(root)
    taming(root)
    vocabulary(root)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            print(path.relative_to(root), path.stat().st_size)


if __name__ == "__main__":
    main()
