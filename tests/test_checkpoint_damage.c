/* test_checkpoint_damage.c -- files that are not what they claim: each has its error, none runs, none takes the machine. */
#include "tests/zip_maker.h"

#include "loaders/checkpoint.h"
#include "loaders/pickle.h"

#include <sys/stat.h>

TestSuite(checkpoint_damage, .init = scratch_create, .fini = scratch_remove);

#define MADE VQ_SOURCE_ROOT "/tests/data/checkpoints/"

/* Opens, reads every tensor, closes. */
static vq_status try_all(const char *path)
{
  vq_checkpoint *c;
  vq_status status = vq_checkpoint_open(&c, path);
  if (status) {
    cr_expect_null(c);
    return status;
  }
  for (int i = 0; i < vq_checkpoint_count(c) && !status; i++) {
    void *out = malloc(vq_checkpoint_at(c, i)->bytes + 1);
    status = vq_checkpoint_read(c, i, out);
    free(out);
  }
  vq_checkpoint_close(c);
  return status;
}

/* ---- what the download brought instead ---- */

static const struct {
  const char *bytes;
  size_t n;
  const char *words;
} others[] = {
#define FILE_OF(text) text, sizeof(text) - 1
    {FILE_OF(""), "is empty"},
    {FILE_OF("<!DOCTYPE html><html><title>404</title>"), "a web page; the download did not bring the file"},
    {FILE_OF("\r\n <html>Quota exceeded"), "a web page"},
    {FILE_OF("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"), "git lfs pull"},
    {FILE_OF("\x1f\x8b\x08\0\0\0\0\0\0\0"), "gzip"},
    {FILE_OF("GGUF\3\0\0\0\0\0\0\0"), "GGUF"},
    {FILE_OF("{\"a\": 1}"), "no index of a network's files"},
    {FILE_OF("{\"weight_map\": {}}"), "no weight_map"},
    {FILE_OF("{\"weight_map\": "), "is damaged"},
    {FILE_OF("{\"weight_map\": {\"w\": \"../w.safetensors\"}}"), "in one folder"},
    {FILE_OF("{\"weight_map\": {\"w\": 1}}"), "no file for tensor 'w'"},
    {FILE_OF("no checkpoint at all"), "is not a checkpoint"},
    {FILE_OF("\x80\x02}q\0."), "none that PyTorch's torch.save has written"},
};

Test(checkpoint_damage, other_files)
{
  vq_checkpoint *c;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    const char *path = in_scratch("other.ckpt");
    put_file(path, others[i].bytes, others[i].n);
    expect_error(vq_checkpoint_open(&c, path), VQ_ERR_FORMAT, path, others[i].words);
  }
  char tar[512] = "checkpoint";
  memcpy(tar + 257, "ustar", 5);
  put_file(in_scratch("a.pt"), tar, sizeof tar);
  expect_error(vq_checkpoint_open(&c, in_scratch("a.pt")), VQ_ERR_FORMAT, "a tar archive; unpack it first");
  expect_error(vq_checkpoint_open(&c, in_scratch("none.ckpt")), VQ_ERR_FILE, "none.ckpt", "check the spelling");
  expect_error(vq_checkpoint_open(&c, NULL), VQ_ERR_FILE, "no name");
  expect_error(vq_checkpoint_open(&c, scratch), VQ_ERR_FILE, scratch, "model.safetensors");
  put_file(in_scratch("i.json"), FILE_OF("{\"weight_map\": {\"w\": \"gone.safetensors\"}}"));
  expect_error(vq_checkpoint_open(&c, in_scratch("i.json")), VQ_ERR_FILE, "i.json", "gone.safetensors");
  put_file(in_scratch("i.json"), FILE_OF("{\"weight_map\": {\"w\": \"i.json\"}}")); /* itself */
  expect_error(vq_checkpoint_open(&c, in_scratch("i.json")), VQ_ERR_FORMAT, "tensor 'w' should be in 'i.json'");
}

/* ---- truncated downloads: how much is missing ---- */

/* The pickle and its 100000 numbers as an archive. */
static void put_whole(const char *path, const made_pickle *p)
{
  float *numbers = calloc(100000, sizeof *numbers);
  zip_maker z;
  zip_begin(&z, path);
  zip_stored(&z, "a/data.pkl", p->data, p->bytes);
  zip_stored(&z, "a/data/0", numbers, 400000);
  zip_end(&z, false);
  free(numbers);
}

Test(checkpoint_damage, truncated)
{
  const char *path = in_scratch("a.ckpt");
  made_pickle p = {.bytes = 0};
  long long whole = 0, there = 0, missing = 0;
  struct stat found;
  PICKLE(&p, "\x80\2}X\1\0\0\0w");
  pickle_vector(&p, 100000, 0, 100000, 1);
  PICKLE(&p, "s.");
  put_whole(path, &p);
  expect_ok(try_all(path));
  cr_assert(truncate(path, 300000) == 0);
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "get it again");
  cr_assert_eq(sscanf(strstr(vq_error_message(), "its tensors"),
                      "its tensors alone have %lld bytes, the file has %lld, so at least %lld", &whole, &there,
                      &missing),
               3, "%s", vq_error_message());
  cr_expect_eq(there, 300000);
  cr_expect_eq(missing, whole - there);
  cr_expect(missing > 100000 && missing < 100000 + 1000, "%lld", missing);
  put_whole(path, &p);
  cr_assert(!stat(path, &found) && truncate(path, found.st_size - 10) == 0); /* the numbers are there */
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "for each of 1 entries", "get it again");
  cr_assert(truncate(path, 100) == 0); /* in the pickle */
  expect_error(try_all(path), VQ_ERR_FORMAT, "truncated", "cannot be told");

  /* The older form has its numbers last: 24 bytes less are 24 bytes less, and one storage's count of 8 lies before them. */
  size_t bytes;
  uint8_t *data = get_file(MADE "legacy-new.ckpt", &bytes);
  put_file(path, data, bytes - 24);
  free(data);
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "so 24 are missing");

  data = get_file(MADE "dict.safetensors", &bytes);
  put_file(path, data, bytes - 24);
  free(data);
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "so 24 are missing");
}

Test(checkpoint_damage, overlapping_offsets)
{
  static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}";
  const char *path = in_scratch("a.safetensors");
  char file[8 + sizeof header - 1 + 16] = {sizeof header - 1};
  memcpy(file + 8, header, sizeof header - 1);
  put_file(path, file, sizeof file);
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "'b' overlaps");
}

/* ---- pickles that ask for more than data ---- */

Test(checkpoint_damage, nothing_runs)
{
  static const char *const made[] = {"runs.ckpt", "runs-legacy.ckpt"};
  char path[PATH_MAX], before[PATH_MAX];
  vq_checkpoint *c;
  cr_assert(getcwd(before, sizeof before) && !chdir(scratch)); /* it would make a file here */
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s%s", MADE, made[i]);
    expect_ok(vq_checkpoint_open(&c, path));
    cr_expect_eq(vq_checkpoint_count(c), 1);
    cr_expect_eq(vq_checkpoint_find(c, "state_dict.weight"), 0);
    cr_assert_eq(vq_checkpoint_notes(c), 1);
    cr_expect(strstr(vq_checkpoint_note(c, 0), "calls of 'posix.system': none was made"), "%s",
              vq_checkpoint_note(c, 0));
    vq_checkpoint_close(c);
  }
  expect_error(vq_checkpoint_open(&c, MADE "runs.pkl"), VQ_ERR_FORMAT, "runs.pkl",
               "calls of 'posix.system': none was made");
  cr_expect_eq(scratch_entries(), 0);
  cr_assert(!chdir(before));
}

static const struct {
  const char *bytes;
  size_t n;
  vq_status code;
  const char *words;
} pickles[] = {
    {FILE_OF("\x80\2}."), VQ_OK, NULL},
    {FILE_OF("]q\0h\0a."), VQ_OK, NULL}, /* a list in itself */
    {FILE_OF("\x80\2"), VQ_ERR_FORMAT, "ends in the middle"},
    {FILE_OF("\x80"), VQ_ERR_FORMAT, "ends in the middle"},
    {FILE_OF("\x80\6}."), VQ_ERR_UNSUPPORTED, "protocol 6"},
    {FILE_OF("."), VQ_ERR_FORMAT, "takes more from its stack"},
    {FILE_OF("(0."), VQ_ERR_FORMAT, "takes more from its stack"},
    {FILE_OF("N(R."), VQ_ERR_FORMAT, "takes more from its stack"},
    {FILE_OF("0."), VQ_ERR_FORMAT, "takes more from its stack"},
    {FILE_OF("t."), VQ_ERR_FORMAT, "no mark"},
    {FILE_OF("1."), VQ_ERR_FORMAT, "no mark"},
    {FILE_OF("S'a'\n."), VQ_ERR_UNSUPPORTED, "opcode 0x53"},
    {FILE_OF("h\1."), VQ_ERR_FORMAT, "does not remember"},
    {FILE_OF("Nq\5h\4."), VQ_ERR_FORMAT, "does not remember"},
    {FILE_OF("Nr\xff\xff\xff\x7f."), VQ_ERR_FORMAT, "remembers more"},
    {FILE_OF("(Nd."), VQ_ERR_FORMAT, "no value"},
    {FILE_OF("}(Nu."), VQ_ERR_FORMAT, "no value"},
    {FILE_OF("NNa."), VQ_ERR_FORMAT, "holds none"},
    {FILE_OF("]NNs."), VQ_ERR_FORMAT, "holds none"},
    {FILE_OF("NNb."), VQ_ERR_FORMAT, "takes none"},
    {FILE_OF("ca\x1b\n\n."), VQ_ERR_FORMAT, "no text"},
    {FILE_OF("NN\x93."), VQ_ERR_FORMAT, "no text"},
    {FILE_OF("ca\nb."), VQ_ERR_FORMAT, "ends in the middle"},
    {FILE_OF("X\xff\xff\xff\xff."), VQ_ERR_FORMAT, "ends in the middle"},
    {FILE_OF("\x8e\xff\xff\xff\xff\xff\xff\xff\xff."), VQ_ERR_FORMAT, "ends in the middle"},
    {FILE_OF("\x8b\xff\xff\xff\xff."), VQ_ERR_FORMAT, "ends in the middle"},
    {FILE_OF("G\0\0."), VQ_ERR_FORMAT, "ends in the middle"},
};

static void put_archive(const char *path, const void *pickle, size_t bytes)
{
  static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  zip_maker z;
  zip_begin(&z, path);
  zip_stored(&z, "a/data.pkl", pickle, bytes);
  zip_stored(&z, "a/data/0", numbers, sizeof numbers);
  zip_end(&z, false);
}

Test(checkpoint_damage, pickles)
{
  const char *path = in_scratch("a.ckpt");
  for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
    put_archive(path, pickles[i].bytes, pickles[i].n);
    if (pickles[i].code)
      expect_error(try_all(path), pickles[i].code, path, pickles[i].words);
    else
      expect_ok(try_all(path));
  }
}

/* Numbers as Python has them. */
Test(checkpoint_damage, numbers)
{
  static const char all[] = "(K\xffM\xff\xffJ\xff\xff\xff\xff\x8a\0\x8a\1\xff\x8a\3\0\0\1\x8a\x08\0\0\0\0\0\0\0\x80"
                            "G\xc0\x04\0\0\0\0\0\0t.";
  static const int64_t want[] = {255, 65535, -1, 0, -1, 65536, INT64_MIN};
  vq_pickle p;
  expect_ok(vq_pickle_read(&p, all, sizeof all - 1));
  cr_expect_eq(p.bytes, sizeof all - 1);
  for (size_t i = 0; i < 7; i++)
    cr_expect_eq(vq_pickle_at(p.root, i)->integer, want[i], "%zu", i);
  cr_expect_eq(vq_pickle_at(p.root, 7)->number, -2.5);
  cr_expect_null(vq_pickle_at(p.root, 8));
  vq_pickle_free(&p);
}

/* A download that has brought the index and not all that it names. */
Test(checkpoint_damage, a_file_of_several_is_missing)
{
  const char *path = in_scratch("model.safetensors.index.json");
  size_t bytes;
  uint8_t *data = get_file(VQ_SOURCE_ROOT "/tests/data/checkpoints/shards/model.safetensors.index.json", &bytes);
  put_file(path, data, bytes);
  free(data);
  expect_error(try_all(path), VQ_ERR_FILE, path, "model-00001-of-00002.safetensors", "get that file too");
}

/* A little text that describes a great tree. */
Test(checkpoint_damage, trees)
{
  const char *path = in_scratch("a.ckpt");
  made_pickle p = {.bytes = 0};
  for (int i = 0; i < 200; i++)
    PICKLE(&p, "]");
  for (int i = 0; i < 199; i++)
    PICKLE(&p, "a");
  PICKLE(&p, ".");
  put_archive(path, p.data, p.bytes);
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "nests more than 128");

  p.bytes = 0;
  PICKLE(&p, "]");
  for (int i = 0; i < 60; i++) /* each a pair of the one before it, twice: 2^60 leaves */
    PICKLE(&p, "q\1h\1\x86");
  PICKLE(&p, ".");
  put_archive(path, p.data, p.bytes);
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "far more than it holds");
}

/* Vectors out of 8 stored numbers. */
static const struct {
  int64_t stored, first, elements, stride;
  const char *words; /* NULL: read */
} vectors[] = {
    {8, 0, 8, 1, NULL},
    {8, 2, 4, 2, "reaches beyond its 8"},
    {8, 0, 4, 2, NULL},
    {8, 7, 1, 1000, NULL},
    {8, 8, 0, 1, NULL},
    {8, 8, 1, 1, "reaches beyond"},
    {9, 0, 9, 1, "should have 36 bytes and has 32"},
    {8, -1, 1, 1, "shape is damaged"},
    {8, 0, -1, 1, "shape is damaged"},
    {8, 0, 4, -1, "shape is damaged"},
    {-8, 0, 1, 1, "no valid size"},
    {INT64_MAX, 0, 1, 1, "no valid size"},
    {8, 0, 1 << 20, 0, "made to harm"},
    {8, 0, INT64_MAX, 1, "larger than any file"},
    {8, 0, INT64_MAX / 2, 4, "larger than any file"},
    {8, INT64_MAX, 8, 1, "reaches beyond"},
};

Test(checkpoint_damage, shapes)
{
  const char *path = in_scratch("a.ckpt");
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    made_pickle p = {.bytes = 0};
    PICKLE(&p, "}X\1\0\0\0w");
    pickle_vector(&p, vectors[i].stored, vectors[i].first, vectors[i].elements, vectors[i].stride);
    PICKLE(&p, "s.");
    put_archive(path, p.data, p.bytes);
    if (vectors[i].words)
      expect_error(try_all(path), VQ_ERR_FORMAT, path, "tensor 'w'", vectors[i].words);
    else
      cr_expect_eq(try_all(path), VQ_OK, "%zu: %s", i, vq_error_message());
  }
}

/* ---- archives ---- */

enum {
  MODEL,
  OTHER_NAME,
  NO_PICKLE,
  NO_STORAGE,
  ENCRYPTED,
  METHOD,
  OVERLAP,
  TWICE,
  BEYOND,
  LIE,
  BOMB,
  PICKLE_BOMB,
  BAD_CRC,
  BIG_END,
  ARCHIVES
};

static const struct {
  vq_status code;
  const char *words;
} archives[ARCHIVES] = {
    [MODEL] = {VQ_OK, NULL},
    [OTHER_NAME] = {VQ_ERR_FORMAT, "another name"},
    [NO_PICKLE] = {VQ_ERR_FORMAT, "no data.pkl"},
    [NO_STORAGE] = {VQ_ERR_FORMAT, "tensor 'w': its numbers, entry 'a/data/0'"},
    [ENCRYPTED] = {VQ_ERR_UNSUPPORTED, "encrypted"},
    [METHOD] = {VQ_ERR_UNSUPPORTED, "method 12"},
    [OVERLAP] = {VQ_ERR_FORMAT, "overlap"},
    [TWICE] = {VQ_ERR_FORMAT, "occurs twice"},
    [BEYOND] = {VQ_ERR_FORMAT, "beyond the end"},
    [LIE] = {VQ_ERR_FORMAT, "but has 33"},
    [BOMB] = {VQ_ERR_FORMAT, "which no deflated entry can"},
    [PICKLE_BOMB] = {VQ_ERR_FORMAT, "made to harm"},
    [BAD_CRC] = {VQ_ERR_FORMAT, "checksum is wrong"},
    [BIG_END] = {VQ_ERR_UNSUPPORTED, "high byte first"},
};

static void put_bad_archive(const char *path, int kind)
{
  static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  static const char zeros[8 << 20];
  made_pickle p = {.bytes = 0};
  made_entry *pickle, *storage;
  zip_maker z;
  PICKLE(&p, "}X\1\0\0\0w");
  pickle_vector(&p, 8, 0, 8, 1);
  PICKLE(&p, "s.");
  zip_begin(&z, path);
  if (kind == PICKLE_BOMB)
    pickle = zip_deflated(&z, "a/data.pkl", zeros, sizeof zeros);
  else
    pickle = zip_stored(&z, kind == NO_PICKLE ? "a/data" : "a/data.pkl", p.data, p.bytes);
  if (kind == BOMB || kind == BAD_CRC)
    storage = zip_deflated(&z, "a/data/0", numbers, sizeof numbers);
  else
    storage = zip_stored(&z, kind == NO_STORAGE ? "a/data/1" : "a/data/0", numbers, sizeof numbers);
  if (kind == TWICE)
    zip_stored(&z, "a/data/0", numbers, sizeof numbers);
  if (kind == BIG_END)
    zip_stored(&z, "a/byteorder", "big", 3);
  switch (kind) {
  case OTHER_NAME: pickle->name[0] = 'b'; break;
  case ENCRYPTED: storage->flags = 1; break;
  case METHOD: storage->method = 12; break;
  case OVERLAP: pickle->packed = pickle->bytes += 40; break;
  case BEYOND: storage->packed = storage->bytes = 1000; break;
  case LIE: storage->bytes++; break;
  case BOMB: storage->bytes = 4000000000; break;
  case BAD_CRC: storage->crc ^= 1; break;
  default: break;
  }
  zip_end(&z, false);
}

Test(checkpoint_damage, archives)
{
  const char *path = in_scratch("a.ckpt");
  for (int i = 0; i < ARCHIVES; i++) {
    put_bad_archive(path, i);
    if (archives[i].code)
      expect_error(try_all(path), archives[i].code, path, archives[i].words);
    else
      expect_ok(try_all(path));
  }
  put_file(path, "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22); /* empty, and whole */
  expect_error(try_all(path), VQ_ERR_FORMAT, path, "no data.pkl");
}

/* 5 GB, of which the disk has a page or two: the tensors lie before and after a hole. */
Test(checkpoint_damage, zip64)
{
  const char *path = in_scratch("a.ckpt");
  const uint64_t hole = 5000000000;
  float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8}, read[8];
  made_pickle p = {.bytes = 0};
  vq_checkpoint *c;
  uint64_t bytes;
  zip_maker z;
  zip_begin(&z, path);
  zip_header(&z, "a/data/1", hole);
  if (fseeko(z.file, (off_t)hole, SEEK_CUR) || fputc(0, z.file) || fflush(z.file)) {
    fclose(z.file);
    skip_test("no file of 5 GB with a hole in it can be made here");
  }
  fseeko(z.file, -1, SEEK_CUR);
  PICKLE(&p, "}X\1\0\0\0w");
  pickle_vector(&p, 8, 0, 8, 1);
  PICKLE(&p, "s.");
  zip_stored(&z, "a/data.pkl", p.data, p.bytes);
  zip_stored(&z, "a/data/0", numbers, sizeof numbers);
  zip_end(&z, true);
  expect_ok(vq_checkpoint_open(&c, path));
  cr_assert_eq(vq_checkpoint_count(c), 1);
  expect_ok(vq_checkpoint_read(c, 0, read));
  cr_expect(!memcmp(numbers, read, sizeof read));
  vq_checkpoint_file(c, 0, &bytes);
  cr_expect(bytes > hole);
  vq_checkpoint_close(c);
}

/* ---- damage at random ---- */

Test(checkpoint_damage, survives)
{
  static const char *const made[] = {"zip-1.13.ckpt", "legacy-1.13.ckpt"};
  for (int i = 0; i < 2; i++) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s", MADE, made[i]);
    cr_expect_eq(plant_damage(path, 1000, try_all), 0, "%s: a truncated file was taken for whole", path);
  }
}
