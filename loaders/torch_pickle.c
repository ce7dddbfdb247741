/* torch_pickle.c -- walks what a pickle describes. The few calls that checkpoints are made of stand in a table; all others
 * remain names: of an object of an unknown class only its attributes are looked at, if they are plain data.
 */
#include "loaders/torch_pickle.h"

#include "loaders/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DEPTH 128 /* of names within names: those of networks have a dozen */

/* ---- storages ---- */

/* Types by the names of their storages and of their dtypes, both after "torch.". VQ_FILE_DTYPES: not read. */
static const struct type {
  const char *storage, *dtype;
  vq_file_dtype file;
  size_t width;
} types[] = {
    {"FloatStorage", "float32", VQ_FILE_F32, 4},
    {"HalfStorage", "float16", VQ_FILE_F16, 2},
    {"BFloat16Storage", "bfloat16", VQ_FILE_BF16, 2},
    {"DoubleStorage", "float64", VQ_FILE_F64, 8},
    {"LongStorage", "int64", VQ_FILE_I64, 8},
    {"IntStorage", "int32", VQ_FILE_I32, 4},
    {"ShortStorage", "int16", VQ_FILE_I16, 2},
    {"CharStorage", "int8", VQ_FILE_I8, 1},
    {"ByteStorage", "uint8", VQ_FILE_U8, 1},
    {"BoolStorage", "bool", VQ_FILE_BOOL, 1},
    {"ComplexFloatStorage", "complex64", VQ_FILE_DTYPES, 8},
    {"ComplexDoubleStorage", "complex128", VQ_FILE_DTYPES, 16},
    {"QInt8Storage", "qint8", VQ_FILE_DTYPES, 1},
    {"QUInt8Storage", "quint8", VQ_FILE_DTYPES, 1},
    {"QInt32Storage", "qint32", VQ_FILE_DTYPES, 4},
    {"storage.UntypedStorage", "uint16", VQ_FILE_DTYPES, 1}, /* bytes, of a dtype that the tensor has */
};

static const struct type *find_type(const vq_pickle_item *global, bool dtype)
{
  if (global && global->kind == VQ_PICKLE_GLOBAL && !strncmp(global->global, "torch.", 6))
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
      if (!strcmp(global->global + 6, dtype ? types[i].dtype : types[i].storage))
        return &types[i];
  return NULL;
}

static bool natural(const vq_pickle_item *item, uint64_t *out)
{
  if (!item || item->kind != VQ_PICKLE_INT || item->integer < 0)
    return false;
  *out = (uint64_t)item->integer;
  return true;
}

vq_status vq_torch_storage_of(vq_torch_storage *out, const vq_pickle_item *outside)
{
  const vq_pickle_item *id = outside->outside, *key = vq_pickle_at(id, 2), *view = vq_pickle_at(id, 5);
  const struct type *type = find_type(vq_pickle_at(id, 1), false);
  uint64_t end;
  if (!vq_pickle_is_text(vq_pickle_at(id, 0), "storage") || !key ||
      (key->kind != VQ_PICKLE_TEXT && key->kind != VQ_PICKLE_BYTES))
    return vq_fail(VQ_ERR_FORMAT, "its numbers are kept in a way that PyTorch does not: the file is damaged");
  if (!type)
    return vq_fail(VQ_ERR_UNSUPPORTED, "its numbers are of type %s, which is not read",
                   vq_pickle_at(id, 1) && vq_pickle_at(id, 1)->kind == VQ_PICKLE_GLOBAL
                       ? vq_pickle_at(id, 1)->global
                       : "(none)");
  *out = (vq_torch_storage){
      .key = key->text.data, .key_bytes = key->text.bytes, .dtype = type->file, .width = type->width};
  if (!natural(vq_pickle_at(id, 4), &out->elements) || out->elements > (uint64_t)INT64_MAX / 16)
    return vq_fail(VQ_ERR_FORMAT, "its storage has no valid size: the file is damaged");
  out->view_elements = out->elements;
  if (view && view->kind == VQ_PICKLE_TUPLE &&
      (!natural(vq_pickle_at(view, 1), &out->view_begin) || !natural(vq_pickle_at(view, 2), &out->view_elements) ||
       __builtin_add_overflow(out->view_begin, out->view_elements, &end) || end > out->elements))
    return vq_fail(VQ_ERR_FORMAT, "its storage is a part that reaches beyond the whole: the file is damaged");
  return VQ_OK;
}

static int by_key(const void *a, const void *b)
{
  const vq_torch_storage *x = a, *y = b;
  int order = memcmp(x->key, y->key, x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes);
  return order ? order : (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
}

vq_status vq_torch_storages(vq_torch_storage **out, size_t *count, const vq_pickle *pickle)
{
  const size_t all = pickle->outside.list.count;
  vq_torch_storage *storage = malloc((all + 1) * sizeof *storage);
  vq_status status = storage ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for %zu storages", all);
  size_t n = 0;
  for (size_t i = 0; i < all && !status; i++)
    status = vq_torch_storage_of(&storage[i], pickle->outside.list.item[i]);
  if (status) {
    free(storage);
    return status;
  }
  qsort(storage, all, sizeof *storage, by_key);
  for (size_t i = 0; i < all; i++)
    if (n == 0 || by_key(&storage[n - 1], &storage[i]))
      storage[n++] = storage[i];
  *out = storage;
  *count = n;
  return VQ_OK;
}

/* ---- walking ---- */

typedef struct walker {
  vq_checkpoint *c;
  vq_torch_find_fn find;
  void *context;
  char *name; /* of where the walk is; a 0 follows */
  size_t length, room;
  int depth;
  uint64_t spent, most; /* bytes of memory, about */
  size_t nameless;      /* things that were left out because they have no name */
} walker;

static vq_status walk(walker *w, vq_pickle_item *item);

/* Small pickles can describe huge trees, by naming the same branch again and again. */
static vq_status spend(walker *w, uint64_t bytes)
{
  w->spent += bytes;
  return w->spent > w->most
             ? vq_fail(VQ_ERR_FORMAT, "the pickle describes far more than it holds: it is damaged, or made to harm")
             : VQ_OK;
}

static size_t elements(const vq_pickle_item *item)
{
  return item && item->kind >= VQ_PICKLE_TUPLE && item->kind <= VQ_PICKLE_DICT ? item->list.count : 0;
}

/* A leaf's name, kept. */
static vq_status keep_name(walker *w, const char **out)
{
  const char *name = w->length ? w->name : "tensor"; /* the root itself */
  VQ_TRY(spend(w, strlen(name) + 1));
  if (!vq_is_utf8(name))
    return vq_fail(VQ_ERR_FORMAT, "a name is no text: the file is damaged");
  *out = vq_arena_text(&w->c->arena, name, strlen(name));
  return *out ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for names");
}

static vq_status walk_under(walker *w, const char *text, size_t bytes, vq_pickle_item *item)
{
  const size_t before = w->length, dot = before > 0;
  vq_status status;
  if (memchr(text, 0, bytes))
    return vq_fail(VQ_ERR_FORMAT, "a name is no text: the file is damaged");
  VQ_TRY(spend(w, 16));
  if (before + dot + bytes + 1 > w->room) {
    size_t room = 2 * (before + dot + bytes + 1);
    char *larger = realloc(w->name, room);
    if (!larger)
      return vq_fail(VQ_ERR_MEMORY, "no memory for names");
    w->name = larger, w->room = room;
  }
  if (dot)
    w->name[before] = '.';
  memcpy(w->name + before + dot, text, bytes);
  w->length = before + dot + bytes;
  w->name[w->length] = 0;
  status = walk(w, item);
  w->length = before;
  w->name[before] = 0;
  return status;
}

static vq_status walk_pair(walker *w, const vq_pickle_item *key, vq_pickle_item *value)
{
  char digits[32];
  switch (key ? key->kind : VQ_PICKLE_NONE) {
  case VQ_PICKLE_TEXT:
  case VQ_PICKLE_BYTES: return walk_under(w, key->text.data, key->text.bytes, value);
  case VQ_PICKLE_GLOBAL: return walk_under(w, key->global, strlen(key->global), value);
  case VQ_PICKLE_INT:
    snprintf(digits, sizeof digits, "%" PRId64, key->integer);
    return walk_under(w, digits, strlen(digits), value);
  default: w->nameless++; return VQ_OK;
  }
}

static vq_status walk_elements(walker *w, const vq_pickle_item *list)
{
  for (size_t i = 0; i < list->list.count; i++) {
    const vq_pickle_item index = {VQ_PICKLE_INT, .integer = (int64_t)i};
    VQ_TRY(walk_pair(w, &index, list->list.item[i]));
  }
  return VQ_OK;
}

static vq_status walk_dict(walker *w, const vq_pickle_item *dict)
{
  if (dict && dict->kind == VQ_PICKLE_DICT)
    for (size_t i = 0; i + 1 < dict->list.count; i += 2)
      VQ_TRY(walk_pair(w, dict->list.item[i], dict->list.item[i + 1]));
  return VQ_OK;
}

static vq_status add_value(walker *w, const vq_pickle_item *item)
{
  vq_checkpoint_value value = {.integer = 0};
  vq_checkpoint_value *new;
  VQ_TRY(keep_name(w, &value.name));
  VQ_TRY(spend(w, sizeof value));
  switch (item->kind) {
  case VQ_PICKLE_BOOL: value.kind = VQ_VALUE_BOOL, value.integer = item->integer; break;
  case VQ_PICKLE_INT: value.kind = VQ_VALUE_INT, value.integer = item->integer; break;
  case VQ_PICKLE_FLOAT: value.kind = VQ_VALUE_FLOAT, value.number = item->number; break;
  case VQ_PICKLE_NONE: value.kind = VQ_VALUE_NONE; break;
  default:
    VQ_TRY(spend(w, item->text.bytes));
    value.length = item->text.bytes;
    value.text = vq_arena_text(&w->c->arena, item->text.data, item->text.bytes);
    if (!value.text)
      return vq_fail(VQ_ERR_MEMORY, "no memory for '%s'", value.name);
    value.kind = item->kind != VQ_PICKLE_LONG && strlen(value.text) == value.length && vq_is_utf8(value.text)
                     ? VQ_VALUE_TEXT
                     : VQ_VALUE_BYTES;
  }
  new = vq_checkpoint_new_value(w->c);
  if (!new)
    return VQ_ERR_MEMORY;
  *new = value;
  return VQ_OK;
}

/* ---- tensors ---- */

/* Sizes and strides; the elements that it reaches, from its first one on, to *reach. */
static vq_status read_shape(vq_checkpoint_slot *s, const vq_pickle_item *size, const vq_pickle_item *stride,
                            uint64_t *reach)
{
  uint64_t elements = 1, last = 0;
  s->tensor.rank = (int)size->list.count;
  for (int i = 0; i < s->tensor.rank; i++) {
    uint64_t n, step, way;
    if (!natural(size->list.item[i], &n) || !natural(vq_pickle_at(stride, (size_t)i), &step))
      return vq_fail(VQ_ERR_FORMAT, "its shape is damaged");
    s->tensor.dim[i] = (int64_t)n;
    s->stride[i] = (int64_t)step;
    if (__builtin_mul_overflow(elements, n, &elements) || (n && __builtin_mul_overflow(n - 1, step, &way)) ||
        (n && __builtin_add_overflow(last, way, &last)) || last > INT64_MAX / 16 || elements > INT64_MAX / 16)
      return vq_fail(VQ_ERR_FORMAT, "its shape is larger than any file: the file is damaged");
  }
  *reach = elements ? last + 1 : 0;
  s->tensor.bytes = elements * vq_file_dtype_bytes(s->tensor.dtype);
  return VQ_OK;
}

/* As wanted, one after the other? Along dimensions of one element the stride says nothing. */
static bool is_dense(const vq_checkpoint_slot *s)
{
  int64_t dense[VQ_FILE_RANK];
  vq_checkpoint_dense(&s->tensor, dense);
  for (int i = 0; i < s->tensor.rank; i++)
    if (s->tensor.dim[i] != 1 && s->stride[i] != dense[i] && s->tensor.bytes)
      return false;
  return true;
}

static vq_status read_tensor(walker *w, vq_checkpoint_slot *s, const vq_pickle_item *arguments,
                             const vq_torch_storage *storage)
{
  const size_t width = vq_file_dtype_bytes(s->tensor.dtype);
  uint64_t first, reach = 0, begin, end, input_bytes = w->c->file.at[w->c->file.count - 1].input.bytes;
  if (!natural(vq_pickle_at(arguments, 1), &first))
    return vq_fail(VQ_ERR_FORMAT, "its shape is damaged");
  VQ_TRY(read_shape(s, vq_pickle_at(arguments, 2), vq_pickle_at(arguments, 3), &reach));
  /* Elements of the storage may be bytes, if the tensor has a type of its own. */
  if (__builtin_add_overflow(first, reach, &end) || end > storage->view_elements * storage->width / width)
    return vq_fail(VQ_ERR_FORMAT, "it reaches beyond its %" PRIu64 " stored numbers: the file is damaged",
                   storage->view_elements);
  if (s->tensor.bytes > 16 * input_bytes + (1 << 20))
    return vq_fail(VQ_ERR_FORMAT, "it would have %zu bytes, out of a file of %" PRIu64 ": made to harm",
                   s->tensor.bytes, input_bytes);
  VQ_TRY(w->find(w->context, storage, &s->storage));
  begin = storage->view_begin * storage->width + first * width;
  if (reach && begin + reach * width > s->storage.bytes)
    return vq_fail(VQ_ERR_FORMAT,
                   "its storage should have %" PRIu64 " bytes and has %" PRIu64 ": the file is damaged",
                   begin + reach * width, s->storage.bytes);
  if (reach) {
    s->storage.base = s->storage.base ? s->storage.base + begin : NULL;
    s->storage.offset += begin;
    s->storage.bytes = reach * width;
  }
  s->tensor.data = is_dense(s) ? s->storage.base : NULL;
  return VQ_OK;
}

/* arguments: storage, first element, sizes, strides, and more that does not matter. dtype: NULL, or the tensor's own. */
static vq_status add_tensor(walker *w, const vq_pickle_item *arguments, const vq_pickle_item *dtype)
{
  const vq_pickle_item *outside = vq_pickle_at(arguments, 0), *size = vq_pickle_at(arguments, 2);
  vq_checkpoint_slot s = {.file = w->c->file.count - 1}, *new;
  const struct type *type = find_type(dtype, true);
  vq_torch_storage storage;
  vq_status status;
  VQ_TRY(keep_name(w, &s.tensor.name));
  VQ_TRY(spend(w, sizeof s));
  if (!outside || outside->kind != VQ_PICKLE_OUTSIDE || !size || size->kind != VQ_PICKLE_TUPLE)
    return vq_fail(VQ_ERR_FORMAT, "tensor '%s' is described in a way that PyTorch does not: the file is damaged",
                   s.tensor.name);
  status = vq_torch_storage_of(&storage, outside);
  if (status == VQ_ERR_UNSUPPORTED)
    return vq_checkpoint_say(w->c, "tensor '%s' is left out: %s", s.tensor.name, vq_error_message());
  VQ_TRY(vq_fail_in(status, "tensor '%s'", s.tensor.name));
  s.tensor.dtype = dtype ? (type ? type->file : VQ_FILE_DTYPES) : storage.dtype;
  if (s.tensor.dtype == VQ_FILE_DTYPES || size->list.count > VQ_FILE_RANK)
    return vq_checkpoint_say(w->c, "tensor '%s' is left out: %s", s.tensor.name,
                             s.tensor.dtype == VQ_FILE_DTYPES ? "its type is not read"
                                                              : "it has more dimensions than are read");
  status = read_tensor(w, &s, arguments, &storage);
  if (status)
    return vq_fail_in(status, "tensor '%s'", s.tensor.name);
  new = vq_checkpoint_new_slot(w->c);
  if (!new)
    return VQ_ERR_MEMORY;
  s.order = w->c->slot.count;
  *new = s;
  return VQ_OK;
}

/* ---- calls ---- */

typedef vq_status (*call_fn)(walker *w, vq_pickle_item *arguments, vq_pickle_item *content);

static vq_status call_tensor(walker *w, vq_pickle_item *arguments, vq_pickle_item *content)
{
  (void)content;
  return add_tensor(w, arguments, NULL);
}

static vq_status call_typed_tensor(walker *w, vq_pickle_item *arguments, vq_pickle_item *content)
{
  (void)content;
  return add_tensor(w, arguments, vq_pickle_at(arguments, 6));
}

/* The value is the first argument: parameters, TorchScript's typed lists. */
static vq_status call_first(walker *w, vq_pickle_item *arguments, vq_pickle_item *content)
{
  vq_pickle_item *first = vq_pickle_at(arguments, 0);
  (void)content;
  return first ? walk(w, first) : VQ_OK;
}

/* (function, class, arguments, state): a tensor of a class of its own. The function is one of those above. */
static vq_status call_of_class(walker *w, vq_pickle_item *arguments, vq_pickle_item *content)
{
  const vq_pickle_item *what = vq_pickle_at(arguments, 0);
  vq_pickle_item *inner = vq_pickle_at(arguments, 2);
  if (vq_pickle_is_global(what, "torch._utils._rebuild_tensor_v2"))
    return call_tensor(w, inner, content);
  if (vq_pickle_is_global(what, "torch._utils._rebuild_tensor_v3"))
    return call_typed_tensor(w, inner, content);
  return vq_checkpoint_say(w->c, "'%.500s' is left out: it is a tensor of a class that is not read", w->name);
}

/* What was put in, and before that the pairs in the first argument. */
static vq_status call_dict(walker *w, vq_pickle_item *arguments, vq_pickle_item *content)
{
  const vq_pickle_item *pairs = vq_pickle_at(arguments, 0), *pair;
  VQ_TRY(walk_dict(w, pairs));
  for (size_t i = 0; (pair = vq_pickle_at(pairs, i)); i++)
    if (vq_pickle_at(pair, 1))
      VQ_TRY(walk_pair(w, vq_pickle_at(pair, 0), vq_pickle_at(pair, 1)));
  return walk_dict(w, content);
}

static vq_status call_nothing(walker *w, vq_pickle_item *arguments, vq_pickle_item *content)
{
  (void)w, (void)arguments, (void)content;
  return VQ_OK;
}

static const struct call {
  const char *name;
  call_fn walk;
} calls[] = {
    {"torch._utils._rebuild_tensor", call_tensor},
    {"torch._utils._rebuild_tensor_v2", call_tensor},
    {"torch._utils._rebuild_tensor_v3", call_typed_tensor},
    {"torch._utils._rebuild_parameter", call_first},
    {"torch._utils._rebuild_parameter_with_state", call_first},
    {"torch._tensor._rebuild_from_type", call_of_class},
    {"torch._tensor._rebuild_from_type_v2", call_of_class},
    {"collections.OrderedDict", call_dict},
    {"collections.defaultdict", call_dict},
    {"collections.Counter", call_dict},
    {"torch.Size", call_first},
    {"torch.device", call_first},
    {"builtins.set", call_first},
    {"__builtin__.set", call_first},
    {"builtins.frozenset", call_first},
    {"__builtin__.frozenset", call_first},
    {"torch.jit._pickle.build_boollist", call_first},
    {"torch.jit._pickle.build_doublelist", call_first},
    {"torch.jit._pickle.build_intlist", call_first},
    {"torch.jit._pickle.build_tensorlist", call_first},
    {"torch.jit._pickle.restore_type_tag", call_first},
    {"torch.Tensor", call_nothing}, /* these two are named as the class of one */
    {"torch.nn.parameter.Parameter", call_nothing},
};

static const struct call *find_call(const char *name)
{
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (!strcmp(calls[i].name, name))
      return &calls[i];
  return NULL;
}

/* An object's attributes. A torch.nn.Module that was pickled whole keeps what it is made of in three dicts, whose names are
 * no part of its tensors' names. */
static vq_status walk_attributes(walker *w, vq_pickle_item *state)
{
  static const char *const parts[] = {"_parameters", "_buffers", "_modules"};
  if (!state || state->kind != VQ_PICKLE_DICT)
    return VQ_OK;
  if (!vq_pickle_get(state, "_parameters") || !vq_pickle_get(state, "_modules"))
    return walk_dict(w, state);
  for (int i = 0; i < 3; i++)
    if (vq_pickle_get(state, parts[i]))
      VQ_TRY(walk(w, vq_pickle_get(state, parts[i])));
  return VQ_OK;
}

static vq_status walk_call(walker *w, const vq_pickle_item *what, vq_pickle_item *arguments, vq_pickle_item *state,
                           vq_pickle_item *content)
{
  const struct call *known = what->kind == VQ_PICKLE_GLOBAL ? find_call(what->global) : NULL;
  VQ_TRY(spend(w, elements(vq_pickle_at(arguments, 0)) + elements(state) + elements(content)));
  if (known)
    return known->walk(w, arguments, content);
  VQ_TRY(walk_attributes(w, state));
  return content ? walk(w, content) : VQ_OK;
}

static vq_status walk_inside(walker *w, vq_pickle_item *item)
{
  switch (item->kind) {
  case VQ_PICKLE_TUPLE:
  case VQ_PICKLE_LIST:
  case VQ_PICKLE_SET: return walk_elements(w, item);
  case VQ_PICKLE_DICT: return walk_dict(w, item);
  default: return walk_call(w, item->call.what, item->call.arguments, item->call.state, item->call.content);
  }
}

static vq_status walk(walker *w, vq_pickle_item *item)
{
  vq_status status;
  if (item->kind < VQ_PICKLE_TUPLE)
    return add_value(w, item);
  if (item->kind == VQ_PICKLE_GLOBAL || item->kind == VQ_PICKLE_OUTSIDE || item->visited)
    return VQ_OK; /* a name; numbers without a shape; a circle */
  if (w->depth == MOST_DEPTH)
    return vq_fail(VQ_ERR_FORMAT, "the pickle nests more than %d things: it is damaged, or made to harm",
                   MOST_DEPTH);
  VQ_TRY(spend(w, 16 + elements(item)));
  item->visited = true;
  w->depth++;
  status = walk_inside(w, item);
  w->depth--;
  item->visited = false;
  return status;
}

/* ---- what was not read ---- */

static int by_global(const void *a, const void *b)
{
  const vq_pickle_item *x = *(vq_pickle_item *const *)a, *y = *(vq_pickle_item *const *)b;
  int order = strcmp(x->global, y->global);
  return order ? order : y->called - x->called; /* one that was called before the others */
}

static bool is_known(const vq_pickle_item *global)
{
  return find_call(global->global) || find_type(global, false) || find_type(global, true) ||
         !strncmp(global->global, "__torch__.", 10);
}

/* One note with all names that are not known, of those that were called or of those that were not. */
static vq_status say_names(vq_checkpoint *c, const vq_pickle *pickle, bool called)
{
  vq_pickle_item *const *global = pickle->globals.list.item;
  char names[900] = "";
  size_t n = pickle->globals.list.count, length = 0, more = 0;
  for (size_t i = 0; i < n; i++) {
    if (is_known(global[i]) || global[i]->called != called ||
        (i > 0 && !strcmp(global[i - 1]->global, global[i]->global)))
      continue;
    if (length + 110 < sizeof names)
      length += (size_t)snprintf(names + length, 110, "%s'%.100s'", length ? ", " : "", global[i]->global);
    else
      more++;
  }
  if (more)
    snprintf(names + length, sizeof names - length, " and %zu more", more);
  if (!length)
    return VQ_OK;
  return vq_checkpoint_say(c,
                           called ? "it asks for calls of %s: none was made, and of what they would have made only "
                                    "attributes that are plain data are read"
                                  : "it names %s, of which nothing is read",
                           names);
}

vq_status vq_torch_say_names(vq_checkpoint *c, const vq_pickle *pickle)
{
  const vq_pickle_item *globals = &pickle->globals;
  if (globals->list.count > 1)
    qsort(globals->list.item, globals->list.count, sizeof *globals->list.item, by_global);
  VQ_TRY(say_names(c, pickle, true));
  return say_names(c, pickle, false);
}

vq_status vq_torch_walk(vq_checkpoint *c, const vq_pickle *pickle, vq_torch_find_fn find, void *context)
{
  walker w = {.c = c, .find = find, .context = context, .most = 64 * (uint64_t)pickle->bytes + (1 << 20)};
  vq_status status = walk(&w, pickle->root);
  free(w.name);
  if (!status)
    status = vq_torch_say_names(c, pickle);
  if (!status && w.nameless)
    status =
        vq_checkpoint_say(c, "%zu entries whose keys are neither texts nor whole numbers are left out", w.nameless);
  return status;
}
