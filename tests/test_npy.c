/* test_npy.c -- round trips, every refusal, planted damage, and NumPy as a peer. */
#include "tests/scratch.h"

#include "loaders/npy.h"

TestSuite(npy, .init = scratch_create, .fini = scratch_remove);

static const uint8_t bytes24[24] = {0, 0, 128, 63, 1, 0,  0,  0,  0,  1,  1,  0,
                                    5, 6, 7,   8,  9, 10, 11, 12, 13, 14, 15, 16};

/* The same bytes as every type, with shapes of rank 0 to 3. */
static vq_file_tensor as_type(vq_file_dtype dtype, int rank)
{
  int64_t elements = (int64_t)(24 / vq_file_dtype_bytes(dtype));
  vq_file_tensor t = {.dtype = dtype, .rank = rank, .data = bytes24, .bytes = 24};
  if (rank == 0)
    t.bytes = vq_file_dtype_bytes(dtype);
  for (int i = 0; i < rank; i++)
    t.dim[i] = i == rank - 1 ? elements : 1;
  return t;
}

Test(npy, round_trip)
{
  for (vq_file_dtype d = 0; d < VQ_FILE_DTYPES; d++)
    for (int rank = 0; rank <= VQ_FILE_RANK && d != VQ_FILE_BF16; rank++) {
      const vq_file_tensor t = as_type(d, rank);
      vq_npy got;
      size_t n;
      expect_ok(vq_npy_write(in_scratch("a.npy"), &t));
      expect_ok(vq_npy_read(&got, in_scratch("a.npy")));
      cr_expect(got.tensor.dtype == d && got.tensor.rank == rank && got.tensor.bytes == t.bytes);
      cr_expect(!memcmp(got.tensor.dim, t.dim, sizeof t.dim) && !memcmp(got.data, bytes24, t.bytes));
      vq_npy_free(&got);
      free(get_file(in_scratch("a.npy"), &n));
      cr_expect_eq((n - t.bytes) % 64, 0);
    }
  cr_expect_eq(scratch_entries(), 1);
}

Test(npy, nothing_in_it)
{
  const vq_file_tensor t = {.dtype = VQ_FILE_F32, .rank = 2, .dim = {0, 3}};
  vq_npy got;
  expect_ok(vq_npy_write(in_scratch("a.npy"), &t));
  expect_ok(vq_npy_read(&got, in_scratch("a.npy")));
  cr_expect(got.tensor.bytes == 0 && got.tensor.dim[1] == 3);
  vq_npy_free(&got);
}

static const struct {
  const char *header;
  size_t data;
  vq_status code;
  const char *words;
} headers[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n", 8, VQ_OK, ""},
    {"{'shape':(2),'fortran_order':False,'descr':'<f4'}", 8, VQ_OK, ""},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", 8, VQ_ERR_UNSUPPORTED, "Fortran"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8, VQ_ERR_UNSUPPORTED, "'>f4'"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", 8, VQ_ERR_UNSUPPORTED, "'|O'"},
    {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8, VQ_ERR_UNSUPPORTED, "records"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", 8, VQ_ERR_UNSUPPORTED, "8 dim"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7, VQ_ERR_FORMAT, "truncated"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 12, VQ_ERR_FORMAT, "12 bytes"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4), }", 8, VQ_ERR_FORMAT,
     "impossible"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 8, VQ_ERR_FORMAT, "damaged"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8, VQ_ERR_FORMAT, "damaged"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", 8, VQ_ERR_FORMAT, "damaged"},
    {"{'descr': '<f4', 'fortran_order': False, }", 4, VQ_ERR_FORMAT, "damaged"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, VQ_ERR_FORMAT, "damaged"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", 8, VQ_ERR_FORMAT, "damaged"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8, VQ_ERR_FORMAT, "damaged"},
    {"", 8, VQ_ERR_FORMAT, "damaged"},
};

Test(npy, headers)
{
  for (int version = 1; version <= 3; version++)
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
      const char *path = in_scratch("a.npy");
      uint8_t file[256] = "\x93NUMPY";
      size_t n = strlen(headers[i].header), start = version == 1 ? 10 : 12;
      vq_npy got;
      file[6] = (uint8_t)version;
      file[8] = (uint8_t)n;
      memcpy(file + start, headers[i].header, n);
      put_file(path, file, start + n + headers[i].data);
      if (headers[i].code)
        expect_error(vq_npy_read(&got, path), headers[i].code, path, headers[i].words);
      else
        expect_ok(vq_npy_read(&got, path));
      vq_npy_free(&got);
    }
}

Test(npy, other_refusals)
{
  const vq_file_tensor bf16 = as_type(VQ_FILE_BF16, 1);
  const char *path = in_scratch("a.npy");
  vq_file_tensor bad = as_type(VQ_FILE_F32, 1);
  vq_npy got;
  expect_error(vq_npy_write(path, &bf16), VQ_ERR_UNSUPPORTED, path, "BF16");
  bad.dim[0]++;
  expect_error(vq_npy_write(path, &bad), VQ_ERR_ARGUMENT, path);
  bad.dim[0]--;
  expect_error(vq_npy_write(in_scratch("none/a.npy"), &bad), VQ_ERR_WRITE, "none/a.npy");
  cr_expect_eq(scratch_entries(), 0);
  expect_error(vq_npy_read(&got, path), VQ_ERR_FILE, path);
  put_file(path, "\x93NUMPY\4\0\0\0\0\0", 12);
  expect_error(vq_npy_read(&got, path), VQ_ERR_UNSUPPORTED, path, "4.0");
  put_file(path, "\x93NUMPY\1\0\3\0{}", 12);
  expect_error(vq_npy_read(&got, path), VQ_ERR_FORMAT, path, "should have 3 bytes");
  put_file(path, "PK\3\4\0\0\0\0\0\0\0\0", 12);
  expect_error(vq_npy_read(&got, path), VQ_ERR_FORMAT, path, "zip");
}

static vq_status try_read(const char *path)
{
  vq_npy got;
  vq_status status = vq_npy_read(&got, path);
  vq_npy_free(&got);
  return status;
}

Test(npy, survives_damage)
{
  const vq_file_tensor t = as_type(VQ_FILE_F32, 2);
  expect_ok(vq_npy_write(in_scratch("a.npy"), &t));
  cr_expect_eq(plant_damage(in_scratch("a.npy"), 2000, try_read), 0, "a truncated file was taken for whole");
}

Test(npy, peer)
{
  char arguments[PATH_MAX];
  const vq_file_dtype types[] = {VQ_FILE_F32, VQ_FILE_F64, VQ_FILE_I32, VQ_FILE_I64, VQ_FILE_U8, VQ_FILE_F16};
  const char *const names[] = {"f4", "f8", "i4", "i8", "u1", "f2"};
  vq_npy got;
  for (int i = 0; i < 6; i++) {
    char name[16];
    const vq_file_tensor t = as_type(types[i], i % 4);
    snprintf(name, sizeof name, "%s.npy", names[i]);
    expect_ok(vq_npy_write(in_scratch(name), &t));
  }
  snprintf(arguments, sizeof arguments, "'%s'", scratch);
  run_peer(__FILE__, "npy_peer.py", "numpy", arguments);
  for (int i = 0; i < 6; i++) {
    char name[32];
    const vq_file_tensor t = as_type(types[i], i % 4);
    snprintf(name, sizeof name, "%s_theirs.npy", names[i]);
    expect_ok(vq_npy_read(&got, in_scratch(name)));
    cr_expect(got.tensor.dtype == t.dtype && got.tensor.rank == t.rank && got.tensor.bytes == t.bytes);
    cr_expect(!memcmp(got.tensor.dim, t.dim, sizeof t.dim) && !memcmp(got.data, bytes24, t.bytes));
    vq_npy_free(&got);
  }
  expect_error(vq_npy_read(&got, in_scratch("fortran.npy")), VQ_ERR_UNSUPPORTED, "Fortran");
}
