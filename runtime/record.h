/* record.h -- how a picture was made, as JSON: every setting (fields.h), the prompts, the step whose z it shows, the
 * networks and files by name, size and checksum, the build and the device. Pictures and snapshots carry it; `replay` and
 * `resume` make a run of it.
 *
 *   {"version":"0.1.0","build":"...","device":"...","step":100,"prompts":[["a red circle",1.0,null]],
 *    "size":[96,96],"steps":100,..., "init":"gray" or {"file":"a.png","bytes":1234,"crc32":"0123abcd"},
 *    "vqgan":{"name":"vqgan-small","file":"vqgan.safetensors","bytes":...,"crc32":"...","settings":"..."},"clip":{...}}
 *
 * No time and no folder is in it: the same run writes the same bytes, and a picture does not tell whose computer it comes
 * from.
 */
#ifndef VQ_RUNTIME_RECORD_H
#define VQ_RUNTIME_RECORD_H

#include "loaders/identity.h"
#include "runtime/network.h"
#include "runtime/place.h"
#include "vqgen.h"

/* ---- writing ---- */

typedef struct vq_record_network {
  char name[128];
  vq_identity file;  /* all of its files, one after the other, under the name of what was opened */
  uint32_t settings; /* CRC-32 of its settings and, of a CLIP, its vocabulary, which may come from other files */
} vq_record_network;

#define VQ_RECORD_FILES 4 /* settings that may name one */

/* All files that a run reads, known before it begins: what becomes of them meanwhile costs no picture. */
typedef struct vq_record_files {
  vq_record_network network[2];         /* by vq_network_kind */
  vq_identity file[VQ_RECORD_FILES];    /* in the order of the fields that name one */
  vq_identity picture[VQ_MOST_PROMPTS]; /* of the prompts that are pictures, by their place among all */
} vq_record_files;

typedef struct vq_record_parts {
  const vq_settings *settings; /* its size is the picture's */
  const vq_prompt *prompt;
  int prompts;
  const vq_record_files *files;
  int64_t step;
} vq_record_parts;

/* Name and identity of an open network. VQ_ERR_FILE, VQ_ERR_MEMORY */
vq_status vq_record_network_of(vq_record_network *out, const vq_network *net);
bool vq_record_network_same(const vq_record_network *a, const vq_record_network *b);

/* Reads those of settings and networks. VQ_ERR_FILE, VQ_ERR_MEMORY */
vq_status vq_record_files_of(vq_record_files *out, const vq_settings *s, const vq_network *vqgan,
                             const vq_network *clip);

/* The text; the caller frees it. VQ_ERR_MEMORY */
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
/* Borrowed; a picture's text is its file's name. */
vq_prompt vq_record_prompt_at(const vq_run_record *record, int i);
bool vq_record_prompt_file(const vq_run_record *record, int i, vq_identity *file); /* false: it is no picture */
int64_t vq_record_step(const vq_run_record *record);
void vq_record_network_at(const vq_run_record *record, vq_network_kind kind, vq_record_network *out);

/* The name of the place that computed (runtime/place.h); NULL: not told. */
const char *vq_record_device(const vq_run_record *record);

/* Would this build on this machine make the same bits? If not, `why` says what is another. */
bool vq_record_exact(const vq_run_record *record, const vq_place *place, char *why, size_t bytes);

#endif
