/* fields.h -- every setting that the picture depends on, in one table: its name, where it lies in vq_settings, what it
 * may be, and how it is written.
 *
 * The table is what options read by (--cut-method is the field cut_method), what a network's defaults may set, what a
 * picture and a snapshot carry, and what `replay` and `resume` take back. A setting that is to exist gets its row here
 * and a row of help in the tool; that every option has one or is known to change nothing is tested (test_record.c).
 */
#ifndef VQ_RUNTIME_FIELDS_H
#define VQ_RUNTIME_FIELDS_H

#include "vqgen.h"

#include <jansson.h>
#include <stddef.h>

#define VQ_FIELD_BYTES 4096 /* a field's longest text, with its NUL */

typedef enum vq_field_kind {
  VQ_FIELD_INT,    /* int */
  VQ_FIELD_COUNT,  /* int64_t */
  VQ_FIELD_SEED,   /* uint64_t; in JSON, whose integers end at 2^63, a string from there on */
  VQ_FIELD_REAL,   /* double */
  VQ_FIELD_FLAG,   /* bool: "yes" and "no" */
  VQ_FIELD_CHOICE, /* enum: the place in `choices` */
  VQ_FIELD_SET,    /* unsigned: bit i for the word in place i of `choices`; written with commas, "none" for 0 */
  VQ_FIELD_TEXT,   /* const char *; NULL is "" */
  VQ_FIELD_SIZE,   /* two ints, one after the other: "64x48", in JSON [64,48] */
  VQ_FIELD_RANGE,  /* two doubles: "0.5:1", in JSON [0.5,1] */
  VQ_FIELD_OWN     /* read and written by functions of its own, as text */
} vq_field_kind;

typedef struct vq_field vq_field;
struct vq_field {
  const char *name; /* of the key; the option has - for _ */
  vq_field_kind kind;
  size_t at; /* offset in vq_settings */
  const char *choices;
  double least, most;
  const char *title; /* what messages call it */
  vq_status (*read)(vq_settings *s, const char *text);
  void (*write)(const vq_settings *s, char *text, size_t bytes);
  const char *(*file)(const vq_settings *s); /* the file that the setting names now; NULL: none */
};

/* All of them, in the order in which a record has them. */
const vq_field *vq_fields(int *count);

/* By name, in which - and _ are the same; NULL. */
const vq_field *vq_field_find(const char *name);

/* Sets the field. Texts are borrowed as long as the settings are used. VQ_ERR_ARGUMENT says what is wrong, not with
 * which field. */
vq_status vq_field_read(const vq_field *f, vq_settings *s, const char *text);

/* The text that vq_field_read makes the same setting of. */
void vq_field_write(const vq_field *f, const vq_settings *s, char *text, size_t bytes);

/* The same as JSON; NULL without memory. Reading: VQ_ERR_ARGUMENT. */
json_t *vq_field_to_json(const vq_field *f, const vq_settings *s);
vq_status vq_field_from_json(const vq_field *f, vq_settings *s, const json_t *value);

/* Is every field within its bounds? VQ_ERR_ARGUMENT, by its title. */
vq_status vq_fields_check(const vq_settings *s);

#endif
