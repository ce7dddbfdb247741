/* test_safetensors.c -- round trips, every refusal, planted damage, and the reference implementation as a peer. */
#include "tests/scratch.h"

#include "loaders/safetensors.h"

TestSuite(safetensors, .init = scratch_create, .fini = scratch_remove);

static const float f32[6] = {0, 1, -2, 3.5f, 1e-40f, 3e38f};
static const uint16_t f16[3] = {0x3c00, 0xc000, 0x0001};
static const int64_t i64[1] = {-7};
static const uint8_t u8[5] = {1, 2, 3, 4, 255};

/* Of several widths, in an order that is not the file's; as safetensors_peer.py makes them. */
static const vq_file_tensor tensors[] = {
    {"u8", VQ_FILE_U8, 1, {5}, u8, sizeof u8},          {"z.weight", VQ_FILE_F32, 2, {2, 3}, f32, sizeof f32},
    {"half", VQ_FILE_F16, 1, {3}, f16, sizeof f16},     {"brain", VQ_FILE_BF16, 1, {3}, f16, sizeof f16},
    {"a.weight", VQ_FILE_F32, 1, {6}, f32, sizeof f32}, {"scalar", VQ_FILE_I64, 0, {0}, i64, sizeof i64},
    {"empty", VQ_FILE_F32, 2, {0, 4}, NULL, 0},         {"\xc3\xa9\"\\\n", VQ_FILE_BOOL, 2, {1, 2}, u8, 2},
};
#define TENSORS ((int)(sizeof tensors / sizeof *tensors))
static const char *const pairs[] = {"prompt", "ein K\xc3\xa4se \"im\" Wald"};

static const char *written(void)
{
  const char *path = in_scratch("a.safetensors");
  expect_ok(vq_safetensors_write(path, tensors, TENSORS, pairs, 1));
  return path;
}

static void expect_all(const char *path)
{
  vq_safetensors *f;
  expect_ok(vq_safetensors_open(&f, path));
  cr_expect_eq(vq_safetensors_count(f), TENSORS);
  for (int i = 0; i < TENSORS; i++) {
    const vq_file_tensor *want = &tensors[i], *got = vq_safetensors_find(f, want->name);
    cr_assert(got, "no %s", want->name);
    cr_expect_str_eq(got->name, want->name);
    cr_expect(got->dtype == want->dtype && got->rank == want->rank && got->bytes == want->bytes, "%s", want->name);
    cr_expect(!memcmp(got->dim, want->dim, (size_t)want->rank * sizeof *want->dim), "%s", want->name);
    cr_expect(!want->bytes || !memcmp(got->data, want->data, want->bytes), "%s", want->name);
  }
  for (int i = 1; i < vq_safetensors_count(f); i++)
    cr_expect(strcmp(vq_safetensors_at(f, i - 1)->name, vq_safetensors_at(f, i)->name) < 0);
  cr_expect_null(vq_safetensors_find(f, "none"));
  cr_expect_null(vq_safetensors_find(f, ""));
  cr_expect_str_eq(vq_safetensors_metadata(f, "prompt"), pairs[1]);
  cr_expect_null(vq_safetensors_metadata(f, "none"));
  vq_safetensors_close(f);
}

Test(safetensors, round_trip)
{
  expect_all(written());
  cr_expect_eq(scratch_entries(), 1);
}

Test(safetensors, nothing_in_it)
{
  const char *path = in_scratch("a");
  vq_safetensors *f;
  int count;
  expect_ok(vq_safetensors_write(path, NULL, 0, NULL, 0));
  expect_ok(vq_safetensors_open(&f, path));
  cr_expect_eq(vq_safetensors_count(f), 0);
  cr_expect_null(vq_safetensors_find(f, "x"));
  cr_expect_null(vq_safetensors_metadata(f, "x"));
  vq_safetensors_metadata_pairs(f, &count);
  cr_expect_eq(count, 0);
  vq_safetensors_close(f);
}

Test(safetensors, metadata_keeps_its_order)
{
  const char *const many[] = {"z", "1", "a", "", "m", "3"};
  const char *path = in_scratch("a");
  const char *const *got;
  vq_safetensors *f;
  int count;
  expect_ok(vq_safetensors_write(path, NULL, 0, many, 3));
  expect_ok(vq_safetensors_open(&f, path));
  got = vq_safetensors_metadata_pairs(f, &count);
  cr_assert_eq(count, 3);
  for (int i = 0; i < 6; i++)
    cr_expect_str_eq(got[i], many[i]);
  vq_safetensors_close(f);
}

/* What the writer refuses, and that it then leaves nothing. */
Test(safetensors, write_refusals)
{
  const char *path = in_scratch("a.safetensors");
  vq_file_tensor two[2] = {tensors[0], tensors[1]};
  two[1].name = "u8";
  expect_error(vq_safetensors_write(path, two, 2, NULL, 0), VQ_ERR_ARGUMENT, path, "'u8' occurs twice");
  two[1].name = "__metadata__";
  expect_error(vq_safetensors_write(path, two, 2, NULL, 0), VQ_ERR_ARGUMENT, path, "__metadata__");
  two[1].name = NULL;
  expect_error(vq_safetensors_write(path, two, 2, NULL, 0), VQ_ERR_ARGUMENT, path, "tensor 1 has no name");
  two[1].name = "\xff";
  expect_error(vq_safetensors_write(path, two, 2, NULL, 0), VQ_ERR_ARGUMENT, path, "UTF-8");
  two[1] = tensors[1], two[1].dim[0] = 3;
  expect_error(vq_safetensors_write(path, two, 2, NULL, 0), VQ_ERR_ARGUMENT, path, "z.weight");
  expect_error(vq_safetensors_write(path, two, 1, (const char *[]){"k", "\xff"}, 1), VQ_ERR_ARGUMENT, path, "'k'");
  expect_error(vq_safetensors_write(path, two, 1, (const char *[]){"k", "1", "k", "2"}, 2), VQ_ERR_ARGUMENT, path,
               "'k' occurs twice");
  expect_error(vq_safetensors_write(in_scratch("none/a"), two, 1, NULL, 0), VQ_ERR_WRITE, "none/a");
  cr_expect_eq(scratch_entries(), 0);
}

static vq_status try_open(const char *path)
{
  vq_safetensors *f = NULL;
  vq_status status = vq_safetensors_open(&f, path);
  for (int i = 0; !status && i < vq_safetensors_count(f); i++) {
    const vq_file_tensor *t = vq_safetensors_at(f, i);
    double *out = malloc(vq_file_tensor_count(t) * sizeof *out + 1);
    vq_file_tensor_read_f64(t, out);
    free(out);
  }
  vq_safetensors_close(f);
  return status;
}

Test(safetensors, survives_damage)
{
  cr_expect_eq(plant_damage(written(), 2000, try_open), 0, "a truncated file was taken for whole");
}

/* Header texts that are wrong in one way each; 16 bytes of tensors follow. */
static const struct {
  const char *header;
  vq_status code;
  const char *words;
} damage[] = {
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", VQ_OK, ""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}", VQ_ERR_FORMAT, "header is damaged"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}} x", VQ_ERR_FORMAT, "header is damaged"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
     VQ_ERR_FORMAT, "twice"},
    {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[16],\"data_offsets\":[0,16]}}", VQ_ERR_UNSUPPORTED, "'F8_E4M3'"},
    {"{\"a\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "'a' has no type"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "'a' has no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "'a' has no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "whole numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "-4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "12 bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT,
     "more bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,16]}}", VQ_ERR_FORMAT, "big"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]}}", VQ_ERR_UNSUPPORTED,
     "9 dimensions"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", VQ_ERR_FORMAT, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]}}", VQ_ERR_FORMAT, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", VQ_ERR_FORMAT, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}}", VQ_ERR_FORMAT, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]}}", VQ_ERR_FORMAT, "truncated"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", VQ_ERR_FORMAT, "4 bytes follow"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[4,16]}}", VQ_ERR_FORMAT, "gap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
     VQ_ERR_FORMAT, "overlaps"},
    {"{\"a\":[]}", VQ_ERR_FORMAT, "'a' has no type"},
    {"{\"__metadata__\":[]}", VQ_ERR_FORMAT, "__metadata__"},
    {"{\"__metadata__\":{\"k\":1}}", VQ_ERR_FORMAT, "'k' is no string"},
    {"{\"a\\u0000b\":1}", VQ_ERR_FORMAT, "header is damaged"},
};

Test(safetensors, damaged_headers)
{
  for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
    const char *path = in_scratch("bad.safetensors");
    uint8_t file[1024] = {0};
    uint64_t n = strlen(damage[i].header);
    vq_safetensors *f = NULL;
    memcpy(file, &n, 8);
    memcpy(file + 8, damage[i].header, n);
    put_file(path, file, 8 + n + 16);
    if (damage[i].code)
      expect_error(vq_safetensors_open(&f, path), damage[i].code, path, damage[i].words);
    else
      expect_ok(vq_safetensors_open(&f, path));
    cr_expect(!f == (damage[i].code != VQ_OK));
    vq_safetensors_close(f);
  }
}

Test(safetensors, length_of_the_header)
{
  const char *path = in_scratch("bad.safetensors");
  const struct {
    uint64_t n;
    const char *words;
  } lengths[] = {
      {0, "not a safetensors file"}, {1, "not a safetensors file"},         {19, "truncated"},
      {100000000, "truncated"},      {100000001, "not a safetensors file"}, {UINT64_MAX, "not a safetensors file"}};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    uint8_t file[26] = "12345678{}                ";
    vq_safetensors *f;
    memcpy(file, &lengths[i].n, 8);
    put_file(path, file, sizeof file);
    expect_error(vq_safetensors_open(&f, path), VQ_ERR_FORMAT, path, lengths[i].words);
  }
}

/* Files of other kinds, by their first bytes: what they are is said. */
static const struct {
  const char *bytes;
  size_t n;
  const char *words;
} others[] = {
    {"", 0, "empty"},
    {"\0\0", 2, "not a safetensors file"},
    {"PK\3\4\0\0\0\0\0\0\0\0", 12, "PyTorch"},
    {"\x80\2}q\0X\4\0\0\0\0\0", 12, "pickle"},
    {"<!DOCTYPE html><html>", 21, "web page"},
    {"\xef\xbb\xbf\r\n  <HTML lang=en>", 20, "web page"},
    {"version https://git-lfs.github.com/spec/v1\n", 43, "git lfs pull"},
    {"\x89PNG\r\n\x1a\n\0\0\0\0", 12, "PNG"},
    {"\xff\xd8\xff\xe0\0\0\0\0\0\0", 10, "JPEG"},
    {"\x93NUMPY\1\0\0\0\0\0", 12, "NumPy"},
    {"\x1f\x8b\x08\0\0\0\0\0\0\0\0\0", 12, "gzip"},
};

Test(safetensors, other_files)
{
  vq_safetensors *f;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    const char *path = in_scratch("other.safetensors");
    put_file(path, others[i].bytes, others[i].n);
    expect_error(vq_safetensors_open(&f, path), VQ_ERR_FORMAT, path, others[i].words);
    cr_expect_null(f);
  }
  expect_error(vq_safetensors_open(&f, in_scratch("none")), VQ_ERR_FILE, "none", "No such file");
  expect_error(vq_safetensors_open(&f, scratch), VQ_ERR_FILE, scratch, "folder");
  expect_error(vq_safetensors_open(&f, "/dev/null"), VQ_ERR_FILE, "/dev/null", "device");
  expect_error(vq_safetensors_open(&f, ""), VQ_ERR_FILE, "no name");
}

/* The peer reads what we wrote and writes it again from its own values: the same bytes; and its file reads the same. */
Test(safetensors, peer)
{
  char arguments[2 * PATH_MAX];
  const char *ours = written(), *theirs = in_scratch("theirs.safetensors");
  size_t n, m;
  snprintf(arguments, sizeof arguments, "'%s' '%s'", ours, theirs);
  run_peer(__FILE__, "safetensors_peer.py", "safetensors", arguments);
  expect_all(theirs);
  uint8_t *a = get_file(ours, &n), *b = get_file(theirs, &m);
  cr_expect(n == m && !memcmp(a, b, n), "the reference implementation writes other bytes");
  free(a);
  free(b);
}
