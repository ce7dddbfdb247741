/* augment_text.c -- reads a list of augmentations. Contract: augment_text.h. */
#include "runtime/augment_text.h"

#include "runtime/number.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"flip",   "sharpness", "affine", "rotation", "perspective",
                                    "jitter", "erase",     "noise",  "clamp"};
#define NAMES (int)(sizeof names / sizeof *names)

static const struct key {
  const char *name;
  size_t at;
  bool range; /* two numbers, LEAST..MOST */
} keys[] = {
    {"strength", offsetof(vq_augment, strength), false}, {"degrees", offsetof(vq_augment, degrees), false},
    {"right", offsetof(vq_augment, right), false},       {"down", offsetof(vq_augment, down), false},
    {"shear", offsetof(vq_augment, shear), false},       {"brightness", offsetof(vq_augment, brightness), false},
    {"contrast", offsetof(vq_augment, contrast), false}, {"saturation", offsetof(vq_augment, saturation), false},
    {"hue", offsetof(vq_augment, hue), false},           {"area", offsetof(vq_augment, area), true},
    {"ratio", offsetof(vq_augment, ratio), true},        {"noise", offsetof(vq_augment, noise), true},
};
#define KEYS (int)(sizeof keys / sizeof *keys)

/* Words that stand for a number. */
static const struct word {
  const char *key, *value;
  int number;
} choices[] = {
    {"padding", "zeros", VQ_WARP_ZEROS},
    {"padding", "border", VQ_WARP_BORDER},
    {"colours", "old", VQ_JITTER_KORNIA_054},
    {"colours", "new", VQ_JITTER_KORNIA},
    {"together", "no", false},
    {"together", "yes", true},
};
#define CHOICES (int)(sizeof choices / sizeof *choices)

static vq_status set_choice(vq_augment *a, const char *key, const char *value)
{
  bool known = false;
  for (int i = 0; i < CHOICES; i++) {
    known |= !strcmp(choices[i].key, key);
    if (strcmp(choices[i].key, key) || strcmp(choices[i].value, value))
      continue;
    if (*key == 'p')
      a->padding = (vq_warp_padding)choices[i].number;
    else if (*key == 'c')
      a->meaning = (vq_jitter_meaning)choices[i].number;
    else
      a->together = choices[i].number;
    return VQ_OK;
  }
  return known ? vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is no value of %s", value, key)
               : vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is nothing that an augmentation has", key);
}

static vq_status set_key(vq_augment *a, const char *key, char *value)
{
  for (int i = 0; i < KEYS; i++) {
    if (strcmp(keys[i].name, key))
      continue;
    double *to = (double *)(void *)((char *)a + keys[i].at);
    char *dots = keys[i].range ? strstr(value, "..") : NULL;
    if (dots)
      *dots = 0;
    if ((keys[i].range && !dots) || vq_number_read(value, to) || (dots && vq_number_read(dots + 2, to + 1)))
      return vq_fail(VQ_ERR_ARGUMENT, "%s wants %s", key, keys[i].range ? "two numbers, LEAST..MOST" : "a number");
    return VQ_OK;
  }
  return set_choice(a, key, value);
}

/* One augmentation, cut at its colons in place. */
static vq_status parse_one(vq_augment *a, char *text)
{
  char *rest = NULL, *name = strtok_r(text, ":", &rest), *part;
  int kind = 0;
  while (name && kind < NAMES && strcmp(names[kind], name))
    kind++;
  if (!name || kind == NAMES)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "\"%s\" is no augmentation: there are flip, sharpness, affine, rotation, perspective, jitter, "
                   "erase, noise and clamp",
                   name ? name : "");
  *a = (vq_augment){.kind = (vq_augment_kind)kind, .p = 1};
  for (bool first = true; (part = strtok_r(NULL, ":", &rest)); first = false) {
    char *equals = strchr(part, '=');
    if (!equals && first) {
      if (vq_number_read(part, &a->p))
        return vq_fail(VQ_ERR_ARGUMENT, "%s: \"%s\" is no probability", name, part);
      continue;
    }
    if (!equals)
      return vq_fail(VQ_ERR_ARGUMENT, "%s: \"%s\" is not KEY=VALUE", name, part);
    *equals = 0;
    VQ_TRY(vq_fail_in(set_key(a, part, equals + 1), "%s", name));
  }
  return VQ_OK;
}

vq_status vq_augments_parse(vq_augment list[VQ_MOST_AUGMENTS], int *count, const char *text)
{
  *count = 0;
  if (!text || !*text || !strcmp(text, "none"))
    return VQ_OK;
  char *copy = strdup(text), *rest = NULL;
  vq_status status = copy ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the augmentations");
  for (char *one = copy ? strtok_r(copy, ",", &rest) : NULL; one && !status; one = strtok_r(NULL, ",", &rest)) {
    if (*count == VQ_MOST_AUGMENTS)
      status = vq_fail(VQ_ERR_ARGUMENT, "more than %d augmentations", VQ_MOST_AUGMENTS);
    else
      status = parse_one(&list[(*count)++], one);
  }
  free(copy);
  return status ? status : vq_augment_check(list, *count);
}
