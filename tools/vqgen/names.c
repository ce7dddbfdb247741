/* names.c -- the lists, and the distance of two words. */
#include "tools/vqgen/names.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

const char *const names_later_options = "mask|zoom|preview|print-tape";

const char *const names_later_commands = "batch";

#define LATER(name) name ", which is not in this version yet"

/* The words of nerdyrodent's VQGAN-CLIP and of the notebooks. */
static const struct {
  const char *letters, *name, *ours;
} old_names[] = {
    {"-p", "--prompts", "the prompt alone, vqgen \"TEXT\""},
    {"-i", "--iterations", "-n N"},
    {NULL, "--max_iterations", "-n N"},
    {"-se", "--save_every", "--save-every N"},
    {NULL, "--display_freq", "--save-every N"},
    {"-ii", "--init_image", "--init PICTURE"},
    {"-in", "--init_noise", "--init pixels or --init gradient"},
    {NULL, "--perlin_init", "--init perlin"},
    {"-iw", "--init_weight", "--init-weight zero-decay:X"},
    {"-ip", "--image_prompts", "--image-prompt PICTURE"},
    {"-m", "--clip_model", "--clip FILE"},
    {"-conf", "--vqgan_config", "--config YAML"},
    {"-ckpt", "--vqgan_checkpoint", "--vqgan FILE"},
    {"-nps", "--noise_prompt_seeds", "--noise-prompt SEED[:WEIGHT]"},
    {"-npw", "--noise_prompt_weights", "--noise-prompt SEED[:WEIGHT]"},
    {"-lr", "--learning_rate", "--lr X"},
    {NULL, "--step_size", "--lr X"},
    {"-cutm", "--cut_method", "--cut-method NAME"},
    {"-cuts", "--num_cuts", "--cutouts N"},
    {NULL, "--cutn", "--cutouts N"},
    {"-cutp", "--cut_power", "--cut-power X"},
    {NULL, "--cut_pow", "--cut-power X"},
    {"-sd", NULL, "--seed N"},
    {"-opt", "--optimiser", "--optimizer NAME"},
    {"-vid", NULL, "--video FILE"},
    {"-vl", "--video_length", "--fps X"},
    {"-ofps", "--output_video_fps", "--fps X"},
    {"-ifps", "--input_video_fps", "nothing, this version restyles no videos"},
    {"-vsd", "--video_style_dir", "nothing, this version restyles no videos"},
    {"-zvid", "--zoom_video", LATER("--zoom")},
    {"-zs", "--zoom_start", LATER("--zoom")},
    {"-zse", "--zoom_save_every", LATER("--zoom")},
    {"-zsc", "--zoom_scale", LATER("--zoom")},
    {"-zsx", "--zoom_shift_x", LATER("--zoom")},
    {"-zsy", "--zoom_shift_y", LATER("--zoom")},
    {"-cpe", "--change_prompt_every", "--phase-every N"},
    {"-d", "--deterministic", "nothing, the same seed always gives the same picture"},
    {"-aug", "--augments", "--augment LIST"},
    {"-cd", "--cuda_device", "--device NAME"},
};

const char *names_old(const char *option)
{
  for (size_t i = 0; i < sizeof old_names / sizeof *old_names; i++)
    if ((old_names[i].letters && !strcmp(option, old_names[i].letters)) ||
        (old_names[i].name && !strcmp(option, old_names[i].name)))
      return old_names[i].ours;
  return NULL;
}

bool names_listed(const char *list, const char *word)
{
  size_t n = strlen(word);
  for (const char *p = list; p && n && !strchr(word, '|'); p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
    if (strcspn(p, "|") == n && !strncmp(p, word, n))
      return true;
  return false;
}

#define LONGEST 32 /* longer words are compared up to here */

static int least(int a, int b)
{
  return a < b ? a : b;
}

static bool same(char a, char b)
{
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

int names_distance(const char *a, const char *b)
{
  int d[LONGEST + 1][LONGEST + 1];
  int n = least((int)strlen(a), LONGEST), m = least((int)strlen(b), LONGEST);
  for (int i = 0; i <= n; i++)
    for (int j = 0; j <= m; j++) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1);
      d[i][j] = least(d[i][j], d[i - 1][j - 1] + !same(a[i - 1], b[j - 1]));
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
        d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[n][m];
}
