/* sense.c -- options that contradict each other. Each is answered before anything is computed, by a sentence that says why. */
#include "tools/vqgen/request.h"

#include "runtime/fields.h"

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

static vq_status check_start(const request *r)
{
  const vq_settings *s = &r->settings;
  bool file = s->start == VQ_START_FILE;
  if (file && is_url(s->start_file))
    return vq_fail(VQ_ERR_ARGUMENT, "--init %s: nothing is downloaded: save the picture and name the file", s->start_file);
  if (request_given(r, "fit") && !file)
    return vq_fail(VQ_ERR_ARGUMENT, "--fit is how a picture is fitted, and this run begins with none: --init PICTURE");
  if (request_given(r, "fit") && is_latent(s->start_file))
    return vq_fail(VQ_ERR_ARGUMENT, "--fit is how a picture is fitted, and %s is a z, which has the size it has",
                   s->start_file);
  return VQ_OK;
}

static vq_status check_cutouts(const request *r)
{
  const vq_settings *s = &r->settings;
  if (s->cut_method == VQ_CUT_WHOLE && (request_given(r, "cut_size") || request_given(r, "cut_power")))
    return vq_fail(VQ_ERR_ARGUMENT, "--%s says how large crops are, and --cut-method whole crops nothing",
                   request_given(r, "cut_size") ? "cut-size" : "cut-power");
  if (request_given(r, "cut_power") && s->cut_least == s->cut_most)
    return vq_fail(VQ_ERR_ARGUMENT, "--cut-power says how sizes between the smallest and the largest cutout are drawn, and "
                                    "they are the same here: widen --cut-size");
  if (s->cut_method == VQ_CUT_WHOLE && s->cutouts > 1 && !(s->augment && *s->augment))
    return vq_fail(VQ_ERR_ARGUMENT,
                   "%d cutouts would all be the same, the whole picture: make them different by --augment, or take one "
                   "(--cutouts 1)",
                   s->cutouts);
  return VQ_OK;
}

static vq_status check_steps(const request *r)
{
  const vq_settings *s = &r->settings;
  if (s->steps < 0 && s->lr_schedule != VQ_LR_CONSTANT && request_given(r, "lr_schedule"))
    return vq_fail(VQ_ERR_ARGUMENT, "a learning rate that falls until the last step (--lr-schedule) needs one, and an endless "
                                    "run (-n -1) has none");
  if (s->lr == 0 && s->steps != 0 && request_given(r, "lr"))
    return vq_fail(VQ_ERR_ARGUMENT, "with --lr 0 nothing would ever change: -n 0 gives the start's picture");
  return VQ_OK;
}

static vq_status check_moving(const request *r)
{
  const vq_settings *s = &r->settings;
  if (request_given(r, "weight_decay") && s->optimizer != VQ_ADAMW)
    return vq_fail(VQ_ERR_ARGUMENT, "--weight-decay is adamw's, and z is moved by another: add --optimizer adamw");
  if (request_given(r, "z_clamp") && s->latent == VQ_LATENT_LOGITS)
    return vq_fail(VQ_ERR_ARGUMENT, "--z-clamp holds z to the codebook's range, and a run of logits (--latent logits) has no z");
  if (request_given(r, "init_drop") && s->init_drops && s->init_weight == 0)
    return vq_fail(VQ_ERR_ARGUMENT, "--init-drop says how what holds z lets go, and nothing holds it: add --init-weight");
  if (s->init_drops && s->init_weight != 0 && s->init_pull == VQ_PULL_ZERO_DECAY)
    return vq_fail(VQ_ERR_ARGUMENT, "--init-weight zero-decay:X falls by itself, and --init-drop is for those that do not: "
                                    "start:X, zero:X, or --init-drop none");
  return VQ_OK;
}

/* What belongs to an option that is not there. */
static vq_status check_companions(const request *r)
{
  if (r->snapshot_every_given && !r->snapshot)
    return vq_fail(VQ_ERR_ARGUMENT, "--snapshot-every says how often, and no snapshot is asked for: --snapshot FILE");
  if (r->video_every_given && !r->video && !r->frames)
    return vq_fail(VQ_ERR_ARGUMENT, "--video-every is of frames and videos, and none is asked for: --video FILE, --frames DIR");
  if (r->fps > 0 && !r->video)
    return vq_fail(VQ_ERR_ARGUMENT, "--fps is a video's, and none is asked for: --video FILE");
  if (request_given(r, "model_name") && !(r->settings.metadata & (VQ_METADATA_STEGANO | VQ_METADATA_XMP)))
    return vq_fail(VQ_ERR_ARGUMENT, "--model-name is for the notebook's fields, which --metadata leaves out: add stegano or xmp");
  return VQ_OK;
}

vq_status request_check(const request *r)
{
  VQ_TRY(check_start(r));
  VQ_TRY(check_cutouts(r));
  VQ_TRY(check_steps(r));
  VQ_TRY(check_moving(r));
  return check_companions(r);
}
