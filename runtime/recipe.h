/* recipe.h -- named sets of settings: what a notebook or tool of 2021 did, as options would say it.
 *
 * A recipe is a version and a list of settings by the names of fields.h; nothing is in it that an option cannot say. Changing what one
 * does is a new version: a picture carries the settings, not the recipe.
 */
#ifndef VQ_RUNTIME_RECIPE_H
#define VQ_RUNTIME_RECIPE_H

#include "vqgen.h"

typedef struct vq_recipe_setting {
  const char *field, *value, *why;
} vq_recipe_setting;

typedef struct vq_recipe {
  const char *name, *summary;
  int version;
  const vq_recipe_setting *setting; /* ends with a NULL field */
} vq_recipe;

const vq_recipe *vq_recipes(int *count);

/* VQ_ERR_ARGUMENT: there is none of that name. */
vq_status vq_recipe_find(const vq_recipe **out, const char *name);

/* Sets what the recipe sets. The texts are static. */
vq_status vq_recipe_apply(const vq_recipe *recipe, vq_settings *settings);

#endif
