/* write.c -- a run's settings as JSON in its picture. */
#include "runtime/write.h"

#include "runtime/settings.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *prompts_json(const vq_written_prompt *prompts, int count)
{
  json_t *list = json_array();
  for (int i = 0; i < count; i++)
    /* JSON has no infinity: a prompt without a stop has null. */
    json_array_append_new(list, json_pack("[s,f,o]", prompts[i].text, prompts[i].weight,
                                          isfinite(prompts[i].stop) ? json_real(prompts[i].stop) : json_null()));
  return list;
}

static char *settings_json(const vq_settings *s, int width, int height, const char *vqgan, const char *clip,
                           const vq_written_prompt *prompts, int count, int64_t step)
{
  char schedule[64], seed[32];
  vq_lr_schedule_text(schedule, sizeof schedule, s);
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)s->seed); /* JSON's integers end at 2^63 */
  json_t *o = json_pack(
      "{s:s, s:o, s:[i,i], s:I, s:I, s:s, s:f, s:s, s:i, s:s, s:f, s:[f,f], s:f, s:s, s:s, s:s}", "version",
      VQ_VERSION, "prompts", prompts_json(prompts, count), "size", width, height, "step", (json_int_t)step, "steps",
      (json_int_t)s->steps, "seed", seed, "lr", s->lr, "lr_schedule", schedule, "cutouts", s->cutouts, "cut_method",
      vq_cut_method_name(s->cut_method), "cut_power", s->cut_power, "cut_size", s->cut_least, s->cut_most,
      "tv_weight", s->tv_weight, "init", vq_start_name(s->start), "vqgan", vqgan, "clip", clip);
  char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  return text;
}

vq_status vq_session_write(const char *path, const vq_image *image, const vq_settings *s, const char *vqgan,
                           const char *clip, const vq_written_prompt *prompts, int count, int64_t step)
{
  char *text = settings_json(s, image->width, image->height, vqgan, clip, prompts, count, step);
  if (!text)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a picture's settings");
  const char *pairs[4] = {"Software", "vqgen " VQ_VERSION, "vqgen", text};
  vq_status status = vq_image_write_png(path, image, pairs, 2);
  free(text);
  return status;
}
