/* session_files.c -- what a session writes, pictures and snapshots, and how a snapshot is taken up again. */
#include "runtime/session.h"

#include "loaders/image.h"
#include "loaders/safetensors.h"
#include "runtime/fields.h"
#include "runtime/notebook.h"
#include "runtime/number.h"
#include "runtime/snapshot.h"
#include "runtime/stegano.h"

#include <stdlib.h>
#include <string.h>

/* ---- the record ---- */

/* The settings, with the picture's own size. */
static vq_settings settings_of(const vq_session *s)
{
  vq_settings settings = s->settings;
  vq_session_size(s, &settings.width, &settings.height);
  return settings;
}

/* How the z after `step` updates was made, as JSON; the caller frees it. */
static vq_status describe(vq_session *s, int64_t step, char **text)
{
  vq_settings settings = settings_of(s);
  vq_record_parts parts = {&settings, s->prompt, s->prompts, &s->files, step};
  return vq_record_write(text, &parts);
}

/* ---- pictures ---- */

/* The texts as they may be typed, joined by " | "; the caller frees it. *out NULL: there are none. */
static vq_status join_prompts(const vq_session *s, char **out)
{
  size_t bytes = 0;
  *out = NULL;
  for (int i = 0; i < s->prompts; i++)
    bytes += s->prompt[i].kind == VQ_PROMPT_TEXT ? strlen(s->prompt[i].text) + 3 + 2 * 40 : 0;
  char *title = bytes ? malloc(bytes + 1) : NULL;
  if (bytes && !title)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a title");
  size_t used = 0;
  for (int i = 0; i < s->prompts; i++) {
    const vq_prompt *p = &s->prompt[i];
    char weight[40], stop[40];
    bool stops = isfinite(p->stop);
    if (p->kind != VQ_PROMPT_TEXT)
      continue;
    vq_number_write(weight, sizeof weight, p->weight);
    vq_number_write(stop, sizeof stop, stops ? p->stop : 0);
    used += (size_t)snprintf(title + used, bytes + 1 - used, "%s%s", used ? " | " : "", p->text);
    if (stops || strcmp(weight, "1"))
      used +=
          (size_t)snprintf(title + used, bytes + 1 - used, ":%s%s%s", weight, stops ? ":" : "", stops ? stop : "");
  }
  *out = title;
  return VQ_OK;
}

/* The notebook's fields; its title is the caller's to free. */
static vq_status notebook_fields(const vq_session *s, int64_t step, vq_notebook_fields *f, char **title)
{
  const vq_settings *set = &s->settings;
  VQ_TRY(join_prompts(s, title));
  *f = (vq_notebook_fields){
      .title = *title,
      .i = step,
      .model = set->model_name ? set->model_name
               : s->model      ? s->model
                               : "", /* nobody reads it where it is "" */
      .seed = set->seed,
      .input_images = set->start == VQ_START_FILE,
  };
  for (int i = 0; i < s->prompts; i++)
    f->input_images = f->input_images || s->prompt[i].kind == VQ_PROMPT_IMAGE;
  return VQ_OK;
}

vq_status vq_session_check_metadata(const vq_session *s)
{
  vq_notebook_fields f;
  char *title, *message;
  int width, height;
  if (!(s->settings.metadata & VQ_METADATA_STEGANO))
    return VQ_OK;
  vq_session_size(s, &width, &height);
  VQ_TRY(notebook_fields(s, s->settings.steps < 0 ? INT32_MAX : s->settings.steps, &f,
                         &title)); /* the longest number */
  message = vq_notebook_message(&f);
  vq_status status = message ? vq_stegano_check(strlen(message), width, height)
                             : vq_fail(VQ_ERR_MEMORY, "no memory for a message");
  free(message);
  free(title);
  return status;
}

static vq_status no_memory(void)
{
  return vq_fail(VQ_ERR_MEMORY, "no memory for a picture's settings");
}

static vq_status write_with(vq_session *s, const char *path, vq_image *image, const vq_notebook_fields *f,
                            const char *record)
{
  unsigned what = s->settings.metadata;
  vq_image_format format = VQ_IMAGE_PNG;
  vq_image_format_of(&format, path);
  const char *pairs[] = {"Software", "vqgen " VQ_VERSION, "vqgen", record};
  bool inside = record && format != VQ_IMAGE_PNG; /* of the packet */
  vq_image_extras extras = {pairs, record ? 2 : 1, NULL, s->settings.quality};
  char *message = what & VQ_METADATA_STEGANO && format != VQ_IMAGE_JPEG ? vq_notebook_message(f) : NULL;
  char *packet = what & VQ_METADATA_XMP || inside
                     ? vq_notebook_xmp(what & VQ_METADATA_XMP ? f : NULL, inside ? record : NULL)
                     : NULL;
  extras.xmp = packet;
  vq_status status = VQ_OK;
  if ((what & VQ_METADATA_STEGANO && format != VQ_IMAGE_JPEG && !message) || (what & VQ_METADATA_XMP && !packet))
    status = no_memory();
  if (!status && message)
    status = vq_stegano_hide(image, message);
  if (!status)
    status = vq_image_write(path, format, image, &extras);
  free(message);
  free(packet);
  return status;
}

/* Writes a picture of the z after `step` updates; hidden bits change it. */
static vq_status write_picture(vq_session *s, const char *path, vq_image *image, int64_t step)
{
  vq_notebook_fields f;
  char *title = NULL, *record = NULL;
  vq_status status = notebook_fields(s, step, &f, &title);
  if (!status && s->settings.metadata & VQ_METADATA_TEXT)
    status = describe(s, step, &record);
  if (!status)
    status = write_with(s, path, image, &f, record);
  free(record);
  free(title);
  return status;
}

vq_status vq_session_save(vq_session *s, const char *path)
{
  vq_image image;
  int width, height;
  vq_session_size(s, &width, &height);
  VQ_TRY(vq_image_create(&image, width, height));
  vq_status status = vq_session_picture(s, image.rgb);
  if (!status)
    status = write_picture(s, path, &image, s->step);
  vq_image_free(&image);
  return status;
}

vq_status vq_session_save_picture(vq_session *s, const char *path, uint8_t *rgb, int64_t step)
{
  vq_image image = {.rgb = rgb};
  vq_session_size(s, &image.width, &image.height);
  return write_picture(s, path, &image, step);
}

/* ---- snapshots ---- */

static vq_status make_snapshot(vq_session *s, vq_snapshot *snapshot)
{
  *snapshot = (vq_snapshot){.h = s->h,
                            .w = s->w,
                            .channels = vq_engine_channels(s->engine),
                            .logits = s->settings.latent == VQ_LATENT_LOGITS,
                            .past = s->settings.optimizer == VQ_DIFFGRAD,
                            .average = s->settings.ema > 0};
  VQ_TRY(vq_snapshot_create(snapshot));
  VQ_TRY(describe(s, s->step, &snapshot->record));
  snapshot->step = s->step;
  return vq_engine_get_state(s->engine, &snapshot->state);
}

vq_status vq_session_snapshot(vq_session *s, const char *path, const char *note)
{
  vq_snapshot snapshot = {.h = 0};
  if (!s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "the session has not started");
  vq_status status = make_snapshot(s, &snapshot);
  if (!status)
    status = vq_snapshot_write(path, &snapshot, note);
  vq_snapshot_free(&snapshot);
  return status;
}

static vq_status same_prompts(const vq_session *s, const vq_run_record *r)
{
  bool same = vq_record_prompts(r) == s->prompts;
  for (int i = 0; same && i < s->prompts; i++) {
    vq_prompt p = vq_record_prompt_at(r, i);
    const vq_prompt *q = &s->prompt[i];
    vq_identity file;
    same = p.kind == q->kind && p.phase == q->phase && !memcmp(&p.weight, &q->weight, sizeof p.weight) &&
           !memcmp(&p.stop, &q->stop, sizeof p.stop);
    same = same && (vq_record_prompt_file(r, i, &file) ? vq_identity_same(&file, &s->files.picture[i])
                                                       : !strcmp(p.text, q->text));
  }
  return same ? VQ_OK : vq_fail(VQ_ERR_ARGUMENT, "the snapshot is of a run with other prompts");
}

static vq_status same_networks(vq_session *s, const vq_run_record *r)
{
  for (int i = 0; i < 2; i++) {
    vq_record_network its;
    vq_record_network_at(r, (vq_network_kind)i, &its);
    if (!vq_record_network_same(&its, &s->files.network[i]))
      return vq_fail(VQ_ERR_ARGUMENT, "the snapshot is of a run with another %s, %s: give that one",
                     i == VQ_NETWORK_CLIP ? "CLIP" : "VQGAN", its.name);
  }
  return VQ_OK;
}

/* Everything but the number of steps. */
static vq_status same_settings(const vq_session *s, const vq_run_record *r)
{
  vq_settings its, ours = settings_of(s);
  int count, files = 0;
  const vq_field *field = vq_fields(&count);
  vq_settings_init(&its);
  VQ_TRY(vq_record_settings(r, &its));
  for (int i = 0; i < count; i++) {
    const vq_field *f = &field[i];
    char a[VQ_FIELD_BYTES], b[VQ_FIELD_BYTES];
    const char *path = f->file ? f->file(&ours) : NULL, *name;
    vq_identity its_file;
    vq_field_write(f, &its, a, sizeof a);
    vq_field_write(f, &ours, b, sizeof b);
    bool same = !strcmp(a, b) || !strcmp(f->name, "steps");
    if (path && f->file(&its)) { /* wherever it lies now */
      same = vq_record_file(r, files, &name, &its_file) && vq_identity_same(&its_file, &s->files.file[files]);
      files++;
    }
    if (!same)
      return vq_fail(VQ_ERR_ARGUMENT, "the snapshot is of another run: %s was %s there and is %s here", f->title, a,
                     b);
  }
  return VQ_OK;
}

static vq_status take_up(vq_session *s, const vq_snapshot *snapshot)
{
  vq_run_record *record;
  VQ_TRY(vq_record_read(&record, snapshot->record));
  vq_status status = same_settings(s, record);
  if (!status)
    status = same_networks(s, record);
  if (!status)
    status = same_prompts(s, record);
  vq_record_free(record);
  VQ_TRY(status);
  if (snapshot->h != s->h || snapshot->w != s->w || snapshot->channels != vq_engine_channels(s->engine) ||
      snapshot->logits != (s->settings.latent == VQ_LATENT_LOGITS) ||
      snapshot->past != (s->settings.optimizer == VQ_DIFFGRAD) || snapshot->average != (s->settings.ema > 0))
    return vq_fail(VQ_ERR_FORMAT, "its arrays are not those of its settings");
  s->step = snapshot->step;
  return vq_engine_set_state(s->engine, &snapshot->state);
}

vq_status vq_session_restore(vq_session *s, const char *path)
{
  vq_snapshot snapshot;
  if (!s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "the session has not started");
  VQ_TRY(vq_snapshot_read(&snapshot, path));
  vq_status status = vq_fail_in(take_up(s, &snapshot), "%s", path);
  vq_snapshot_free(&snapshot);
  return status;
}
