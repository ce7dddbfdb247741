/* test_doctor.c -- the doctor finds the pair that ships healthy, and each of the damages that it is there for, in files made here of that pair.
 * Nothing here knows the pair's weights: another may take its place, with its reference.
 */
#include "tests/cli.h"

#include "base/processor.h"
#include "loaders/safetensors.h"
#include "loaders/xxh128.h"
#include "runtime/doctor.h"

#include <jansson.h>

#define WEIGHTS   VQ_SOURCE_ROOT "/weights/"
#define REFERENCE WEIGHTS "reference.safetensors"

/* Every damage takes the same way through the code: a sanitizer, which makes it slow, sees it by some of them. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 4
#else
#define STRIDE 1
#endif

TestSuite(doctor, .init = scratch_create, .fini = scratch_remove, .timeout = 1500);

/* ---- damaged copies ---- */

/* Changes a tensor's bytes; NULL: only names are exchanged. */
typedef void (*damage_fn)(vq_file_tensor *x, uint8_t *data);

static void exchange_bytes(uint8_t *a, uint8_t *b, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++) {
    uint8_t kept = a[i];
    a[i] = b[i];
    b[i] = kept;
  }
}

static bool ends(const char *name, const char *end)
{
  size_t n = strlen(name), m = strlen(end);
  return n >= m && !strcmp(name + n - m, end);
}

static void clip_q_for_k(vq_file_tensor *x, uint8_t *data)
{
  if (strstr(x->name, "attn.in_proj_"))
    exchange_bytes(data, data + x->bytes / 3, x->bytes / 3);
}

static void text_q_for_k(vq_file_tensor *x, uint8_t *data)
{
  if (strncmp(x->name, "visual.", 7))
    clip_q_for_k(x, data);
}

static void clip_bgr(vq_file_tensor *x, uint8_t *data)
{
  size_t plane = x->rank == 4 ? x->bytes / (size_t)(x->dim[0] * 3) : 0;
  for (int64_t o = 0; ends(x->name, "visual.conv1.weight") && o < x->dim[0]; o++)
    exchange_bytes(data + (size_t)o * 3 * plane, data + ((size_t)o * 3 + 2) * plane, plane);
}

static void vqgan_bgr(vq_file_tensor *x, uint8_t *data)
{
  if (strstr(x->name, "decoder.conv_out."))
    exchange_bytes(data, data + x->bytes / 3 * 2, x->bytes / 3);
}

static bool is_codebook(const vq_file_tensor *x)
{
  return ends(x->name, "quantize.embedding.weight");
}

static void codebook_rows(vq_file_tensor *x, uint8_t *data)
{
  size_t row = x->bytes / (size_t)x->dim[0];
  for (int64_t i = 0; is_codebook(x) && i < x->dim[0] / 2; i++)
    exchange_bytes(data + (size_t)i * row, data + (size_t)(x->dim[0] - 1 - i) * row, row);
}

static void codebook_values(vq_file_tensor *x, uint8_t *data)
{
  size_t one = vq_file_dtype_bytes(x->dtype), count = x->bytes / one;
  for (size_t i = count - 1; is_codebook(x) && i > 0; i--)
    exchange_bytes(data + i * one, data + vq_rng_below(1, VQ_RNG_WEIGHTS, 0, i, (uint32_t)i) * one, one);
}

/* All bits set is a NaN in every type of floats. */
static void one_nan(vq_file_tensor *x, uint8_t *data)
{
  if (ends(x->name, "decoder.norm_out.weight"))
    memset(data, 0xff, vq_file_dtype_bytes(x->dtype));
}

static void zeros(vq_file_tensor *x, uint8_t *data)
{
  if (ends(x->name, "decoder.conv_in.weight"))
    memset(data, 0, x->bytes);
}

/* Of a VQGAN, q and k are two tensors: their names are exchanged. */
static void vqgan_q_for_k(vq_file_tensor *x, uint8_t *data)
{
  char *letter = (char *)strstr(x->name, ".q.") ? (char *)strstr(x->name, ".q.") : (char *)strstr(x->name, ".k.");
  (void)data;
  if (letter)
    letter[1] = letter[1] == 'q' ? 'k' : 'q';
}

static void nothing(vq_file_tensor *x, uint8_t *data)
{
  (void)x;
  (void)data;
}

#define MOST 2048

/* A copy of weights/`of` under `name` in the scratch folder. */
static void copy_damaged(const char *of, const char *name, damage_fn damage)
{
  static vq_file_tensor tensors[MOST];
  char from[PATH_MAX];
  vq_safetensors *file;
  int pairs;
  snprintf(from, sizeof from, "%s%s.safetensors", WEIGHTS, of);
  expect_ok(vq_safetensors_open(&file, from));
  int count = vq_safetensors_count(file);
  cr_assert(count < MOST);
  for (int i = 0; i < count; i++) {
    vq_file_tensor *x = &tensors[i];
    *x = *vq_safetensors_at(file, i);
    uint8_t *data = malloc(x->bytes + 1);
    memcpy(data, x->data, x->bytes);
    x->name = strdup(x->name);
    x->data = data;
    damage(x, data);
  }
  const char *const *metadata = vq_safetensors_metadata_pairs(file, &pairs);
  expect_ok(vq_safetensors_write(in_scratch(name), tensors, count, metadata, pairs));
  vq_safetensors_close(file);
  for (int i = 0; i < count; i++) {
    free((char *)tensors[i].name);
    free((void *)tensors[i].data);
  }
}

static void copy_file(const char *from, const char *name)
{
  size_t bytes;
  uint8_t *data = get_file(from, &bytes);
  put_file(in_scratch(name), data, bytes);
  free(data);
}

/* ---- what the doctor says ---- */

static const vq_check *find(const vq_doctor *d, const char *group, const char *name)
{
  for (int i = 0; i < d->checks; i++)
    if (!strcmp(d->check[i].group, group) && !strcmp(d->check[i].name, name))
      return &d->check[i];
  cr_assert_fail("no check %s, %s", group, name);
  return NULL;
}

static void examine(vq_doctor *d, const char *vqgan, const char *clip, const char *reference)
{
  vq_doctor_options o = {.vqgan = vqgan, .clip = clip, .reference = reference, .threads = 2, .device = "cpu"};
  expect_ok(vq_doctor_run(d, &o));
}

static void expect_no_failures(const vq_doctor *d)
{
  for (int i = 0; i < d->checks; i++)
    cr_expect(d->check[i].verdict != VQ_CHECK_FAIL, "%s, %s: %s", d->check[i].group, d->check[i].name,
              d->check[i].found);
  cr_expect_eq(d->failed, 0);
}

Test(doctor, the_pair_that_ships_is_healthy)
{
  static const char *const must_pass[][2] = {
      {"shipped", "files"},
      {"shipped", "losses"},
      {"shipped", "gradient of z"},
      {"shipped", "codes as PyTorch's"},
      {"files", "vqgan hash"},
      {"files", "clip hash"},
      {"files", "vqgan tensors"},
      {"files", "tokens"},
      {"reference", "losses"},
      {"reference", "picture as PyTorch's"},
      {"clip", "colours"},
      {"clip", "channels"},
      {"clip", "q and k, texts"},
      {"clip", "q and k, pictures"},
      {"vqgan", "round trip"},
      {"vqgan", "channels"},
      {"vqgan", "codes"},
      {"vqgan", "values"},
      {"gradient", "along it"},
      {"gradient", "a third of it"},
      {"gradient", "against a third"},
      {"gradient", "on one thread"},
      {"loop", "loss"},
      {"repeat", "bytes"},
  };
  vq_doctor d;
  setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1);
  examine(&d, NULL, NULL, REFERENCE);
  expect_no_failures(&d);
  for (size_t i = 0; i < sizeof must_pass / sizeof *must_pass; i++)
    cr_expect_eq(find(&d, must_pass[i][0], must_pass[i][1])->verdict, VQ_CHECK_PASS, "%s, %s", must_pass[i][0],
                 must_pass[i][1]);
  cr_expect_eq(find(&d, "gradient", "cpu, bf16")->verdict, vq_processor_has_bf16() ? VQ_CHECK_PASS : VQ_CHECK_SKIP);
  vq_doctor_free(&d);
}

/* Each damage, and the checks that must fail for it: one of meaning where there is one, and always one of the reference. */
static const struct {
  const char *what, *network;
  damage_fn damage;
  const char *fails[3][2];
} damages[] = {
    {"q for k in a CLIP", "clip", clip_q_for_k, {{"clip", "q and k, pictures"}, {"reference", "losses"}}},
    {"q for k in its text tower",
     "clip",
     text_q_for_k,
     {{"clip", "q and k, texts"}, {"reference", "text features"}}},
    {"BGR in a CLIP",
     "clip",
     clip_bgr,
     {{"clip", "channels"}, {"clip", "colours"}, {"reference", "image features"}}},
    {"BGR in a VQGAN", "vqgan", vqgan_bgr, {{"vqgan", "channels"}, {"reference", "picture as PyTorch's"}}},
    {"q for k in a VQGAN",
     "vqgan",
     vqgan_q_for_k,
     {{"reference", "picture as PyTorch's"}, {"reference", "gradient of z"}}},
    {"a codebook with its rows shuffled", "vqgan", codebook_rows, {{"reference", "codes as PyTorch's"}}},
    {"a codebook with its values shuffled",
     "vqgan",
     codebook_values,
     {{"vqgan", "round trip"}, {"reference", "picture as PyTorch's"}}},
    {"a value that is no number",
     "vqgan",
     one_nan,
     {{"files", "vqgan tensors"}, {"vqgan", "values"}, {"reference", "reference"}}},
    {"a matrix of zeros",
     "vqgan",
     zeros,
     {{"files", "vqgan tensors"}, {"vqgan", "round trip"}, {"reference", "picture as PyTorch's"}}},
};

Test(doctor, damage_is_found)
{
  setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1);
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i += STRIDE) {
    vq_doctor d;
    bool clip = !strcmp(damages[i].network, "clip");
    copy_damaged(damages[i].network, "damaged.safetensors", damages[i].damage);
    char damaged[PATH_MAX];
    snprintf(damaged, sizeof damaged, "%s", in_scratch("damaged.safetensors"));
    examine(&d, clip ? WEIGHTS "vqgan.safetensors" : damaged, clip ? damaged : WEIGHTS "clip.safetensors",
            REFERENCE);
    for (int k = 0; k < 3 && damages[i].fails[k][0]; k++) {
      const vq_check *c = find(&d, damages[i].fails[k][0], damages[i].fails[k][1]);
      cr_expect(c->verdict == VQ_CHECK_FAIL && *c->advice, "%s: %s, %s: %s", damages[i].what, c->group, c->name,
                c->found);
    }
    cr_expect_eq(find(&d, "shipped", "losses")->verdict, VQ_CHECK_PASS, "%s reaches the pair that ships",
                 damages[i].what);
    vq_doctor_free(&d);
  }
}

/* The way of copying is none of the damages. */
Test(doctor, an_undamaged_copy_is_healthy)
{
  vq_doctor d;
  setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1);
  copy_damaged("vqgan", "v.safetensors", nothing);
  copy_damaged("clip", "c.safetensors", nothing);
  char vqgan[PATH_MAX], clip[PATH_MAX];
  snprintf(vqgan, sizeof vqgan, "%s", in_scratch("v.safetensors"));
  snprintf(clip, sizeof clip, "%s", in_scratch("c.safetensors"));
  examine(&d, vqgan, clip, REFERENCE);
  expect_no_failures(&d);
  cr_expect_eq(find(&d, "files", "vqgan hash")->verdict, VQ_CHECK_SKIP,
               "a hash is claimed that is recorded nowhere");
  vq_doctor_free(&d);
}

/* Of a converted network, the hash of what it was made from: nothing is claimed of it, and which of the two it is, is said. */
Test(doctor, a_converted_network_names_its_source)
{
  static const char source[] = VQ_SOURCE_ROOT "/tests/data/reference/vqgan_tiny.safetensors";
  const struct {
    const char *option, *found;
  } cases[] = {{"--dtype=stored", "made from vqgan_tiny.safetensors: XXH3-128 "},
               {"--sha256", "none recorded for vqgan_tiny.safetensors: SHA-256 "}};
  setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1);
  for (size_t i = vq_xxh128_is_there() ? 0 : 1; i < sizeof cases / sizeof *cases; i++) {
    vq_doctor d;
    char vqgan[PATH_MAX];
    said s = TOOL_OK("convert", source, cases[i].option, "-o", "made.safetensors");
    forget(&s);
    snprintf(vqgan, sizeof vqgan, "%s", in_scratch("made.safetensors"));
    examine(&d, vqgan, VQ_SOURCE_ROOT "/tests/data/reference/clip_tinyA.safetensors", NULL);
    const vq_check *hash = find(&d, "files", "vqgan hash");
    cr_expect_eq(hash->verdict, VQ_CHECK_SKIP, "%s", hash->found);
    cr_expect(strstr(hash->found, cases[i].found), "%s", hash->found);
    vq_doctor_free(&d);
    remove(vqgan);
  }
}

/* Networks of random weights mean nothing: no threshold is within chance's reach. What does not ask for a meaning passes. */
Test(doctor, random_networks_are_found)
{
  static const char *const fail[][2] = {{"clip", "colours"},
                                        {"clip", "channels"},
                                        {"clip", "shapes"},
                                        {"clip", "written words"},
                                        {"vqgan", "round trip"}};
  static const char *const pass[][2] = {{"files", "vqgan tensors"},
                                        {"files", "clip tensors"},
                                        {"gradient", "along it"},
                                        {"gradient", "against a third"},
                                        {"repeat", "bytes"}};
  static const char *const vqgans[] = {"vqgan_tiny", "gumbel_tiny"}, *const clips[] = {"clip_tinyA", "clip_tinyB"};
  setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1);
  for (int i = 0; i < 2; i++) {
    vq_doctor d;
    char vqgan[PATH_MAX], clip[PATH_MAX];
    snprintf(vqgan, sizeof vqgan, "%s/tests/data/reference/%s.safetensors", VQ_SOURCE_ROOT, vqgans[i]);
    snprintf(clip, sizeof clip, "%s/tests/data/reference/%s.safetensors", VQ_SOURCE_ROOT, clips[i]);
    examine(&d, vqgan, clip, NULL);
    for (size_t k = 0; k < sizeof fail / sizeof *fail; k++)
      cr_expect_eq(find(&d, fail[k][0], fail[k][1])->verdict, VQ_CHECK_FAIL, "%s: %s", fail[k][1],
                   find(&d, fail[k][0], fail[k][1])->found);
    for (size_t k = 0; k < sizeof pass / sizeof *pass; k++)
      cr_expect_eq(find(&d, pass[k][0], pass[k][1])->verdict, VQ_CHECK_PASS, "%s: %s", pass[k][1],
                   find(&d, pass[k][0], pass[k][1])->found);
    vq_doctor_free(&d);
  }
}

/* Damage in the pair that ships, where it is found by itself. */
Test(doctor, a_damaged_pair_that_ships)
{
  vq_doctor d;
  copy_damaged("vqgan", "vqgan.safetensors", codebook_rows);
  copy_file(WEIGHTS "clip.safetensors", "clip.safetensors");
  copy_file(REFERENCE, "reference.safetensors");
  setenv("VQGEN_MODELS", scratch, 1);
  examine(&d, NULL, NULL, NULL);
  cr_expect_eq(find(&d, "shipped", "files")->verdict, VQ_CHECK_FAIL);
  cr_expect_eq(find(&d, "shipped", "codes as PyTorch's")->verdict, VQ_CHECK_FAIL);
  cr_expect_eq(find(&d, "shipped", "text features")->verdict, VQ_CHECK_PASS);
  cr_expect_eq(find(&d, "files", "vqgan hash")->verdict, VQ_CHECK_FAIL);
  cr_expect_eq(find(&d, "files", "clip hash")->verdict, VQ_CHECK_PASS);
  vq_doctor_free(&d);
}

/* Files that are no networks, and references that are none, are failed checks, each with what to do; what needs them is skipped. */
Test(doctor, files_that_are_none)
{
  vq_doctor d;
  setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1);
  put_file(in_scratch("page.ckpt"), "<!DOCTYPE html><html>", 21);
  char page[PATH_MAX];
  snprintf(page, sizeof page, "%s", in_scratch("page.ckpt"));
  examine(&d, page, WEIGHTS "clip.safetensors", NULL);
  cr_expect(find(&d, "files", "vqgan")->verdict == VQ_CHECK_FAIL &&
            strstr(find(&d, "files", "vqgan")->found, "a web page"));
  cr_expect_eq(find(&d, "vqgan", "meaning")->verdict, VQ_CHECK_SKIP);
  cr_expect_eq(find(&d, "clip", "colours")->verdict, VQ_CHECK_PASS);
  vq_doctor_free(&d);
  examine(&d, NULL, NULL, page);
  cr_expect_eq(find(&d, "reference", "reference")->verdict, VQ_CHECK_FAIL);
  vq_doctor_free(&d);
}

/* ---- the tool ---- */

Test(doctor, report_and_picture_name_no_paths)
{
  char vqgan[PATH_MAX];
  copy_damaged("vqgan", "mine.safetensors", vqgan_bgr);
  snprintf(vqgan, sizeof vqgan, "%s", in_scratch("mine.safetensors"));
  said s =
      TOOL("doctor", "--vqgan", vqgan, "--clip", WEIGHTS "clip.safetensors", "--threads", "2", "--device", "cpu");
  cr_expect(s.status == 1 && strstr(s.out, "FAIL  vqgan") && strstr(s.out, "vqgen-doctor.txt"), "%d\n%s%s",
            s.status, s.out, s.err);
  forget(&s);
  size_t bytes;
  char *report = (char *)get_file(in_scratch("vqgen-doctor.txt"), &bytes);
  cr_expect(strstr(report, "mine.safetensors") && !strstr(report, scratch) && !strstr(report, VQ_SOURCE_ROOT) &&
                !strstr(report, " /"),
            "%s", report);
  free(report);
  vq_image picture;
  expect_ok(vq_image_read(&picture, in_scratch("vqgen-doctor.png")));
  cr_expect(picture.width > 200);
  vq_image_free(&picture);
  s = TOOL("doctor", "--json", "--threads", "2", "--device", "cpu", "--reference", REFERENCE);
  json_t *json = json_loads(s.out, 0, NULL);
  cr_expect(s.status == 0 && json && json_is_true(json_object_get(json, "ok")) &&
                json_array_size(json_object_get(json, "checks")) > 30,
            "%d\n%s%s", s.status, s.out, s.err);
  cr_expect_str_eq(json_string_value(json_object_get(json, "report")), "vqgen-doctor-2.txt");
  cr_expect_null(strstr(s.out, VQ_SOURCE_ROOT));
  json_decref(json);
  forget(&s);
}

Test(doctor, wrong_use)
{
  said s = TOOL("doctor", "--vqgan", WEIGHTS "vqgan.safetensors");
  cr_expect(s.status == 2 && strstr(s.err, "in pairs"), "%d %s", s.status, s.err);
  forget(&s);
  s = TOOL("doctor", "feverish");
  cr_expect(s.status == 2 && strstr(s.err, "feverish"), "%d %s", s.status, s.err);
  forget(&s);
  s = TOOL("doctor", "--device", "abacus");
  cr_expect(s.status == 2 && strstr(s.err, "abacus"), "%d %s", s.status, s.err);
  forget(&s);
}
