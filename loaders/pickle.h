/* pickle.h -- reads Python's pickles as data.
 *
 * A pickle is a program for a small machine with a stack. Here the machine builds a picture of what the program describes
 * and does nothing else: a class or function that is named is its name, a call is the name and the arguments, written
 * down. There is no way from here to anything that runs, whatever stands in the file. What a call means, where it is one
 * of the few that a checkpoint is made of, is loaders/torch.c's to know.
 *
 * Of the opcodes there are those by which protocols 1 to 5 write data; the text forms of protocol 0 are refused.
 */
#ifndef VQ_LOADERS_PICKLE_H
#define VQ_LOADERS_PICKLE_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum vq_pickle_kind {
  VQ_PICKLE_NONE,
  VQ_PICKLE_BOOL,   /* integer */
  VQ_PICKLE_INT,    /* integer */
  VQ_PICKLE_LONG,   /* text: one that does not fit 64 bits, little-endian, two's complement */
  VQ_PICKLE_FLOAT,  /* number */
  VQ_PICKLE_TEXT,   /* text: claims to be UTF-8 */
  VQ_PICKLE_BYTES,  /* text */
  VQ_PICKLE_TUPLE,  /* list */
  VQ_PICKLE_LIST,   /* list */
  VQ_PICKLE_SET,    /* list */
  VQ_PICKLE_DICT,   /* list: key, value, key, value ... */
  VQ_PICKLE_GLOBAL, /* global: a class or a function, by name */
  VQ_PICKLE_CALL,   /* call: what calling something would have made */
  VQ_PICKLE_OUTSIDE /* outside: a thing that is kept elsewhere, by what is known of it */
} vq_pickle_kind;

typedef struct vq_pickle_item vq_pickle_item;
struct vq_pickle_item {
  vq_pickle_kind kind;
  bool called;  /* VQ_PICKLE_GLOBAL */
  bool visited; /* for whoever walks the graph, which may have circles; false at first */
  union {
    int64_t integer;
    double number;
    struct {
      const char *data; /* in the pickle: no 0 follows */
      size_t bytes;
    } text;
    struct {
      vq_pickle_item **item;
      size_t count, room;
    } list;
    const char *global; /* "torch._utils._rebuild_tensor_v2" */
    struct {
      vq_pickle_item *what;      /* most often VQ_PICKLE_GLOBAL */
      vq_pickle_item *arguments; /* most often VQ_PICKLE_TUPLE */
      vq_pickle_item *state;     /* what it would have been given then; NULL: nothing */
      vq_pickle_item *content;   /* VQ_PICKLE_LIST or _DICT: what would have been put into it; NULL: nothing */
    } call;
    vq_pickle_item *outside;
  };
};

typedef struct vq_pickle {
  vq_pickle_item *root;
  size_t bytes;           /* of the pickle: others may follow it */
  vq_pickle_item globals; /* VQ_PICKLE_LIST: all that are named, whether they can be reached from the root or not */
  vq_pickle_item outside; /* VQ_PICKLE_LIST: all VQ_PICKLE_OUTSIDE */
  vq_arena arena;
} vq_pickle;

#define VQ_PICKLE_MOST_BYTES (64 << 20) /* of one pickle: those of the largest checkpoints have a few MB */

/* Reads one pickle from the beginning of data[0..bytes), which must stay. Memory is proportional to the bytes that it has.
 * VQ_ERR_FORMAT: truncated, damaged; VQ_ERR_UNSUPPORTED: an opcode that is not read, or too large. */
vq_status vq_pickle_read(vq_pickle *out, const void *data, size_t bytes);
void vq_pickle_free(vq_pickle *pickle);

/* NULL is allowed as an item in all of these. */
bool vq_pickle_is_text(const vq_pickle_item *item, const char *text);
bool vq_pickle_is_global(const vq_pickle_item *item, const char *name);

/* The element of a tuple or list; NULL: it is none, or shorter. */
vq_pickle_item *vq_pickle_at(const vq_pickle_item *list, size_t index);

/* The value that a dict has under a text; NULL: it is none, or has none. */
vq_pickle_item *vq_pickle_get(const vq_pickle_item *dict, const char *key);

#endif
