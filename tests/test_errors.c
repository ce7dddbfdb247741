/* test_errors.c -- every code of base/status.h, brought about from outside: a wrong file, setting, prompt, tensor. Each
 * case must fail with its code and a message that names the thing. All leave nothing behind, as LeakSanitizer sees.
 */
#include "tests/scratch.h"

#include "kernels/ops.h"
#include "loaders/image.h"
#include "loaders/safetensors.h"
#include "runtime/perceive.h"
#include "runtime/prompt.h"
#include "runtime/fields.h"
#include "vqgen.h"

#include <criterion/parameterized.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/stat.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define FOLDER VQ_SOURCE_ROOT "/tests/data/reference/"
#define VQGAN  FOLDER "vqgan_tiny.safetensors"
#define CLIP   FOLDER "clip_tinyA.safetensors"

/* ---- files that are not what they should be ---- */

static const char *file_of(const char *name, const void *data, size_t bytes)
{
  const char *path = in_scratch(name);
  put_file(path, data, bytes);
  return path;
}

#define FILE_OF(name, text) file_of(name, text, sizeof text - 1)

/* The first `part` of the file. */
static const char *truncated(const char *of, double part)
{
  size_t bytes;
  uint8_t *data = get_file(of, &bytes);
  const char *path = file_of("truncated.safetensors", data, (size_t)((double)bytes * part));
  free(data);
  return path;
}

typedef struct edit {
  const char *drop[3];     /* tensors that are left out */
  const char *turn;        /* one whose first two dims are exchanged */
  const char *poison;      /* one, of F32, whose first value becomes a NaN */
  const char *key, *value; /* metadata that is replaced or, if value is NULL, left out */
} edit;

static bool dropped(const edit *e, const char *name)
{
  for (int i = 0; i < 3; i++)
    if (e->drop[i] && !strcmp(e->drop[i], name))
      return true;
  return false;
}

/* A copy of the network with these changes. */
static const char *edited(const char *of, const char *name, const edit *e)
{
  vq_safetensors *file;
  vq_file_tensor tensors[512];
  const char *pairs[32];
  int count = 0, found = 0, kept = 0;
  float *poisoned = NULL;
  cr_assert(!vq_safetensors_open(&file, of), "%s", vq_error_message());
  for (int i = 0; i < vq_safetensors_count(file); i++) {
    vq_file_tensor *t = &tensors[count];
    *t = *vq_safetensors_at(file, i);
    if (dropped(e, t->name))
      continue;
    if (e->turn && !strcmp(t->name, e->turn)) {
      int64_t rows = t->dim[0];
      t->dim[0] = t->dim[1];
      t->dim[1] = rows;
    }
    if (e->poison && !strcmp(t->name, e->poison)) {
      poisoned = malloc(t->bytes);
      memcpy(poisoned, t->data, t->bytes);
      poisoned[0] = NAN;
      t->data = poisoned;
    }
    count++;
  }
  const char *const *all = vq_safetensors_metadata_pairs(file, &found);
  for (int i = 0; i < found; i++) {
    bool hit = e->key && !strcmp(all[2 * i], e->key);
    if (hit && !e->value)
      continue;
    pairs[2 * kept] = all[2 * i];
    pairs[2 * kept++ + 1] = hit ? e->value : all[2 * i + 1];
  }
  const char *path = in_scratch(name);
  cr_assert(!vq_safetensors_write(path, tensors, count, pairs, kept), "%s", vq_error_message());
  vq_safetensors_close(file);
  free(poisoned);
  return path;
}

/* A copy whose config has no such key. */
static const char *without_setting(const char *of, const char *key)
{
  vq_safetensors *file;
  cr_assert(!vq_safetensors_open(&file, of), "%s", vq_error_message());
  json_t *config = json_loads(vq_safetensors_metadata(file, "config"), 0, NULL);
  cr_assert(config && !json_object_del(config, key));
  char *text = json_dumps(config, 0);
  json_decref(config);
  vq_safetensors_close(file);
  const char *path = edited(of, "incomplete.safetensors", &(edit){.key = "config", .value = text});
  free(text);
  return path;
}

static const char *picture(void)
{
  vq_image image;
  const char *path = in_scratch("start.png");
  cr_assert(!vq_image_create(&image, 40, 32));
  memset(image.rgb, 90, 40 * 32 * 3);
  cr_assert(!vq_image_write_png(path, &image, NULL, 0), "%s", vq_error_message());
  vq_image_free(&image);
  return path;
}

static const char *latent(int channels, int h, int w)
{
  vq_latent z = {channels, h, w, calloc((size_t)(channels * h * w), sizeof(vq_real)), NULL};
  const char *path = in_scratch("z.safetensors");
  cr_assert(!vq_latent_write(path, &z), "%s", vq_error_message());
  vq_latent_free(&z);
  return path;
}

/* ---- runs ---- */

static vq_settings tiny(void)
{
  vq_settings s;
  vq_settings_init(&s);
  s.vqgan = VQGAN;
  s.clip = CLIP;
  s.width = s.height = 32;
  s.cutouts = 3;
  s.threads = 1;
  return s;
}

/* Create, prompt, start, one step: the first error. */
static vq_status run(const vq_settings *s, const char *prompt)
{
  vq_session *session = (vq_session *)&scratch;
  vq_step_report report;
  vq_status status = vq_session_create(&session, s);
  cr_expect(status || session);
  if (status) {
    cr_expect(!session, "a failed creation leaves a session");
    return status;
  }
  if (prompt)
    status = vq_session_prompt(session, prompt, 1, VQ_NO_STOP);
  if (!status)
    status = vq_session_start(session);
  if (!status)
    status = vq_session_step(session, &report);
  vq_session_free(session);
  return status;
}

static vq_status with_vqgan(const char *path)
{
  vq_settings s = tiny();
  s.vqgan = path;
  return run(&s, "a");
}

static vq_status with_clip(const char *path)
{
  vq_settings s = tiny();
  s.clip = path;
  return run(&s, "a");
}

static vq_status with_start(const char *path)
{
  vq_settings s = tiny();
  s.start = VQ_START_FILE;
  s.start_file = path;
  return run(&s, "a");
}

static vq_status with_size(int width, int height)
{
  vq_settings s = tiny();
  s.width = width;
  s.height = height;
  return run(&s, "a");
}

static vq_status with_prompt(const char *text, bool strict)
{
  vq_settings s = tiny();
  s.strict = strict;
  return run(&s, text);
}

/* ---- the cases ---- */

#define ASK(name, ...)        \
  static vq_status name(void) \
  {                           \
    return __VA_ARGS__;       \
  }

/* A run with these changes of the settings s. */
#define RUN_WITH(name, ...)   \
  static vq_status name(void) \
  {                           \
    vq_settings s = tiny();   \
    __VA_ARGS__;              \
    return run(&s, "a");      \
  }

/* What must go well. */

ASK(good_run, with_prompt("a good run", true))
ASK(good_start, with_start(picture()))
ASK(good_latent, with_start(latent(16, 16, 16)))
RUN_WITH(good_pair, s.vqgan = VQ_SOURCE_ROOT "/weights/vqgan.safetensors", s.force = true)

/* Files. */

ASK(vqgan_missing, with_vqgan(in_scratch("nowhere.safetensors")))
ASK(clip_missing, with_clip(in_scratch("nowhere.safetensors")))
ASK(vqgan_folder, with_vqgan(scratch))
ASK(start_missing, with_start(in_scratch("nowhere.png")))
ASK(vqgan_empty, with_vqgan(file_of("empty.safetensors", "", 0)))
ASK(vqgan_half, with_vqgan(truncated(VQGAN, 0.5)))
ASK(clip_header, with_clip(truncated(CLIP, 0.003)))
ASK(vqgan_few_bytes, with_vqgan(FILE_OF("five.safetensors", "12345")))
ASK(vqgan_text, with_vqgan(FILE_OF("notes.safetensors", "Dear all,\nthese are no weights.\n")))
ASK(vqgan_png, with_vqgan(picture()))
ASK(vqgan_pt, with_vqgan(FILE_OF("model.pt", "PK\3\4\0\0\10\10\0\0archive/data.pkl")))
ASK(clip_html, with_clip(FILE_OF("clip.safetensors", "<!DOCTYPE html>\n<html><body>404</body></html>")))
ASK(clip_lfs,
    with_clip(FILE_OF("clip.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")))
ASK(start_text, with_start(FILE_OF("start.png", "this is no picture\n")))

static vq_status start_half(void)
{
  size_t bytes;
  uint8_t *data = get_file(picture(), &bytes);
  const char *path = file_of("half.png", data, bytes / 2);
  free(data);
  return with_start(path);
}

ASK(start_network, with_start(VQGAN))

/* Networks. */

ASK(clip_as_vqgan, with_vqgan(CLIP))
ASK(vqgan_as_clip, with_clip(VQGAN))
ASK(tensors_missing, with_vqgan(edited(VQGAN, "lacking.safetensors",
                                       &(edit){.drop = {"decoder.conv_in.bias", "decoder.mid.block_1.norm1.weight",
                                                        "quantize.embedding.weight"}})))
ASK(clip_tensors_missing,
    with_clip(edited(CLIP, "lacking.safetensors", &(edit){.drop = {"visual.proj", "visual.ln_post.bias"}})))
ASK(text_tensors_missing,
    with_clip(edited(CLIP, "lacking.safetensors", &(edit){.drop = {"text_projection", "ln_final.bias"}})))
ASK(tensor_turned, with_vqgan(edited(VQGAN, "turned.safetensors", &(edit){.turn = "quantize.embedding.weight"})))
ASK(vqgan_setting_missing, with_vqgan(without_setting(VQGAN, "n_embed")))
ASK(clip_setting_missing, with_clip(without_setting(CLIP, "vision_heads")))
ASK(config_missing, with_vqgan(edited(VQGAN, "bare.safetensors", &(edit){.key = "config"})))
ASK(kind_wrong, with_clip(edited(CLIP, "bare.safetensors", &(edit){.key = "kind", .value = "vqgan"})))
ASK(merges_missing, with_clip(edited(CLIP, "mute.safetensors", &(edit){.key = "merges"})))

static vq_status config_not_json(void)
{
  return with_vqgan(edited(VQGAN, "odd.safetensors", &(edit){.key = "config", .value = "{\"ch\": 32,"}));
}

ASK(config_absurd,
    with_clip(edited(
        CLIP, "odd.safetensors",
        &(edit){
            .key = "config",
            .value = "{\"embed_dim\": 0, \"image_resolution\": 32, \"vision_layers\": 2, \"vision_width\": 64, "
                     "\"vision_patch_size\": 8, \"vision_heads\": 0, \"context_length\": 77, \"vocab_size\": 544, "
                     "\"transformer_width\": 64, \"transformer_heads\": 1, \"transformer_layers\": 1, "
                     "\"activation\": \"quick_gelu\"}"})))

static vq_status default_unknown(void)
{
  vq_settings s = tiny();
  const char *path = edited(VQ_SOURCE_ROOT "/weights/vqgan.safetensors", "odd.safetensors",
                            &(edit){.key = "defaults", .value = "{\"colour\": 3}"});
  s.vqgan = path;
  return vq_settings_load(&s);
}

RUN_WITH(pair_mixed, s.clip = VQ_SOURCE_ROOT "/weights/clip.safetensors")

/* Prompts. */

static const char long_prompt[] =
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty, and so on and so on and so on";
ASK(prompt_long, with_prompt(long_prompt, true))
ASK(prompt_empty, with_prompt("", false))
ASK(prompt_blank, with_prompt(" \t\n", false))
ASK(prompt_latin1, with_prompt("caf\xe9 au lait", false))
ASK(prompt_none, with_prompt(NULL, false))

static vq_status prompt_argument(void)
{
  vq_prompt *prompts;
  int count;
  return vq_prompts_parse(&prompts, &count, "a fox | :2");
}

/* Settings. */

ASK(size_zero, with_size(0, 32))
ASK(size_negative, with_size(32, -5))
ASK(size_below_a_token, with_size(32, 1))
RUN_WITH(cutouts_none, s.cutouts = 0)
RUN_WITH(lr_nan, s.lr = NAN)
RUN_WITH(threads_negative, s.threads = -2)
ASK(start_unnamed, with_start(NULL))
ASK(latent_of_another_shape, with_start(latent(16, 8, 16)))

static vq_status vqgan_alone(void)
{
  vq_settings s = tiny();
  s.clip = NULL;
  return vq_settings_load(&s);
}

RUN_WITH(nothing_named, s.vqgan = s.clip = NULL)

static vq_status schedule_unknown(void)
{
  vq_settings s;
  vq_settings_init(&s);
  return vq_field_read(vq_field_find("lr_schedule"), &s, "steep");
}

/* What a session is asked in the wrong order. */
static vq_status out_of_order(int what)
{
  vq_settings s = tiny();
  vq_session *session;
  vq_step_report report;
  uint8_t rgb[32 * 32 * 3];
  VQ_TRY(vq_session_create(&session, &s));
  vq_status status = VQ_OK;
  if (what >= 3)
    status = vq_session_prompt(session, "a", 1, VQ_NO_STOP);
  if (what >= 4 && !status)
    status = vq_session_start(session);
  if (!status)
    status = what == 0   ? vq_session_step(session, &report)
             : what == 1 ? vq_session_picture(session, rgb)
             : what == 2 ? vq_session_save(session, in_scratch("early.png"))
             : what == 3 ? vq_session_prompt(session, "b", NAN, VQ_NO_STOP)
             : what == 4 ? vq_session_prompt(session, "b", 1, VQ_NO_STOP)
                         : vq_session_start(session);
  vq_session_free(session);
  return status;
}

ASK(step_before_start, out_of_order(0))
ASK(picture_before_start, out_of_order(1))
ASK(save_before_start, out_of_order(2))
ASK(weight_nan, out_of_order(3))
ASK(prompt_after_start, out_of_order(4))
ASK(start_twice, out_of_order(5))

/* The most memory this process has ever held, in KiB. */
static long most_memory(void)
{
  struct rusage used;
  return getrusage(RUSAGE_SELF, &used) ? 0 : used.ru_maxrss;
}

/* A picture of 4 gigapixels: refused by the plan, and nothing of it has been allocated, nor even asked of the system. */
static vq_status size_huge(void)
{
  with_size(32, 32);
  long before = most_memory();
#ifndef __SANITIZE_ADDRESS__ /* which takes more addresses than this for itself */
  const struct rlimit few = {(rlim_t)8 << 30, (rlim_t)8 << 30};
  cr_assert(!setrlimit(RLIMIT_AS, &few));
#endif
  vq_status status = with_size(65536, 65536);
  long grown = most_memory() - before;
  cr_expect(before && grown < 64 << 10, "a refused picture took %ld KiB", grown);
  return status;
}

/* Saves a good run's picture where it cannot be; nothing is read-only for root, so as somebody else if it is root. */
static vq_status save_to(const char *path)
{
  vq_settings s = tiny();
  vq_session *session;
  VQ_TRY(vq_session_create(&session, &s));
  vq_status status = vq_session_prompt(session, "a", 1, VQ_NO_STOP);
  if (!status)
    status = vq_session_start(session);
  bool all_powerful = geteuid() == 0;
  if (all_powerful)
    cr_assert(!seteuid(65534), "cannot become another user");
  if (!status)
    status = vq_session_save(session, path);
  if (all_powerful)
    cr_assert(!seteuid(0));
  vq_session_free(session);
  return status;
}

ASK(folder_missing, save_to(in_scratch("nofolder/out.png")))
ASK(output_is_folder, save_to(scratch))
ASK(output_is_device, save_to("/dev/null"))

static vq_status folder_read_only(void)
{
  const char *folder = in_scratch("locked");
  cr_assert(!mkdir(folder, 0555) && !chmod(scratch, 0755));
  return save_to(in_scratch("locked/out.png"));
}

/* z is what it was before the step that failed, and is still saved. */
static vq_status step_with_nan(const char *tensor, bool trap)
{
  static uint8_t before[32 * 32 * 3], after[32 * 32 * 3];
  vq_settings s = tiny();
  vq_session *session;
  vq_step_report report;
  vq_image saved;
  char message[4096];
  s.clip = edited(CLIP, "spoilt.safetensors", &(edit){.poison = tensor});
  s.trap = trap;
  expect_ok(vq_session_create(&session, &s));
  expect_ok(vq_session_prompt(session, "a", 1, VQ_NO_STOP));
  expect_ok(vq_session_start(session));
  expect_ok(vq_session_picture(session, before));
  vq_status status = vq_session_step(session, &report);
  snprintf(message, sizeof message, "%s", vq_error_message());
  expect_ok(vq_session_picture(session, after));
  expect_ok(vq_session_save(session, in_scratch("rescued.png")));
  expect_ok(vq_image_read(&saved, in_scratch("rescued.png")));
  cr_expect(!memcmp(before, after, sizeof before) && !memcmp(before, saved.rgb, sizeof before), "z has changed");
  vq_image_free(&saved);
  vq_session_free(session);
  return vq_fail(status, "%s", message);
}

ASK(nan_in_clip, step_with_nan("visual.ln_post.weight", false))
ASK(nan_trapped, step_with_nan("visual.ln_post.weight", true))
ASK(nan_trapped_early, step_with_nan("visual.transformer.resblocks.0.attn.in_proj_weight", true))

static vq_status start_gif(void)
{
  return with_start(FILE_OF("start.gif", "GIF89a\1\0\1\0\0\0\0;"));
}

/* One op on a tape of its own. */
static vq_status on_tape(vq_tensor *(*op)(vq_tape *t))
{
  vq_device *device;
  vq_tape *tape;
  expect_ok(vq_cpu_create(&device, 1));
  expect_ok(vq_device_reserve(device, 1 << 16));
  expect_ok(vq_tape_create(&tape, device));
  op(tape);
  vq_status status = vq_tape_status(tape);
  vq_tape_free(tape);
  vq_device_free(device);
  return status;
}

static vq_tensor *trained(vq_tape *t, int64_t rows, int64_t columns)
{
  static const vq_real zeros[64];
  vq_shape s = vq_shape_make(VQ_REAL, 2, (int64_t[]){rows, columns});
  return vq_leaf(t, &s, zeros, true);
}

static vq_tensor *linear(vq_tape *t)
{
  return vq_linear(t, trained(t, 4, 3), trained(t, 2, 5), NULL, NULL);
}

static vq_tensor *quantise(vq_tape *t)
{
  vq_shape ids = vq_shape_make(VQ_I32, 1, (int64_t[]){4});
  return vq_quantise(t, trained(t, 4, 3), trained(t, 4, 3), vq_leaf(t, &ids, NULL, false));
}

ASK(shapes, on_tape(linear))
ASK(gradient, on_tape(quantise))

/* A backend's own failure comes through the device unchanged. */
static vq_status lost(vq_device *device, void **out, size_t bytes)
{
  (void)device;
  *out = NULL;
  return vq_fail(VQ_ERR_DEVICE, "device number 0 does not answer: %zu bytes were asked for", bytes);
}

static vq_status device_lost(void)
{
  static vq_backend broken;
  vq_device *device;
  broken = vq_cpu_backend;
  broken.alloc = lost;
  expect_ok(vq_cpu_create(&device, 1));
  device->backend = &broken;
  vq_status status = vq_device_reserve(device, 1000);
  void *memory;
  vq_status again = vq_weights_take(device, 1000, &memory);
  cr_expect(again == VQ_ERR_DEVICE && !memory && !device->pool);
  vq_device_free(device);
  return status;
}

/* Code, function, what its message must name. */
static const struct error_case {
  vq_status code;
  const char *name;
  vq_status (*call)(void);
  const char *words[4];
} cases[] = {
#define CASE(code, call, ...) \
  {                           \
    code, #call, call,        \
    {                         \
      __VA_ARGS__             \
    }                         \
  }
    CASE(VQ_OK, good_run, NULL),
    CASE(VQ_OK, good_start, NULL),
    CASE(VQ_OK, good_latent, NULL),
    CASE(VQ_OK, good_pair, NULL),
    CASE(VQ_ERR_FILE, vqgan_missing, "nowhere.safetensors"),
    CASE(VQ_ERR_FILE, clip_missing, "nowhere.safetensors"),
    CASE(VQ_ERR_FILE, vqgan_folder, "vqgen-test-", "folder"),
    CASE(VQ_ERR_FILE, start_missing, "nowhere.png"),
    CASE(VQ_ERR_FORMAT, vqgan_empty, "empty.safetensors", "empty"),
    CASE(VQ_ERR_FORMAT, vqgan_half, "truncated.safetensors"),
    CASE(VQ_ERR_FORMAT, clip_header, "truncated.safetensors"),
    CASE(VQ_ERR_FORMAT, vqgan_few_bytes, "five.safetensors"),
    CASE(VQ_ERR_FORMAT, vqgan_text, "notes.safetensors", "not a checkpoint"),
    CASE(VQ_ERR_FORMAT, vqgan_png, "start.png", "PNG"),
    CASE(VQ_ERR_FORMAT, vqgan_pt, "model.pt", "truncated"),
    CASE(VQ_ERR_FORMAT, clip_html, "clip.safetensors", "web page", "download"),
    CASE(VQ_ERR_FORMAT, clip_lfs, "clip.safetensors", "Git LFS pointer", "git lfs pull"),
    CASE(VQ_ERR_FORMAT, start_text, "start.png"),
    CASE(VQ_ERR_FORMAT, start_half, "half.png"),
    CASE(VQ_ERR_FORMAT, start_network, "vqgan_tiny.safetensors", "\"z\""),
    CASE(VQ_ERR_NETWORK, clip_as_vqgan, "clip_tinyA.safetensors", "holds a CLIP", "a VQGAN is wanted"),
    CASE(VQ_ERR_NETWORK, vqgan_as_clip, "vqgan_tiny.safetensors", "holds a VQGAN", "a CLIP is wanted"),
    CASE(VQ_ERR_NETWORK, tensors_missing, "lacking.safetensors", "decoder.conv_in.bias",
         "decoder.mid.block_1.norm1.weight", "quantize.embedding.weight"),
    CASE(VQ_ERR_NETWORK, clip_tensors_missing, "lacking.safetensors", "visual.proj", "visual.ln_post.bias"),
    CASE(VQ_ERR_NETWORK, text_tensors_missing, "lacking.safetensors", "text_projection", "ln_final.bias"),
    CASE(VQ_ERR_NETWORK, tensor_turned, "turned.safetensors", "quantize.embedding.weight", "[16,64]", "[64,16]"),
    CASE(VQ_ERR_NETWORK, vqgan_setting_missing, "incomplete.safetensors", "n_embed"),
    CASE(VQ_ERR_NETWORK, clip_setting_missing, "incomplete.safetensors", "vision_heads"),
    CASE(VQ_ERR_NETWORK, config_missing, "bare.safetensors", "config"),
    CASE(VQ_ERR_NETWORK, kind_wrong, "bare.safetensors", "a CLIP"),
    CASE(VQ_ERR_NETWORK, merges_missing, "mute.safetensors", "merges"),
    CASE(VQ_ERR_NETWORK, config_not_json, "odd.safetensors", "JSON"),
    CASE(VQ_ERR_NETWORK, config_absurd, "odd.safetensors", "embed_dim 0"),
    CASE(VQ_ERR_NETWORK, default_unknown, "odd.safetensors", "colour"),
    CASE(VQ_ERR_NETWORK, pair_mixed, "vqgan_tiny.safetensors", "clip.safetensors", "--force"),
    CASE(VQ_ERR_PROMPT, prompt_long, "tokens", "77 fit"),
    CASE(VQ_ERR_PROMPT, prompt_empty, "prompt", "empty"),
    CASE(VQ_ERR_PROMPT, prompt_blank, "prompt", "empty"),
    CASE(VQ_ERR_PROMPT, prompt_latin1, "UTF-8"),
    CASE(VQ_ERR_PROMPT, prompt_none, "prompt"),
    CASE(VQ_ERR_PROMPT, prompt_argument, ":2"),
    CASE(VQ_ERR_ARGUMENT, size_zero, "width", "0"),
    CASE(VQ_ERR_ARGUMENT, size_negative, "height", "-5"),
    CASE(VQ_ERR_ARGUMENT, size_below_a_token, "32x1", "2x2"),
    CASE(VQ_ERR_ARGUMENT, cutouts_none, "cutouts"),
    CASE(VQ_ERR_ARGUMENT, lr_nan, "learning rate", "nan"),
    CASE(VQ_ERR_ARGUMENT, threads_negative, "-2 threads"),
    CASE(VQ_ERR_ARGUMENT, start_unnamed, "start"),
    CASE(VQ_ERR_ARGUMENT, latent_of_another_shape, "z.safetensors", "16x8", "16x16"),
    CASE(VQ_ERR_ARGUMENT, vqgan_alone, "VQGAN", "CLIP"),
    CASE(VQ_ERR_ARGUMENT, nothing_named, "VQGAN", "CLIP"),
    CASE(VQ_ERR_ARGUMENT, schedule_unknown, "steep"),
    CASE(VQ_ERR_ARGUMENT, step_before_start, "start"),
    CASE(VQ_ERR_ARGUMENT, picture_before_start, "start"),
    CASE(VQ_ERR_ARGUMENT, save_before_start, "start"),
    CASE(VQ_ERR_ARGUMENT, weight_nan, "weight"),
    CASE(VQ_ERR_ARGUMENT, prompt_after_start, "start"),
    CASE(VQ_ERR_ARGUMENT, start_twice, "start"),
    CASE(VQ_ERR_MEMORY, size_huge, "the picture needs", "MiB free", "what would fit: "),
    CASE(VQ_ERR_WRITE, folder_missing, "nofolder/out.png"),
    CASE(VQ_ERR_WRITE, output_is_folder, "vqgen-test-", "folder"),
    CASE(VQ_ERR_WRITE, output_is_device, "/dev/null", "device"),
    CASE(VQ_ERR_WRITE, folder_read_only, "locked/out.png"),
    CASE(VQ_ERR_NAN, nan_in_clip, "step 1", "--trap"),
    CASE(VQ_ERR_NAN, nan_trapped, "layer_norm: its output"),
    CASE(VQ_ERR_NAN, nan_trapped_early, "linear: its output"),
    CASE(VQ_ERR_UNSUPPORTED, start_gif, "start.gif", "GIF"),
    CASE(VQ_ERR_SHAPE, shapes, "linear", "[4,3]", "[2,5]"),
    CASE(VQ_ERR_GRADIENT, gradient, "quantise", "input 1"),
    CASE(VQ_ERR_DEVICE, device_lost, "device number 0"),
#undef CASE
};

#define CASES (sizeof cases / sizeof *cases)

Test(errors, every_code_has_a_case){
#define ROW(name, number, meaning)                      \
  {                                                     \
    bool found = false;                                 \
    for (size_t i = 0; i < CASES; i++)                  \
      found = found || cases[i].code == name;           \
    cr_expect(found, "no case brings about %s", #name); \
  }
    VQ_STATUS_LIST(ROW)
#undef ROW
}

ParameterizedTestParameters(errors, each)
{
  static size_t number[CASES];
  for (size_t i = 0; i < CASES; i++)
    number[i] = i;
  return cr_make_param_array(size_t, number, CASES);
}

ParameterizedTest(size_t *number, errors, each, .init = scratch_create, .fini = scratch_remove)
{
  const struct error_case *c = &cases[*number];
  vq_status status = c->call();
#ifdef __SANITIZE_ADDRESS__
  cr_expect(!__lsan_do_recoverable_leak_check(), "%s leaks", c->name);
#endif
  cr_expect(status == c->code, "%s: %s where %s was due: %s", c->name, vq_status_name(status),
            vq_status_name(c->code), vq_error_message());
  cr_expect(!status || *vq_error_message(), "%s: an empty message", c->name);
  for (int i = 0; i < 4 && c->words[i]; i++)
    cr_expect(strstr(vq_error_message(), c->words[i]), "%s: no '%s' in: %s", c->name, c->words[i],
              vq_error_message());
}

/* ---- a prompt that is cut is told of ---- */

typedef struct heard {
  int lines;
  vq_log_level level;
  char text[512];
} heard;

static void hear(void *to, vq_log_level level, const char *message)
{
  heard *h = to;
  h->lines++;
  h->level = level;
  snprintf(h->text, sizeof h->text, "%s", message);
}

Test(errors, a_cut_prompt_is_a_warning)
{
  heard h = {.lines = 0};
  vq_settings s = tiny();
  vq_session *session;
  s.device = "cpu"; /* where a GPU module cannot be used, that is said too */
  s.log = (vq_log){hear, &h};
  expect_ok(vq_session_create(&session, &s));
  expect_ok(vq_session_prompt(session, "short", 1, VQ_NO_STOP));
  cr_expect(h.lines == 0, "a prompt that fits makes no warning: %s", h.text);
  expect_ok(vq_session_prompt(session, long_prompt, 1, VQ_NO_STOP));
  cr_expect(h.lines == 1 && h.level == VQ_LOG_WARNING, "%d lines", h.lines);
  int tokens = 0;
  cr_expect(sscanf(h.text, "the prompt makes %d tokens and the network reads 77", &tokens) == 1 && tokens > 77,
            "%s", h.text);
  cr_expect(strstr(h.text, "one two three"), "it names the prompt: %s", h.text);
  vq_session_free(session);
}
