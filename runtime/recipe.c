/* recipe.c -- the recipes. Contract: recipe.h. */
#include "runtime/recipe.h"

#include "runtime/fields.h"

#include <string.h>

static const vq_recipe_setting own[] = {{NULL}};

/* What most of them did: Adam on z, which is held to the codebook's range; no average. */
#define ON_Z                                                  \
  {"optimizer", "adam", NULL}, {"latent", "z", "z+quantize"}, \
  {                                                           \
    "ema", "0", NULL                                          \
  }
#define BY_CROPS                                                       \
  {"cutouts", "64", "cutn"}, {"cut_power", "1", "cut_pow"},            \
      {"cut_size", "0:1", "from CLIP's own size to the shorter side"}, \
  {                                                                    \
    "cut_method", "lanczos", "resample: Lanczos-2, then bicubic"       \
  }
#define AT_RANDOM                                           \
  {                                                         \
    "init", "random", "a codebook row drawn for each token" \
  }

static const vq_recipe_setting notebook[] = {
    {"lr", "0.1", "the step size"},
    {"lr_schedule", "constant", NULL},
    ON_Z,
    {"z_clamp", "yes", "z.maximum(z_min).minimum(z_max)"},
    BY_CROPS,
    {"augment",
     "flip:0.5,sharpness:0.4:strength=0.3,affine:0.8:degrees=30:down=0.1:padding=border,"
     "perspective:0.4:strength=0.2,jitter:0.7:saturation=0.01:hue=0.01:colours=old,noise:1:noise=0..0.1",
     "kornia 0.5.4's, in the notebook's order; its translate of 0.1 moves down only"},
    {"tv_weight", "0", NULL},
    {"init_weight", "start:0", "mse(z, z_orig) times init_weight / 2"},
    {"init_drop", "none", NULL},
    AT_RANDOM,
    {"metadata", "text,stegano,xmp", "the notebook's message and fields"},
    {NULL},
};

static const vq_recipe_setting crowson[] = {
    {"lr", "0.05", "the step size"},
    {"lr_schedule", "constant", NULL},
    ON_Z,
    {"z_clamp", "yes", "z.maximum(z_min).minimum(z_max)"},
    BY_CROPS,
    {"augment", "clamp", "clamp_with_grad(0, 1) of the cutouts, after resample's overshoot"},
    {"tv_weight", "0", NULL},
    {"init_weight", "start:0", "mse(z, z_orig) times init_weight / 2"},
    {"init_drop", "none", NULL},
    AT_RANDOM,
    {NULL},
};

static const vq_recipe_setting nerdyrodent[] = {
    {"lr", "0.1", "-lr"},
    {"lr_schedule", "constant", NULL},
    {"optimizer", "adam", "-opt"},
    {"latent", "z", NULL},
    {"z_clamp", "yes", NULL},
    {"ema", "0", NULL},
    {"cutouts", "32", "-cuts"},
    {"cut_method", "whole", "-cutm latest: the whole picture, (mean + largest) / 2, for every cutout"},
    {"augment",
     "affine:0.7:degrees=15:down=0.1:shear=5:padding=zeros,perspective:0.7:strength=0.7,"
     "jitter:0.7:brightness=0.1:contrast=0.1:saturation=0.1:hue=0.1:colours=old,"
     "erase:0.7:area=0.1..0.4:ratio=0.3..3.3333333333333335:together=yes,noise:1:noise=0..0.1",
     "-aug Af Pe Ji Er"},
    {"tv_weight", "0", NULL},
    {"init_weight", "zero-decay:0", "-iw"},
    {"init_drop", "none", NULL},
    AT_RANDOM,
    {NULL},
};

static const vq_recipe_setting mse[] = {
    {"lr", "0.95", "step_size"},
    {"lr_schedule", "constant", NULL},
    ON_Z,
    {"z_clamp", "no", "z may go where it will: the weight of its square holds it at first"},
    BY_CROPS,
    {"augment",
     "flip:0.5,affine:0.8:degrees=30:down=0.1:padding=border,perspective:0.4:strength=0.2,"
     "jitter:0.7:saturation=0.01:hue=0.01:colours=old,noise:1:noise=0..0.1,clamp",
     "augs, noise_fac, clamp_with_grad(0, 1)"},
    {"tv_weight", "0", NULL},
    {"init_weight", "zero:1.5", "mse_withzeros; with a starting picture the notebook pulled to that, start:1.5"},
    {"init_drop", "50:5",
     "mse_decay_rate, mse_epoches; Adam is made anew at each. By its roundings the notebook's weight was 0 after "
     "the fourth"},
    AT_RANDOM,
    {NULL},
};

static const vq_recipe_setting codebook[] = {
    {"lr", "0.05", "step_size"},
    {"lr_schedule", "constant", NULL},
    {"optimizer", "adamw", NULL},
    {"weight_decay", "0", "weight_decay"},
    {"latent", "logits",
     "of every code at every token; each step draws codes by them, pictures show the likeliest"},
    {"ema", "0", NULL},
    BY_CROPS,
    {"augment", "clamp", "clamp_with_grad(0, 1) of the cutouts, after resample's overshoot"},
    {"tv_weight", "0", NULL},
    {"init_weight", "start:0", "there is no z to hold"},
    {"init_drop", "none", NULL},
    {"init", "random", "torch.randn"},
    {NULL},
};

static const vq_recipe recipes[] = {
    {"own", "the networks' own defaults, as without a recipe", 1, own},
    {"notebook", "the VQGAN+CLIP notebook of 2021, with its augmentations", 1, notebook},
    {"crowson", "Katherine Crowson's first notebook: z+quantize, crops alone", 1, crowson},
    {"nerdyrodent", "nerdyrodent's VQGAN-CLIP: the whole picture, pooled and augmented", 1, nerdyrodent},
    {"mse", "the notebook with MSE regularisation: z is pulled to 0 at first, then free, in great steps", 1, mse},
    {"codebook", "Katherine Crowson's codebook sampling: logits of the codes are moved, and codes drawn", 1,
     codebook},
};
#define RECIPES (int)(sizeof recipes / sizeof *recipes)

const vq_recipe *vq_recipes(int *count)
{
  *count = RECIPES;
  return recipes;
}

vq_status vq_recipe_find(const vq_recipe **out, const char *name)
{
  for (int i = 0; i < RECIPES; i++)
    if (!strcmp(recipes[i].name, name)) {
      *out = &recipes[i];
      return VQ_OK;
    }
  return vq_fail(VQ_ERR_ARGUMENT,
                 "\"%s\" is no recipe: there are own, notebook, crowson, nerdyrodent, mse and codebook", name);
}

vq_status vq_recipe_apply(const vq_recipe *recipe, vq_settings *s)
{
  for (const vq_recipe_setting *r = recipe->setting; r->field; r++)
    VQ_TRY(
        vq_fail_in(vq_field_read(vq_field_find(r->field), s, r->value), "recipe %s: %s", recipe->name, r->field));
  return VQ_OK;
}
