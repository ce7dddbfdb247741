/* test_ops_golden.c -- the rows of tests/cases.h against PyTorch in float64. Built as float and as double.
 *
 * tests/data/ops/ROW.safetensors holds a row's inputs, dy, and what PyTorch makes of them (tests/compare/goldens.py). Output
 * and every gradient are compared by |ours - theirs| / |theirs|, Euclidean over the whole tensor. Ours rounds after every
 * operation, theirs as good as never. The sums of these rows have at most some hundred terms and the norms and the softmax
 * magnify by at most about ten: 1e-5 is some hundred roundings of a float, 1e-10 far from those of a double and far below
 * what any change to a formula makes.
 */
#include "cases.h"

#include "loaders/safetensors.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VQ_DOUBLE
#define TOLERANCE 1e-10
#else
#define TOLERANCE 1e-5
#endif

#define FOLDER VQ_TEST_DATA "/ops"

static void path_of(const vq_case *c, char path[512])
{
  size_t start = strlen(FOLDER) + 1;
  snprintf(path, 512, FOLDER "/%s.safetensors", c->name);
  for (char *p = path + start; *p; p++)
    if (*p == ' ' || *p == ',')
      *p = '_';
}

static bool exists(const vq_case *c)
{
  char path[512];
  path_of(c, path);
  FILE *file = fopen(path, "rb");
  if (file)
    fclose(file);
  return file != NULL;
}

static struct criterion_test_params rows_with_a_file(void)
{
  static int number[512];
  int count = 0;
  for (int i = 0; vq_case_at(i); i++)
    if (exists(vq_case_at(i)))
      number[count++] = i;
  return cr_make_param_array(int, number, (size_t)count);
}

/* Every op has a golden file, and no file is left that no row reads. */
Test(golden, every_op_has_a_file_and_every_file_a_row)
{
  int files = 0, rows = 0;
  for (const vq_op *const *op = vq_ops; *op; op++) {
    bool found = false;
    for (int i = 0; vq_case_at(i); i++)
      found = found || (vq_case_at(i)->op == *op && exists(vq_case_at(i)));
    cr_expect(found, "%s has no golden file", (*op)->name);
  }
  for (int i = 0; vq_case_at(i); i++)
    rows += exists(vq_case_at(i));
  DIR *folder = opendir(FOLDER);
  cr_assert(folder, "%s is not there", FOLDER);
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
    files += strstr(entry->d_name, ".safetensors") != NULL;
  closedir(folder);
  cr_expect(files == rows, "%d files in %s, of which rows read %d", files, FOLDER, rows);
}

static const vq_file_tensor *must_find(const vq_safetensors *file, const vq_case *c, const char *name)
{
  const vq_file_tensor *t = vq_safetensors_find(file, name);
  cr_assert(t, "%s: the golden file has no '%s'", c->name, name);
  return t;
}

static vq_real *read_real(const vq_file_tensor *t)
{
  vq_real *host = malloc((vq_file_tensor_count(t) + 1) * sizeof *host);
#ifdef VQ_DOUBLE
  vq_file_tensor_read_f64(t, host);
#else
  vq_file_tensor_read_f32(t, host);
#endif
  return host;
}

/* An input of the row in the type that the row wants it in; NULL where one is left out. */
static void *read_input(const vq_safetensors *file, const vq_case *c, int i)
{
  const vq_input *in = &c->in[i];
  char name[8];
  snprintf(name, sizeof name, "in%d", i);
  if (in->kind == VQ_INPUT_NONE)
    return NULL;
  const vq_file_tensor *t = must_find(file, c, name);
  bool fits = t->rank == in->rank;
  for (int d = 0; fits && d < t->rank; d++)
    fits = t->dim[d] == in->dim[d];
  cr_assert(fits, "%s: %s has another shape in the golden file", c->name, name);
  if (in->kind == VQ_INPUT_F64) {
    double *doubles = malloc((vq_file_tensor_count(t) + 1) * sizeof *doubles);
    vq_file_tensor_read_f64(t, doubles);
    return doubles;
  }
  if (in->kind != VQ_INPUT_IDS)
    return read_real(t);
  int32_t *ids = malloc((vq_file_tensor_count(t) + 1) * sizeof *ids);
  cr_assert(!vq_file_tensor_read_i32(t, ids), "%s", vq_error_message());
  return ids;
}

static void expect_close(const vq_safetensors *file, const vq_case *c, const char *name, const vq_real *ours,
                         int64_t count)
{
  const vq_file_tensor *t = must_find(file, c, name);
  double apart = 0, size = 0, *theirs = malloc(((size_t)count + 1) * sizeof *theirs);
  cr_assert(ours && vq_file_tensor_count(t) == (size_t)count, "%s: %s has another size in the golden file", c->name,
            name);
  vq_file_tensor_read_f64(t, theirs);
  for (int64_t e = 0; e < count; e++) {
    apart += ((double)ours[e] - theirs[e]) * ((double)ours[e] - theirs[e]);
    size += theirs[e] * theirs[e];
  }
  cr_expect(sqrt(apart) <= TOLERANCE * sqrt(size), "%s: %s is %.3g of its size away from PyTorch's", c->name, name,
            sqrt(apart / size)); /* a NaN is no pass */
  free(theirs);
}

ParameterizedTestParameters(golden, equals_pytorch)
{
  return rows_with_a_file();
}

ParameterizedTest(int *number, golden, equals_pytorch)
{
  const vq_case *c = vq_case_at(*number);
  vq_safetensors *file;
  vq_result result;
  void *given[VQ_IN];
  char path[512];
  path_of(c, path);
  cr_assert(!vq_safetensors_open(&file, path), "%s", vq_error_message());
  for (int i = 0; i < VQ_IN; i++)
    given[i] = read_input(file, c, i);
  const vq_file_tensor *seed = vq_safetensors_find(file, "dy");
  vq_real *dy = seed ? read_real(seed) : NULL;
  cr_assert(!vq_case_run(c, 2, 0, (const void *const *)given, dy, &result), "%s: %s", c->name, vq_error_message());
  expect_close(file, c, "out", result.value[VQ_IN], result.count[VQ_IN]);
  for (int i = 0; i < VQ_IN; i++)
    if (c->in[i].kind == VQ_INPUT_LEAF) {
      char name[8];
      snprintf(name, sizeof name, "d%d", i);
      expect_close(file, c, name, result.value[i], result.count[i]);
    }
  for (int i = 0; i < VQ_IN; i++)
    free(given[i]);
  free(dy);
  vq_result_free(&result);
  vq_safetensors_close(file);
}
