/* test_metadata.c -- what is written into pictures and read from them: ours, the notebook's, other programs'. */
#include "tests/cli.h"

#include "loaders/image.h"
#include "loaders/xmp.h"
#include "loaders/sha256.h"
#include "runtime/model_name.h"
#include "vqgen.h"
#include "runtime/notebook.h"
#include "runtime/reveal.h"
#include "runtime/stegano.h"

#include <jansson.h>

TestSuite(metadata, .init = scratch_create, .fini = scratch_remove, .timeout = 300);

#define DATA(name) VQ_SOURCE_ROOT "/tests/data/metadata/" name

static const char *text_at(const json_t *o, const char *a, const char *b, const char *c)
{
  o = json_object_get(json_object_get(o, a), b);
  o = c ? json_object_get(o, c) : o;
  return json_string_value(o) ? json_string_value(o) : "nothing";
}

static bool reads_xmp(void)
{
  return vq_xmp_read("<a/>", NULL, NULL) != VQ_ERR_UNSUPPORTED;
}

/* Can this build write the format, and read what stands in it? Says what it cannot. */
static bool has(vq_image_format format)
{
  if (!vq_image_check_format(format) && (format == VQ_IMAGE_PNG || reads_xmp()))
    return true;
  fprintf(stderr, "[SKIP] format %d: this build lacks its library, or expat\n", (int)format);
  return false;
}

static json_t *revealed(const char *path)
{
  json_t *found;
  expect_ok(vq_reveal(&found, path));
  return found;
}

/* ---- hidden bits ---- */

/* A picture as tests/compare/make_metadata_pictures.py makes it before it hides. */
static vq_image pattern(int width, int height)
{
  vq_image image;
  expect_ok(vq_image_create(&image, width, height));
  for (int i = 0; i < width * height * 3; i++)
    image.rgb[i] = (uint8_t)(37 * i + 11);
  return image;
}

Test(metadata, hides_the_bits_that_stegano_hides)
{
  vq_notebook_fields f = {"a red circle:2 | gr\xc3\xb6\xc3\x9f"
                          "e \xf0\x9f\x98\x80",
                          50, "ImageNet 16384", 12345678901234567890u, true};
  vq_image ours = pattern(40, 24), theirs;
  expect_ok(vq_image_read(&theirs, DATA("stegano.png")));
  char *message = vq_notebook_message(&f), *back;
  expect_ok(vq_stegano_hide(&ours, message));
  cr_expect(ours.width == theirs.width && ours.height == theirs.height &&
                !memcmp(ours.rgb, theirs.rgb, (size_t)(40 * 24 * 3)),
            "%s", message);
  expect_ok(vq_stegano_reveal(&back, &theirs));
  cr_expect_str_eq(back, message);
  free(back);
  free(message);
  vq_image_free(&ours);
  vq_image_free(&theirs);
  json_t *found = revealed(DATA("stegano.png"));
  cr_expect_str_eq(text_at(found, "notebook", "stegano", "seed"), "12345678901234567890");
  cr_expect_str_eq(text_at(found, "notebook", "stegano", "title"), f.title);
  json_decref(found);
}

Test(metadata, fills_a_picture_to_its_last_bit)
{
  char text[64];
  for (int bytes = 1; bytes < 40; bytes++) {
    vq_image image = pattern(4, 4), before = pattern(4, 4); /* 48 bits: "4:" and four bytes */
    char *back;
    memset(text, 'x', sizeof text);
    text[bytes] = 0;
    vq_status status = vq_stegano_hide(&image, text);
    cr_expect_eq(status, bytes <= 4 ? VQ_OK : VQ_ERR_ARGUMENT, "%d bytes", bytes);
    if (status) {
      cr_expect(strstr(vq_error_message(), "4x4 holds 4"), "%s", vq_error_message());
      cr_expect(!memcmp(image.rgb, before.rgb, 48));
    } else {
      expect_ok(vq_stegano_reveal(&back, &image));
      cr_expect_str_eq(back, text);
      free(back);
    }
    vq_image_free(&image);
    vq_image_free(&before);
  }
}

Test(metadata, finds_no_message_where_there_is_none)
{
  static const char *const none[] = {":", "x:a", "0:", "12345678901:x", "9:abc"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    vq_image image = pattern(6, 6);
    char *back;
    memset(image.rgb, 0, 108);
    for (size_t bit = 0; bit < 8 * strlen(none[i]); bit++)
      image.rgb[bit] = (uint8_t)(none[i][bit / 8] >> (7 - bit % 8) & 1);
    expect_ok(vq_stegano_reveal(&back, &image));
    if (i < 4)
      cr_expect(!back, "%s: %s", none[i], back);
    free(back);
    vq_image_free(&image);
  }
}

Test(metadata, messages_are_as_python_writes_them)
{
  vq_notebook_fields f = {"\"\\\b\f\n\r\t\x01\x7f/\xe2\x82\xac", 0, "m", 0, false};
  char *message = vq_notebook_message(&f);
  cr_expect_str_eq(message,
                   "{\"title\": \"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f/\\u20ac\", \"notebook\": \"VQGAN+CLIP\", "
                   "\"i\": 0, \"model\": \"m\", \"seed\": \"0\", \"input_images\": \"\"}");
  free(message);
  f.title = NULL;
  message = vq_notebook_message(&f);
  cr_expect(strstr(message, "{\"title\": null, "), "%s", message);
  free(message);
}

Test(metadata, checkpoints_have_the_names_of_the_notebook)
{
  static const struct {
    const char *name;
    int64_t codes;
    const char *known;
  } models[] = {{"vqgan_imagenet_f16_16384", 16384, "ImageNet 16384"},
                {"vqgan_imagenet_f16_1024.ckpt", 1024, "ImageNet 1024"},
                {"wikiart_16384", 16384, "WikiArt 16384"},
                {"COCO.safetensors", 8192, "COCO-Stuff"},
                {"sflckr", 1024, "S-FLCKR"},
                {"vqgan-small", 512, "vqgan-small"}};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++)
    cr_expect_str_eq(vq_notebook_model(models[i].name, models[i].codes), models[i].known);
}

/* ---- XMP ---- */

typedef struct seen {
  char all[1024];
} seen;

static void note(void *user, const char *uri, const char *name, const char *text)
{
  seen *s = user;
  size_t n = strlen(s->all);
  snprintf(s->all + n, sizeof s->all - n, "%s%s=%s;", !strcmp(uri, VQ_XMP_DC) ? "" : "other:", name, text);
}

#define DESCRIBED(attributes, inside)                                                                      \
  "<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "        \
  "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' xmlns:y='urn:y' " \
  "xmlns:dc='http://purl.org/dc/elements/1.1/' " attributes ">" inside                                     \
  "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"

/* names.txt knows a checkpoint by its hash, whatever it is called; a converted one by what it was made from. */
Test(metadata, a_checkpoint_is_named_by_its_hash, .init = scratch_create, .fini = scratch_remove)
{
  const char *tiny = VQ_SOURCE_ROOT "/tests/data/reference/vqgan_tiny.safetensors";
  char hex[VQ_SHA256_HEX], text[512];
  vq_network *net;
  expect_ok(vq_sha256_file(tiny, hex));
  for (int round = 0; round < 3; round++) {
    char *name, *want = round == 1 ? "My Photographs 64" : "vqgan_tiny.safetensors";
    snprintf(text, sizeof text, "%064d  Nobody's\n%s  %s\n", 0, round == 2 ? "" : hex, "My Photographs 64");
    put_file(in_scratch("names.txt"), text, strlen(text));
    setenv("VQGEN_MODELS", round ? in_scratch("") : "", 1);
    setenv("XDG_DATA_HOME", in_scratch(""), 1);
    expect_ok(vq_network_open(&net, tiny, VQ_NETWORK_VQGAN, NULL));
    expect_ok(vq_model_name(&name, net));
    cr_expect_str_eq(name, want);
    free(name);
    vq_network_close(net);
  }
  snprintf(text, sizeof text, "%s *My Photographs 64\r\n", hex);
  put_file(in_scratch("names.txt"), text, strlen(text));
  vq_session *session;
  vq_settings s;
  vq_settings_init(&s);
  s.vqgan = tiny;
  s.clip = VQ_SOURCE_ROOT "/tests/data/reference/clip_tinyA.safetensors";
  s.width = s.height = 16;
  s.cutouts = 1;
  s.device = "cpu";
  s.metadata = VQ_METADATA_XMP;
  expect_ok(vq_session_create(&session, &s));
  expect_ok(vq_session_prompt(session, "a cat", 1, VQ_NO_STOP));
  expect_ok(vq_session_start(session));
  expect_ok(vq_session_save(session, in_scratch("a.png")));
  vq_session_free(session);
  json_t *found = revealed(in_scratch("a.png"));
  cr_expect_str_eq(text_at(found, "notebook", "xmp", "model"), "My Photographs 64");
  json_decref(found);
}

Test(metadata, xmp_in_all_its_forms)
{
  static const struct {
    const char *packet, *says;
  } forms[] = {
      {DESCRIBED(
           "",
           "<dc:title>\n <rdf:Alt>\n  <rdf:li xml:lang='x-default'>a &amp; b</rdf:li>\n </rdf:Alt>\n</dc:title>"),
       "title=a & b;"},
      {DESCRIBED("", "<dc:i><rdf:Seq><rdf:li>5</rdf:li><rdf:li>6</rdf:li></rdf:Seq></dc:i>"), "i=5;"},
      {DESCRIBED("dc:seed='7' y:z='8'", ""), "seed=7;other:z=8;"},
      {DESCRIBED("", "<dc:seed>7</dc:seed><y:z/>"), "seed=7;other:z=;"},
      {DESCRIBED("", "<dc:title><rdf:Seq><rdf:li/></rdf:Seq></dc:title>"), "title=;"},
  };
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    seen s = {""};
    vq_status status = vq_xmp_read(forms[i].packet, note, &s);
    if (status == VQ_ERR_UNSUPPORTED)
      skip_test("this build lacks expat: no XMP is read");
    expect_ok(status);
    cr_expect_str_eq(s.all, forms[i].says);
  }
  seen s = {""};
  expect_error(vq_xmp_read("<a><b></a>", note, &s), VQ_ERR_FORMAT, "XML");
  expect_error(vq_xmp_read("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", note, &s), VQ_ERR_FORMAT, "XML");
  expect_error(vq_xmp_read("", note, &s), VQ_ERR_FORMAT, "XML");
  cr_expect_str_eq(s.all, "");
}

/* ---- other programs ---- */

static json_t *with_texts(const char *const *pairs, int count)
{
  vq_image image = pattern(3, 3);
  expect_ok(vq_image_write_png(in_scratch("other.png"), &image, pairs, count));
  vq_image_free(&image);
  return revealed(in_scratch("other.png"));
}

Test(metadata, reads_what_other_programs_write)
{
  static const char parameters[] = "a castle\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, Seed: 42, "
                                   "Hashes: {\"model\": \"x\"}, Lora: \"a: 1, \\\"b\\\"\"";
  json_t *o = with_texts((const char *[]){"parameters", parameters}, 1);
  cr_expect_str_eq(text_at(o, "automatic1111", "prompt", NULL), "a castle");
  cr_expect_str_eq(text_at(o, "automatic1111", "negative_prompt", NULL), "fog");
  cr_expect_str_eq(text_at(o, "automatic1111", "Sampler", NULL), "Euler a");
  cr_expect_str_eq(text_at(o, "automatic1111", "Seed", NULL), "42");
  cr_expect_str_eq(text_at(o, "automatic1111", "Lora", NULL), "a: 1, \"b\"");
  json_decref(o);
  o = with_texts(
      (const char *[]){"prompt", "{\"3\": {\"class_type\": \"KSampler\"}}", "workflow", "{\"nodes\": []}"}, 2);
  cr_expect_str_eq(
      json_string_value(json_object_get(
          json_object_get(json_object_get(json_object_get(o, "comfyui"), "prompt"), "3"), "class_type")),
      "KSampler");
  json_decref(o);
  o = with_texts((const char *[]){"Dream", "\"a cat\" -s 50 -S 42", "sd-metadata", "{\"model\": \"x\"}"}, 2);
  cr_expect_str_eq(text_at(o, "invokeai", "Dream", NULL), "\"a cat\" -s 50 -S 42");
  cr_expect_str_eq(text_at(o, "invokeai", "sd-metadata", "model"), "x");
  json_decref(o);
  o = with_texts((const char *[]){"comment", "['a cat', 'fog:-1']"}, 1);
  cr_expect_str_eq(text_at(o, "nerdyrodent", "comment", NULL), "['a cat', 'fog:-1']");
  json_decref(o);
  o = with_texts((const char *[]){"pixray_prompts", "a cat", "pixray_seed_used", "7"}, 2);
  cr_expect_str_eq(text_at(o, "pixray", "prompts", NULL), "a cat");
  json_decref(o);
  o = with_texts((const char *[]){"Software", "NovelAI", "Description", "a cat", "Comment", "{\"seed\": 3}"}, 3);
  cr_expect_str_eq(text_at(o, "novelai", "Description", NULL), "a cat");
  json_decref(o);
  o = with_texts(
      (const char *[]){"Software", "a camera", "Description", "a cat", "prompt", "not JSON", "parameters", "x"}, 4);
  cr_expect(json_object_size(o) == 0, "nobody's settings");
  json_decref(o);

  /* a title alone is anybody's, a creator that is the notebook's is not */
  o = with_texts((const char *[]){"XML:com.adobe.xmp", DESCRIBED("", "<dc:title>a cat</dc:title>")}, 1);
  cr_expect(json_object_size(o) == 0, "nobody's settings");
  json_decref(o);
  o = with_texts((const char *[]){"XML:com.adobe.xmp",
                                  DESCRIBED("", "<dc:creator>VQGAN+CLIP</dc:creator><dc:title>a cat</dc:title>")},
                 1);
  cr_expect_str_eq(text_at(o, "notebook", "xmp", "title"), "a cat");
  json_decref(o);

  static const char *const exif[] = {DATA("a1111.jpg"), DATA("a1111.webp")};
  for (int i = 0; i < 2; i++) {
    json_t *found;
    vq_status status = vq_reveal(&found, exif[i]);
    if (status == VQ_ERR_UNSUPPORTED) {
      fprintf(stderr, "[SKIP] %s\n", vq_error_message());
      continue;
    }
    expect_ok(status);
    cr_expect_str_eq(text_at(found, "automatic1111", "prompt", NULL), "a castle, m\xc3\xbcnster\nby the sea");
    cr_expect_str_eq(text_at(found, "automatic1111", "Size", NULL), "512x512");
    json_decref(found);
  }
}

/* The other formats' pixels are in test_png.c and test_jpeg.c. */
Test(metadata, webp_is_read_and_its_damage_told)
{
  vq_image image;
  if (vq_image_check_format(VQ_IMAGE_WEBP))
    skip_test("%s", vq_error_message());
  expect_ok(vq_image_read(&image, DATA("a1111.webp")));
  cr_expect(image.width == 8 && image.height == 8);
  for (int i = 0; i < 8 * 8 * 3; i++)
    cr_expect_eq(image.rgb[i], 128);
  vq_image_free(&image);
  put_file(in_scratch("a.webp"), "RIFF\0\0\0\0WEBPVP8 ", 16);
  expect_error(vq_image_read(&image, in_scratch("a.webp")), VQ_ERR_FORMAT, "a.webp", "WebP");
  image = pattern(7, 5);
  expect_ok(vq_image_write(in_scratch("a.webp"), VQ_IMAGE_WEBP, &image, NULL));
  vq_image back;
  expect_ok(vq_image_read(&back, in_scratch("a.webp")));
  cr_expect(!memcmp(image.rgb, back.rgb, 7 * 5 * 3), "without loss");
  vq_image_free(&back);
  vq_image_free(&image);
}

/* ---- the tool ---- */

#define ALL "--metadata", "text,stegano,xmp", "-s", "48x32"

static bool same_bytes(const char *a, const char *b)
{
  size_t n, m;
  uint8_t *x = get_file(in_scratch(a), &n), *y = get_file(in_scratch(b), &m);
  bool same = n == m && !memcmp(x, y, n);
  free(x);
  free(y);
  return same;
}

static void try_format(vq_image_format format, const char *a, const char *b)
{
  if (!has(format))
    return;
  said s =
      TOOL_OK("a cat:2 | fog:-0.5:-0.9", QUICK, ALL, "-n", "1", "--seed", "5", "--model-name", "M & <N>", "-o", a);
  cr_expect(!strstr(s.err, "no hidden bits") == (format != VQ_IMAGE_JPEG), "%s", s.err);
  forget(&s);
  json_t *o = revealed(in_scratch(a));
  cr_expect(json_is_object(json_object_get(o, "vqgen")), "%s", a);
  cr_expect_str_eq(text_at(o, "notebook", "xmp", "title"), reads_xmp() ? "a cat:2 | fog:-0.5:-0.9" : "nothing");
  cr_expect_str_eq(text_at(o, "notebook", "xmp", "model"), reads_xmp() ? "M & <N>" : "nothing");
  cr_expect_str_eq(text_at(o, "notebook", "stegano", "model"), format == VQ_IMAGE_JPEG ? "nothing" : "M & <N>");
  json_decref(o);
  s = TOOL_OK("replay", in_scratch(a), TINY, "-o", b);
  cr_expect(strstr(s.err, "every pixel is the same") && same_bytes(a, b), "%s: %s", a, s.err);
  forget(&s);
}

Test(metadata, in_every_format_and_back_again)
{
  try_format(VQ_IMAGE_PNG, "a.png", "b.png");
  try_format(VQ_IMAGE_JPEG, "a.jpg", "b.jpg");
  try_format(VQ_IMAGE_WEBP, "a.webp", "b.webp");
}

Test(metadata, what_is_asked_for_and_no_more)
{
  static const struct {
    const char *list, *keys[3];
  } lists[] = {
      {"none", {NULL}}, {"text", {"vqgen"}}, {"xmp", {"notebook"}}, {"stegano,text", {"vqgen", "notebook"}}};
  if (!reads_xmp())
    skip_test("this build lacks expat");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    said s =
        TOOL_OK("a cat", QUICK, "-s", "48x32", "-n", "0", "--metadata", lists[i].list, "-o", "a.png", "--force");
    forget(&s);
    json_t *o = revealed(in_scratch("a.png"));
    int keys = 0;
    for (; lists[i].keys[keys]; keys++)
      cr_expect(json_object_get(o, lists[i].keys[keys]), "%s", lists[i].list);
    cr_expect_eq((int)json_object_size(o), keys, "%s", lists[i].list);
    json_decref(o);
  }
  said s = TOOL_OK("reveal", "a.png"), t = TOOL_OK("inspect", "a.png");
  cr_expect_str_eq(s.out, t.out);
  forget(&t);
  forget(&s);
  s = TOOL_OK("a cat", QUICK, "-n", "0", "--metadata", "none", "-o", "bare.png");
  forget(&s);
  s = TOOL("reveal", "bare.png");
  cr_expect(s.status == 1 && !strcmp(s.out, "{}\n") && strstr(s.err, "re-encoded"), "%s%s", s.out, s.err);
  forget(&s);
  s = TOOL("a cat", QUICK, "--metadata", "text,hidden");
  cr_expect(s.status == 2 && strstr(s.err, "\"hidden\" is none of text|stegano|xmp"), "%s", s.err);
  forget(&s);
}

Test(metadata, a_message_that_does_not_fit_is_refused_before_the_run)
{
  said s = TOOL("a cat", QUICK, "--metadata", "stegano", "-o", "a.png");
  cr_expect(s.status == 2 && strstr(s.err, "16x16 holds 93") && !strstr(s.err, "step 1"), "%d %s", s.status, s.err);
  cr_expect_eq(scratch_entries(), 0);
  forget(&s);
}

Test(metadata, the_notebooks_picture_is_followed_as_far_as_it_goes)
{
  said s = TOOL_OK("replay", DATA("stegano.png"), TINY, "-n", "1", "--cutouts", "2", "-o", "a.png");
  cr_expect(strstr(s.err, "alike at best") && strstr(s.err, "ImageNet 16384") && strstr(s.err, "pictures and"),
            "%s", s.err);
  cr_expect(strstr(s.err, "\"a red circle\"  weight 2") && strstr(s.err, "40x24") &&
                strstr(s.err, "12345678901234567890"),
            "%s", s.err);
  forget(&s);
  s = TOOL("replay", DATA("a1111.jpg"), TINY, "-o", "b.png");
  cr_expect(s.status == 2 && strstr(s.err, vq_image_check_format(VQ_IMAGE_JPEG) ? "JPEG" : "automatic1111"), "%s",
            s.err);
  forget(&s);
}

/* ---- other programs read ours ---- */

Test(metadata, stegano_reveals_ours)
{
  static const char wanted[] = "{\"title\": \"gr\xc3\xb6\xc3\x9f"
                               "e | \xf0\x9f\x98\x80:2\", \"notebook\": \"VQGAN+CLIP\", \"i\": 1, \"model\": "
                               "\"ImageNet 1024\", \"seed\": \"5\", \"input_images\": \"\"}";
  char arguments[2 * PATH_MAX + 16];
  said s = TOOL_OK("gr\xc3\xb6\xc3\x9f"
                   "e | \xf0\x9f\x98\x80:2",
                   QUICK, ALL, "-n", "1", "--seed", "5", "--model-name", "ImageNet 1024", "-o", "a.png");
  forget(&s);
  put_file(in_scratch("wanted"), wanted, sizeof wanted - 1);
  snprintf(arguments, sizeof arguments, "'%s' '%s'", in_scratch("a.png"), in_scratch("wanted"));
  run_peer(__FILE__, "stegano_peer.py", "stegano", arguments);
}

Test(metadata, exiftool_shows_the_fields)
{
  static const char *const names[] = {"a.png", "a.jpg", "a.webp"};
  static const vq_image_format formats[] = {VQ_IMAGE_PNG, VQ_IMAGE_JPEG, VQ_IMAGE_WEBP};
  if (system("exiftool -ver >/dev/null 2>&1"))
    skip_test("no exiftool: the XMP fields are not compared");
  for (int i = 0; i < 3; i++) {
    size_t bytes;
    if (!has(formats[i]))
      continue;
    said s = TOOL_OK("a cat", QUICK, ALL, "-n", "1", "--seed", "5", "-o", names[i]);
    forget(&s);
    char line[3 * PATH_MAX];
    snprintf(line, sizeof line, "exiftool -validate -XMP-dc:all -a -S '%s' >'%s' 2>&1", in_scratch(names[i]),
             in_scratch("shown"));
    cr_assert(system(line) == 0);
    char *shown = (char *)get_file(in_scratch("shown"), &bytes);
    static const char *const lines[] = {"Validate: OK", "Creator: VQGAN+CLIP", "Title: a cat",
                                        "Model: ", "Seed: 5"};
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++)
      cr_expect(strstr(shown, lines[k]), "%s: no \"%s\" in\n%s", names[i], lines[k], shown);
    free(shown);
    /* and what exiftool writes, we read */
    snprintf(line, sizeof line, "exiftool -q -overwrite_original -XMP-dc:Title='a dog' '%s'", in_scratch(names[i]));
    cr_assert(system(line) == 0);
    if (!reads_xmp())
      continue;
    json_t *o = revealed(in_scratch(names[i]));
    cr_expect_str_eq(text_at(o, "notebook", "xmp", "title"), "a dog", "%s", names[i]);
    json_decref(o);
  }
}

/* ---- damage ---- */

static vq_status try_reveal(const char *path)
{
  json_t *found;
  vq_status status = vq_reveal(&found, path);
  if (!status)
    json_decref(found);
  return status;
}

/* A short seeded run of what tests/fuzz/fuzz_metadata.c does for as long as it is let. */
Test(metadata, survives_damage)
{
  static const char *const names[] = {"a.png", "a.jpg", "a.webp"};
  static const vq_image_format formats[] = {VQ_IMAGE_PNG, VQ_IMAGE_JPEG, VQ_IMAGE_WEBP};
  vq_notebook_fields f = {"a | b", 3, "m", 4, false};
  char *message = vq_notebook_message(&f), *packet = vq_notebook_xmp(&f, "{\"version\":\"0\"}");
  for (int i = 0; i < 3; i++) {
    vq_image image = pattern(40, 12);
    const char *pairs[] = {"vqgen", "{\"step\":1}", "parameters", "a\nNegative prompt: b\nSteps: 1, A: \"b, c\""};
    vq_image_extras extras = {pairs, 2, packet, 90};
    if (!has(formats[i]))
      continue;
    expect_ok(vq_stegano_hide(&image, message));
    expect_ok(vq_image_write(in_scratch(names[i]), formats[i], &image, &extras));
    plant_damage(in_scratch(names[i]), 3000, try_reveal);
    vq_image_free(&image);
  }
  if (!try_reveal(DATA("a1111.jpg")))
    plant_damage(DATA("a1111.jpg"), 3000, try_reveal);
  if (!try_reveal(DATA("a1111.webp")))
    plant_damage(DATA("a1111.webp"), 3000, try_reveal);
  free(message);
  free(packet);
}
