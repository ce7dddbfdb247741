/* test_recipes.c -- augmentations as people write them, recipes, and runs by them: the same bytes for any number of threads, and again
 * from what is in the picture.
 */
#include "tests/cli.h"

#include "runtime/augment_text.h"
#include "runtime/fields.h"
#include "runtime/recipe.h"

/* ---- the list as text ---- */

Test(recipes, a_list_is_read)
{
  vq_augment list[VQ_MOST_AUGMENTS];
  int count;
  cr_assert(!vq_augments_parse(list, &count,
                               "flip:0.5,affine:0.8:degrees=30:down=0.1:padding=border,noise:noise=0..0.1,erase:0."
                               "7:area=0.1..0.4:ratio=0.5..2:together=yes,jitter:1:hue=0.1:colours=new"),
            "%s", vq_error_message());
  cr_assert(count == 5);
  cr_expect(list[0].kind == VQ_AUGMENT_FLIP && list[0].p == 0.5);
  cr_expect(list[1].kind == VQ_AUGMENT_AFFINE && list[1].p == 0.8 && list[1].degrees == 30 && list[1].down == 0.1 &&
            list[1].padding == VQ_WARP_BORDER && !list[1].together);
  cr_expect(list[2].kind == VQ_AUGMENT_NOISE && list[2].p == 1 && list[2].noise[0] == 0 && list[2].noise[1] == 0.1);
  cr_expect(list[3].together && list[3].area[1] == 0.4 && list[3].ratio[0] == 0.5);
  cr_expect(list[4].meaning == VQ_JITTER_KORNIA && list[4].hue == 0.1 && list[4].brightness == 0);
  cr_expect(!vq_augments_parse(list, &count, "") && count == 0);
  cr_expect(!vq_augments_parse(list, &count, "none") && count == 0);
}

Test(recipes, a_wrong_list_is_told)
{
  static const struct {
    const char *text, *says;
  } wrong[] = {
      {"flop:0.5", "\"flop\" is no augmentation"},
      {"flip:often", "\"often\" is no probability"},
      {"flip:2", "1"},
      {"affine:0.5:degrees", "not KEY=VALUE"},
      {"affine:0.5:degrees=many", "degrees wants a number"},
      {"affine:0.5:angle=3", "\"angle\" is nothing"},
      {"affine:0.5:padding=mirror", "\"mirror\" is no value of padding"},
      {"noise:1:noise=0.1", "LEAST..MOST"},
      {"sharpness:1:strength=1,flip:0.5", "flip"}, /* a flip comes first */
      {"flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip,flip", "more than 16"},
  };
  vq_augment list[VQ_MOST_AUGMENTS];
  int count;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    cr_expect(vq_augments_parse(list, &count, wrong[i].text) == VQ_ERR_ARGUMENT &&
                  strstr(vq_error_message(), wrong[i].says),
              "%s: %s", wrong[i].text, vq_error_message());
}

/* ---- recipes ---- */

/* Every recipe is settings that exist, and says all of them: begun with on any settings, it ends in the same. */
Test(recipes, are_settings)
{
  int count, fields;
  const vq_recipe *recipe = vq_recipes(&count);
  vq_fields(&fields);
  cr_assert(count == 6);
  for (int i = 0; i < count; i++) {
    vq_settings s;
    vq_augment list[VQ_MOST_AUGMENTS];
    int augments;
    vq_settings_init(&s);
    cr_expect(!vq_recipe_apply(&recipe[i], &s), "%s", vq_error_message());
    cr_expect(!vq_augments_parse(list, &augments, s.augment), "%s", vq_error_message());
    for (const vq_recipe_setting *r = recipe[i].setting; r->field; r++) {
      char text[VQ_FIELD_BYTES];
      vq_field_write(vq_field_find(r->field), &s, text, sizeof text);
      cr_expect_str_eq(text, r->value, "%s, %s: %s", recipe[i].name, r->field, text);
    }
  }
}

/* --explain tells every setting that there is, each once; given as options they are the recipe. */
Test(recipes, explained_they_are_options, .init = scratch_create, .fini = scratch_remove)
{
  int count, fields;
  const vq_recipe *recipe = vq_recipes(&count);
  const vq_field *field = vq_fields(&fields);
  for (int i = 0; i < count; i++) {
    said s = TOOL_OK("--recipe", recipe[i].name, "--explain", TINY, "--seed", "3");
    vq_settings by_recipe, by_text;
    vq_settings_init(&by_recipe);
    vq_settings_init(&by_text);
    cr_assert(!vq_recipe_apply(&recipe[i], &by_recipe) && !vq_field_read(vq_field_find("seed"), &by_recipe, "3"));
    char *line[128], *kept[128]; /* the settings borrow the values' texts */
    int lines = 0, held = 0;
    for (char *p = strtok(s.out, "\n"); p && lines < 128; p = strtok(NULL, "\n"))
      line[lines++] = p;
    for (int f = 0; f < fields; f++) {
      char a[VQ_FIELD_BYTES], b[VQ_FIELD_BYTES], value[VQ_FIELD_BYTES] = "";
      int told = 0;
      for (int k = 0; k < lines; k++) {
        char name[64] = "";
        char *text = line[k] + (strncmp(line[k], "# ", 2) ? 0 : 2);
        bool comment = text != line[k];
        if (sscanf(text, "--%63s %4095s", name, value) < 1 || vq_field_find(name) != &field[f])
          continue;
        told++;
        if (comment)
          continue;
        kept[held] = strdup(strcmp(name, "gumbel-noise") ? value : "yes");
        cr_expect(!vq_field_read(&field[f], &by_text, kept[held++]), "%s: %s", line[k], vq_error_message());
      }
      cr_expect(told == 1, "%s tells %s %d times", recipe[i].name, field[f].name, told);
      vq_field_write(&field[f], &by_recipe, a, sizeof a);
      vq_field_write(&field[f], &by_text, b, sizeof b);
      if (!*a && !strcmp(b, "none")) /* of augmentations: the same */
        *b = 0;
      cr_expect_str_eq(a, b, "%s: %s is %s, by its explanation %s", recipe[i].name, field[f].name, a, b);
    }
    while (held)
      free(kept[--held]);
    forget(&s);
  }
}

/* As a user would do it: what --explain tells, given as options, is taken, and makes the recipe's picture. */
Test(recipes, explained_they_make_the_same_picture, .init = scratch_create, .fini = scratch_remove)
{
#define FEW TINY, "-s", "48x48", "--cutouts", "3", "-n", "2", "--seed", "7", "--metadata", "none"
  int count;
  const vq_recipe *recipe = vq_recipes(&count);
  for (int i = 0; i < count; i++) {
    said a = TOOL_OK("a red circle", FEW, "--recipe", recipe[i].name, "-o", "recipe.png"),
         s = TOOL_OK("--recipe", recipe[i].name, "--explain", FEW);
    const char *words[64] = {"a red circle", TINY, "-o", "options.png"};
    int n = 0;
    while (words[n])
      n++;
    for (char *line = strtok(s.out, "\n"); line; line = strtok(NULL, "\n")) {
      char *space = strchr(line, ' '), *why = strstr(line, "    # ");
      if (*line == '#')
        continue;
      if (why)
        *why = 0;
      cr_assert(n < 60 && !strchr(line, '\''), "%s", line);
      words[n++] = line;
      if (space) {
        *space = 0;
        words[n++] = space + 1;
      }
    }
    said b = tool_ok(tool_run(NULL, words), recipe[i].name);
    size_t x, y;
    uint8_t *by_recipe = get_file(in_scratch("recipe.png"), &x),
            *by_options = get_file(in_scratch("options.png"), &y);
    cr_expect(x == y && !memcmp(by_recipe, by_options, x), "%s: its options make another picture", recipe[i].name);
    free(by_recipe);
    free(by_options);
    remove(in_scratch("recipe.png"));
    remove(in_scratch("options.png"));
    forget(&a);
    forget(&b);
    forget(&s);
  }
}

/* ---- runs ---- */

static void expect_same(const char *a, const char *b)
{
  size_t n, m;
  uint8_t *x = get_file(in_scratch(a), &n), *y = get_file(in_scratch(b), &m);
  cr_expect(n == m && !memcmp(x, y, n), "%s and %s differ", a, b);
  free(x);
  free(y);
}

static void make(const char *recipe, const char *threads, const char *to)
{
  said s = TOOL_OK("a red circle", TINY, "--recipe", recipe, "-s", "48x48", "--cutouts", "9", "-n", "2", "--seed",
                   "7", "--threads", threads, "-o", to);
  forget(&s);
}

Test(recipes, make_the_same_picture_again, .init = scratch_create, .fini = scratch_remove)
{
  static const char *const names[] = {"notebook", "crowson", "nerdyrodent", "mse", "codebook"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    make(names[i], "1", "one.png");
    make(names[i], "3", "three.png");
    expect_same("one.png", "three.png");
    said s = TOOL_OK("replay", "one.png", TINY, "-o", "again.png");
    forget(&s);
    expect_same("one.png", "again.png");
    remove(in_scratch("one.png"));
    remove(in_scratch("three.png"));
    remove(in_scratch("again.png"));
  }
}

/* An option is said after the recipe, wherever it stands. */
Test(recipes, options_override, .init = scratch_create, .fini = scratch_remove)
{
  said s = TOOL_OK("a cat", TINY, "--augment", "none", "-n", "1", "--recipe", "notebook", "-s", "64x48",
                   "--cutouts", "2", "-o", "a.png", "--progress", "json");
  cr_expect(strstr(s.out, "\"augment\": \"\"") || strstr(s.out, "\"augment\":\"\"") ||
                strstr(s.out, "\"augment\":\"none\"") || strstr(s.out, "\"augment\": \"none\""),
            "%s", s.out);
  forget(&s);
  remove(in_scratch("a.png"));
  s = TOOL_OK("--recipe", "nerdyrodent", "--explain");
  cr_expect(strstr(s.out, "--cut-method whole") && strstr(s.out, "perspective:0.7:strength=0.7"), "%s", s.out);
  forget(&s);
  s = TOOL_OK("--recipe", "mse", "--explain", TINY, "--lr", "0.5", "--quality", "80", "--init", "a picture.png");
  cr_expect(
      strstr(s.out, "--init-drop 50:5") && strstr(s.out, "--lr 0.5    # given, in the place of the recipe's") &&
          strstr(s.out, "--quality 80") && strstr(s.out, "--init 'a picture.png'") && strstr(s.out, "# --seed"),
      "%s", s.out);
  forget(&s);
  s = TOOL("a cat", TINY, "--recipe", "soup");
  cr_expect(s.status == 2 && strstr(s.err, "\"soup\" is no recipe"), "%d %s", s.status, s.err);
  forget(&s);
  s = TOOL("a cat", TINY, "--augment", "flip:3");
  cr_expect(s.status == 2 && strstr(s.err, "augment"), "%d %s", s.status, s.err);
  forget(&s);
}
