/* doctor_reference.c -- the engine against what PyTorch recorded: the pair that ships, and the user's own.
 *
 * A reference holds what `vqgen trace` takes (trace.h), and PyTorch's answers as expected.NAME under trace's names. It is traced here as it
 * stands, and each answer compared. tests/compare/record_reference.py makes it.
 *
 * Tolerances: both compute in float32, and on published sizes they differ by less than 1e-5 of an array's length (tests/compare/README.md).
 * 1e-3 leaves room for processors that sum in another order, and is far below what any mistake in a weight does; in bf16, where a
 * product keeps 8 bits, 0.05. Codes are numbers of rows and must be the same, but for one in two hundred that lie between two rows.
 */
#include "runtime/doctor.h"

#include "loaders/safetensors.h"
#include "loaders/sha256.h"
#include "runtime/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPECTED "expected."

static double *values_of(const vq_file_tensor *x)
{
  size_t count = vq_file_tensor_count(x);
  double *values = malloc((count + 1) * sizeof *values);
  int32_t *whole = x->dtype == VQ_FILE_I32 ? malloc((count + 1) * sizeof *whole) : NULL;
  if (!values || x->dtype != VQ_FILE_I32) {
    if (values)
      vq_file_tensor_read_f64(x, values);
  } else if (!whole || vq_file_tensor_read_i32(x, whole)) {
    free(values);
    values = NULL;
  } else {
    for (size_t i = 0; i < count; i++)
      values[i] = whole[i];
  }
  free(whole);
  return values;
}

/* |a - b| / |b| of float arrays; the part that differs of whole numbers. NaN in either is a NaN, which is no pass. */
static double distance(const double *a, const double *b, size_t count, bool whole)
{
  double apart = 0, length = 0, differ = 0;
  for (size_t i = 0; i < count; i++) {
    apart += (a[i] - b[i]) * (a[i] - b[i]);
    length += b[i] * b[i];
    differ += a[i] != b[i];
  }
  return whole ? differ / (double)(count ? count : 1) : sqrt(apart / (length > 0 ? length : 1));
}

static bool same_shape(const vq_file_tensor *a, const vq_file_tensor *b)
{
  bool same = a->rank == b->rank;
  for (int i = 0; same && i < a->rank; i++)
    same = a->dim[i] == b->dim[i];
  return same;
}

static const char *name_of(const char *array)
{
  static const struct {
    const char *array, *name;
  } names[] = {{"indices", "codes as PyTorch's"},
               {"image", "picture as PyTorch's"},
               {"image_features", "image features"},
               {"text_features", "text features"},
               {"losses", "losses"},
               {"grad_z", "gradient of z"},
               {"trajectory", "losses of further steps"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i].array, array))
      return names[i].name;
  return NULL;
}

static const char advice[] = "the file's weights are not those that were recorded, or are assigned wrongly, or the "
                             "engine errs here: convert the "
                             "original file again; if it stays, record the reference again and report it";

static void compare_array(vq_doctor *d, const vq_file_tensor *want, const vq_file_tensor *got, const char *name)
{
  bool whole = want->dtype == VQ_FILE_I32, coarse = d->place.products == VQ_BF16;
  double bound = whole ? 0.005 : coarse ? 0.05 : 1e-3;
  if (!got || !same_shape(want, got)) {
    vq_doctor_say(d, name, VQ_CHECK_FAIL, advice, "the engine has no %s of that shape", want->name);
    return;
  }
  double *a = values_of(got), *b = values_of(want);
  double apart = a && b ? distance(a, b, vq_file_tensor_count(want), whole) : NAN;
  free(a);
  free(b);
  if (whole)
    vq_doctor_say(d, name, apart <= bound ? VQ_CHECK_PASS : VQ_CHECK_FAIL, advice, "%.1f %% of %zu differ",
                  100 * apart, vq_file_tensor_count(want));
  else
    vq_doctor_say(d, name, apart <= bound ? VQ_CHECK_PASS : VQ_CHECK_FAIL, advice,
                  "%.1e apart, at most %.0e is taken", apart, bound);
}

static int compare_all(vq_doctor *d, const char *reference, const char *ours)
{
  vq_safetensors *want, *got = NULL;
  int compared = 0;
  if (vq_safetensors_open(&want, reference))
    return -1;
  if (vq_safetensors_open(&got, ours))
    compared = -1;
  for (int i = 0; !compared && i < vq_safetensors_count(want); i++) {
    const vq_file_tensor *x = vq_safetensors_at(want, i);
    compared += !strncmp(x->name, EXPECTED, strlen(EXPECTED)) && name_of(x->name + strlen(EXPECTED));
  }
  for (int i = 0; compared > 0 && i < vq_safetensors_count(want); i++) {
    const vq_file_tensor *x = vq_safetensors_at(want, i);
    const char *array = x->name + strlen(EXPECTED),
               *name = strncmp(x->name, EXPECTED, strlen(EXPECTED)) ? NULL : name_of(array);
    if (name)
      compare_array(d, x, vq_safetensors_find(got, array), name);
  }
  vq_safetensors_close(want);
  vq_safetensors_close(got);
  return compared;
}

void vq_doctor_compare(vq_doctor *d, const vq_network *vqgan, const vq_network *clip, const char *reference)
{
  const char *folder = getenv("TMPDIR");
  char ours[4096];
  snprintf(ours, sizeof ours, "%s/vqgen-doctor-XXXXXX", folder && *folder ? folder : "/tmp");
  int file = mkstemp(ours);
  if (file < 0) {
    vq_doctor_say(d, "reference", VQ_CHECK_FAIL, "set $TMPDIR to a folder that can be written",
                  "no temporary file can be made");
    return;
  }
  close(file);
  vq_status status = vq_trace(vqgan, clip, reference, ours, &d->place);
  int compared = status ? -1 : compare_all(d, reference, ours);
  if (compared < 0)
    vq_doctor_broken(d, "reference",
                     "record it again by tests/compare/record_reference.py with these very networks");
  else if (!compared)
    vq_doctor_say(d, "reference", VQ_CHECK_FAIL, "record it by tests/compare/record_reference.py",
                  "it expects nothing: no " EXPECTED "... is in it");
  unlink(ours);
}

char *vq_doctor_metadata(const char *path, const char *key)
{
  vq_safetensors *file;
  if (vq_safetensors_open(&file, path))
    return NULL;
  const char *text = vq_safetensors_metadata(file, key);
  char *copy = text ? strdup(text) : NULL;
  vq_safetensors_close(file);
  return copy;
}

char *vq_doctor_beside(const char *network)
{
  static const char name[] = "reference.safetensors";
  const char *slash = strrchr(network, '/');
  size_t folder = slash ? (size_t)(slash + 1 - network) : 0;
  char *path = malloc(folder + sizeof name);
  if (path) {
    memcpy(path, network, folder);
    strcpy(path + folder, name);
  }
  if (path && access(path, R_OK)) {
    free(path);
    path = NULL;
  }
  return path;
}

/* Is the file the one that the reference names? */
static bool is_recorded(const char *reference, const char *key, const char *path)
{
  char hash[VQ_SHA256_HEX], *recorded = vq_doctor_metadata(reference, key);
  bool same = recorded && !vq_sha256_file(path, hash) && !strcmp(recorded, hash);
  free(recorded);
  return same;
}

static void compare_shipped(vq_doctor *d, const vq_settings *found, const char *reference)
{
  vq_network *vqgan, *clip = NULL;
  bool same =
      is_recorded(reference, "vqgan_sha256", found->vqgan) && is_recorded(reference, "clip_sha256", found->clip);
  vq_doctor_say(d, "files", same ? VQ_CHECK_PASS : VQ_CHECK_FAIL,
                "install vqgen again: the pair in weights/ and its reference belong together",
                same ? "both are those that the reference was recorded with"
                     : "they are not those that the reference was recorded with");
  vq_status status = vq_network_open(&vqgan, found->vqgan, VQ_NETWORK_VQGAN, NULL);
  if (!status)
    status = vq_network_open(&clip, found->clip, VQ_NETWORK_CLIP, NULL);
  if (status)
    vq_doctor_broken(d, "networks", "install vqgen again");
  else
    vq_doctor_compare(d, vqgan, clip, reference);
  vq_network_close(vqgan);
  vq_network_close(clip);
}

void vq_doctor_shipped(vq_doctor *d)
{
  vq_settings found;
  vq_settings_init(&found);
  char *reference = vq_settings_load(&found) ? NULL : vq_doctor_beside(found.vqgan);
  if (reference)
    compare_shipped(d, &found, reference);
  else if (!found.vqgan)
    vq_doctor_broken(
        d, "networks",
        "install vqgen's own pair, with reference.safetensors: it proves the program apart from your networks");
  else
    vq_doctor_say(
        d, "reference", VQ_CHECK_SKIP,
        "unset $VQGEN_MODELS to check with the pair that ships: it proves the program apart from your networks",
        "no reference.safetensors lies beside the networks that are found without --vqgan");
  free(reference);
  vq_settings_clear(&found);
}
