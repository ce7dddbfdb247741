/* record.h -- how a picture was made, as JSON: every setting (fields.h), the prompts, the step whose z it shows, the
 * networks and files by name, size and checksum, the build and the device. Pictures and snapshots carry it; `replay` and
 * `resume` make a run of it.
 *
 *   {"version":"0.1.0","build":"...","device":"...","step":100,"prompts":[["a red circle",1.0,null]],
 *    "size":[96,96],"steps":100,..., "init":"gray" or {"file":"a.png","bytes":1234,"crc32":"0123abcd"},
 *    "vqgan":{"name":"vqgan-small","file":"vqgan.safetensors","bytes":...,"crc32":"..."},"clip":{...}}
 *
 * No time and no folder is in it: the same run writes the same bytes, and a picture does not tell whose computer it comes
 * from.
 */
#ifndef VQ_RUNTIME_RECORD_H
#define VQ_RUNTIME_RECORD_H

#include "loaders/identity.h"
#include "runtime/network.h"
#include "vqgen.h"

/* ---- writing ---- */

typedef struct vq_record_prompt {
  const char *text;
  double weight, stop;
} vq_record_prompt;

typedef struct vq_record_network {
  char name[128];
  vq_identity file;
} vq_record_network;

typedef struct vq_record_parts {
  const vq_settings *settings; /* its size is the picture's */
  const vq_record_prompt *prompt;
  int prompts;
  vq_record_network network[2]; /* by vq_network_kind */
  int64_t step;
} vq_record_parts;

/* Name and identity of an open network. VQ_ERR_FILE */
vq_status vq_record_network_of(vq_record_network *out, const vq_network *net);

/* The text; the caller frees it. Files that settings name are read for their checksums: VQ_ERR_FILE. VQ_ERR_MEMORY */
vq_status vq_record_write(char **text, const vq_record_parts *parts);

/* ---- reading ---- */

typedef struct vq_run_record vq_run_record;

/* VQ_ERR_FORMAT: no such JSON; VQ_ERR_UNSUPPORTED: settings that this version does not know, named. */
vq_status vq_record_read(vq_run_record **out, const char *text);
void vq_record_free(vq_run_record *record);

/* Sets every field. Texts, and names of files as the record has them, are borrowed from the record. */
vq_status vq_record_settings(const vq_run_record *record, vq_settings *s);

/* The files that fields name, one by one: the field and what it was; false beyond the last. */
bool vq_record_file(const vq_run_record *record, int i, const char **field, vq_identity *file);

int vq_record_prompts(const vq_run_record *record);
vq_record_prompt vq_record_prompt_at(const vq_run_record *record, int i); /* borrowed */
int64_t vq_record_step(const vq_run_record *record);
void vq_record_network_at(const vq_run_record *record, vq_network_kind kind, vq_record_network *out);

/* Would this build on this machine make the same bits? If not, `why` says what is another. */
bool vq_record_exact(const vq_run_record *record, char *why, size_t bytes);

#endif
