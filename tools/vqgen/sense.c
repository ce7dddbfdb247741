/* sense.c -- options that contradict each other. Each is answered before anything is computed, by a sentence that says why. */
#include "tools/vqgen/request.h"

#include "loaders/image.h"
#include "runtime/augment_text.h"

#include <string.h>

static bool is_latent(const char *path)
{
  size_t n = strlen(path), m = strlen(".safetensors");
  return n > m && !strcmp(path + n - m, ".safetensors");
}

static bool is_url(const char *path)
{
  return !strncmp(path, "http://", 7) || !strncmp(path, "https://", 8);
}

static bool starts_from_latent(const vq_settings *s)
{
  return s->start == VQ_START_FILE && is_latent(s->start_file);
}

static bool jpeg(const char *path)
{
  vq_image_format format;
  return path && vq_image_format_of(&format, path) && format == VQ_IMAGE_JPEG;
}

/* ---- what a setting says nothing to ---- */

static const char *moot_fit(const request *r)
{
  const vq_settings *s = &r->settings;
  if (s->start != VQ_START_FILE)
    return "--fit is how a picture is fitted, and this run begins with none: --init PICTURE";
  return starts_from_latent(s) ? "--fit is how a picture is fitted, and this run begins with a z, which has the "
                                 "size it has: --init PICTURE"
                               : NULL;
}

static const char *moot_cut_size(const request *r)
{
  return r->settings.cut_method == VQ_CUT_WHOLE
             ? "--cut-size says how large crops are, and --cut-method whole crops nothing"
             : NULL;
}

static const char *moot_cut_power(const request *r)
{
  if (r->settings.cut_method == VQ_CUT_WHOLE)
    return "--cut-power says how large crops are, and --cut-method whole crops nothing";
  return r->settings.cut_least == r->settings.cut_most
             ? "--cut-power says how sizes between the smallest and the largest cutout are drawn, "
               "and they are the same here: widen --cut-size"
             : NULL;
}

static const char *moot_lr_schedule(const request *r)
{
  return r->settings.steps < 0 && r->settings.lr_schedule != VQ_LR_CONSTANT
             ? "a learning rate that falls until the last step (--lr-schedule) needs one, and an endless run (-n "
               "-1) has none"
             : NULL;
}

static const char *moot_weight_decay(const request *r)
{
  return r->settings.optimizer != VQ_ADAMW
             ? "--weight-decay is adamw's, and z is moved by another: add --optimizer adamw"
             : NULL;
}

static const char *moot_z_clamp(const request *r)
{
  return r->settings.latent == VQ_LATENT_LOGITS
             ? "--z-clamp holds z to the codebook's range, and a run of logits (--latent logits) has no z"
             : NULL;
}

static const char *moot_init_drop(const request *r)
{
  return r->settings.init_drops && r->settings.init_weight == 0
             ? "--init-drop says how what holds z lets go, and nothing holds it: add --init-weight"
             : NULL;
}

static const char *moot_model_name(const request *r)
{
  return !(r->settings.metadata & (VQ_METADATA_STEGANO | VQ_METADATA_XMP))
             ? "--model-name is for the notebook's fields, which --metadata leaves out: add stegano or xmp"
             : NULL;
}

/* A picture that is made again without a name of its own has the ending .png. */
static const char *moot_quality(const request *r)
{
  return !jpeg(r->output) ? "--quality is a JPEG's, and this picture is none, but keeps every pixel: -o NAME.jpg"
                          : NULL;
}

static const struct {
  const char *field;
  const char *(*why)(const request *r);
} moot[] = {
    {"fit", moot_fit},
    {"cut_size", moot_cut_size},
    {"cut_power", moot_cut_power},
    {"lr_schedule", moot_lr_schedule},
    {"weight_decay", moot_weight_decay},
    {"z_clamp", moot_z_clamp},
    {"init_drop", moot_init_drop},
    {"model_name", moot_model_name},
    {"quality", moot_quality},
};

const char *request_moot(const request *r, const char *field)
{
  for (size_t i = 0; i < sizeof moot / sizeof *moot; i++)
    if (!strcmp(moot[i].field, field))
      return moot[i].why(r);
  return NULL;
}

static vq_status check_moot(const request *r)
{
  for (size_t i = 0; i < sizeof moot / sizeof *moot; i++) {
    const char *why = request_given(r, moot[i].field) ? moot[i].why(r) : NULL;
    if (why)
      return vq_fail(VQ_ERR_ARGUMENT, "%s", why);
  }
  return VQ_OK;
}

/* ---- what contradicts something else ---- */

static vq_status check_start(const request *r)
{
  const vq_settings *s = &r->settings;
  if (r->recipe && r->origin.path)
    return vq_fail(
        VQ_ERR_ARGUMENT,
        "--recipe %s says how a run begins, and this one goes by what is in %s: give the options that are "
        "to be others (--recipe %s --explain tells them)",
        r->recipe, r->origin.path, r->recipe);
  if (s->start == VQ_START_FILE && is_url(s->start_file))
    return vq_fail(VQ_ERR_ARGUMENT, "--init %s: nothing is downloaded: save the picture and name the file",
                   s->start_file);
  return VQ_OK;
}

/* Does the list make cutouts different that are the same before? */
static vq_status varies(const char *text, bool *does)
{
  vq_augment list[VQ_MOST_AUGMENTS];
  int count;
  *does = false;
  VQ_TRY(vq_augments_parse(list, &count, text));
  for (int i = 0; i < count; i++)
    *does = *does || (list[i].kind != VQ_AUGMENT_CLAMP && list[i].p > 0);
  return VQ_OK;
}

static vq_status check_cutouts(const request *r)
{
  const vq_settings *s = &r->settings;
  bool different;
  VQ_TRY(varies(s->augment, &different));
  if (s->cut_method == VQ_CUT_WHOLE && s->cutouts > 1 && !different)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "%d cutouts would all be the same, the whole picture: make them different by --augment, or take "
                   "one (--cutouts 1)",
                   s->cutouts);
  return VQ_OK;
}

static vq_status check_moving(const request *r)
{
  const vq_settings *s = &r->settings;
  if (s->lr == 0 && s->steps != 0 && request_given(r, "lr"))
    return vq_fail(VQ_ERR_ARGUMENT, "with --lr 0 nothing would ever change: -n 0 gives the start's picture");
  if (s->init_drops && s->init_weight != 0 && s->init_pull == VQ_PULL_ZERO_DECAY)
    return vq_fail(VQ_ERR_ARGUMENT, "--init-weight zero-decay:X falls by itself, and --init-drop is for those that "
                                    "do not: start:X, zero:X, or --init-drop none");
  return VQ_OK;
}

/* What belongs to an option that is not there. */
static vq_status check_companions(const request *r)
{
  if (r->snapshot_every_given && !r->snapshot)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "--snapshot-every says how often, and no snapshot is asked for: --snapshot FILE");
  if (r->video_every_given && !r->video && !r->frames)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "--video-every is of frames and videos, and none is asked for: --video FILE, --frames DIR");
  if (r->fps > 0 && !r->video)
    return vq_fail(VQ_ERR_ARGUMENT, "--fps is a video's, and none is asked for: --video FILE");
  return VQ_OK;
}

vq_status request_check(const request *r)
{
  VQ_TRY(check_start(r));
  VQ_TRY(check_moot(r));
  VQ_TRY(check_cutouts(r));
  VQ_TRY(check_moving(r));
  return check_companions(r);
}
