/* doctor_machine.c -- what computes here, and where it may write. */
#include "runtime/doctor.h"

#include "loaders/output.h"
#include "runtime/compute.h"
#include "runtime/machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_MEMORY ((size_t)1 << 30) /* what the published pair takes for a small picture */

static bool in_path(const char *program)
{
  const char *folder = getenv("PATH");
  char name[4096];
  while (folder && *folder) {
    int length = (int)strcspn(folder, ":");
    snprintf(name, sizeof name, "%.*s/%s", length, folder, program);
    if (!access(name, X_OK))
      return true;
    folder += length + (folder[length] == ':');
  }
  return false;
}

static void check_place(vq_doctor *d, const char *name, const char *folder)
{
  char probe[4096];
  snprintf(probe, sizeof probe, "%s/vqgen-doctor-probe", folder);
  if (vq_output_check(probe))
    vq_doctor_broken(
        d, name,
        "pictures that are named without a folder need another one: go to a folder that is yours, or set $TMPDIR");
  else
    vq_doctor_say(d, name, VQ_CHECK_PASS, "", "can be written");
}

static void check_gpu(vq_doctor *d)
{
  const vq_cuda_module *cuda;
  vq_cuda_card card;
  int cards = 0;
  vq_status status = vq_cuda_open(&cuda);
  if (!status)
    status = cuda->count(&cards);
  if (!status && cards)
    status = cuda->describe(&card, 0);
  if (status || !cards)
    vq_doctor_say(d, "gpu", VQ_CHECK_SKIP, "if there is one, vqgen devices says why; the CPU computes",
                  "not used: %s", status ? vq_error_message() : "there is none");
  else
    vq_doctor_say(d, "gpu", VQ_CHECK_PASS, "", "%s, compute capability %d.%d, %.1f GiB free", card.name, card.major,
                  card.minor, (double)card.free / (1 << 30));
}

void vq_doctor_machine(vq_doctor *d)
{
  char text[256], sets[256];
  const char *temporary = getenv("TMPDIR");
  size_t memory, all;
  vq_memory(&memory, &all);
  vq_machine_build(text, sizeof text);
  vq_doctor_say(d, "build", VQ_CHECK_PASS, "", "%s", text);
  vq_machine_device(text, sizeof text);
  vq_machine_instructions(sets, sizeof sets);
  vq_doctor_say(d, "processor", VQ_CHECK_PASS, "", "%s; %ld processors; %s", text, sysconf(_SC_NPROCESSORS_ONLN),
                sets);
  check_gpu(d);
  if (memory && memory < LEAST_MEMORY)
    vq_doctor_say(d, "memory", VQ_CHECK_FAIL, "close other programs: published networks take more than 1 GiB",
                  "%.0f MiB are free", (double)memory / (1 << 20));
  else
    vq_doctor_say(d, "memory", memory ? VQ_CHECK_PASS : VQ_CHECK_SKIP, "it is looked at again before each run",
                  memory ? "%.0f MiB are free" : "this system does not tell (%.0f)", (double)memory / (1 << 20));
  check_place(d, "this folder", ".");
  check_place(d, "temporary folder", temporary && *temporary ? temporary : "/tmp");
  if (in_path("ffmpeg"))
    vq_doctor_say(d, "ffmpeg", VQ_CHECK_PASS, "", "is there: videos can be written");
  else
    vq_doctor_say(d, "ffmpeg", VQ_CHECK_SKIP, "install ffmpeg for videos; animated PNG needs none",
                  "is not in $PATH");
}
