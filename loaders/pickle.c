/* pickle.c -- the machine: a stack, marks, a memo. Every opcode that makes something takes at least one byte of the pickle and
 * makes at most one item, so memory follows from the pickle's length; nothing here calls itself.
 */
#include "loaders/pickle.h"

#include <stdlib.h>
#include <string.h>

typedef struct machine {
  const uint8_t *start, *at, *end;
  vq_pickle *pickle;
  vq_pickle_item **stack, **memo;
  size_t depth, stack_room, memo_count, memo_room;
  size_t *mark; /* heights of the stack */
  size_t marks, marks_room;
} machine;

static vq_status damaged(const machine *m, const char *what)
{
  return vq_fail(VQ_ERR_FORMAT, "the pickle is damaged at byte %zu: %s", (size_t)(m->at - m->start), what);
}

static vq_status no_memory(void)
{
  return vq_fail(VQ_ERR_MEMORY, "no memory for what the pickle holds");
}

/* ---- growing ---- */

/* Makes room for `count` elements of `size` bytes: twice what there was. */
static vq_status grow(void *array, size_t *room, size_t count, size_t size)
{
  void *larger;
  size_t wanted = count > 2 * *room ? count : 2 * *room;
  if (count <= *room)
    return VQ_OK;
  if (wanted < 64)
    wanted = 64;
  larger = realloc(*(void **)array, wanted * size);
  if (!larger)
    return no_memory();
  memset((char *)larger + *room * size, 0, (wanted - *room) * size);
  *(void **)array = larger;
  *room = wanted;
  return VQ_OK;
}

static vq_status push(machine *m, vq_pickle_item *item)
{
  if (!item)
    return no_memory();
  VQ_TRY(grow(&m->stack, &m->stack_room, m->depth + 1, sizeof *m->stack));
  m->stack[m->depth++] = item;
  return VQ_OK;
}

/* Elements that may be taken: those above the last mark. */
static size_t above(const machine *m)
{
  return m->depth - (m->marks ? m->mark[m->marks - 1] : 0);
}

static vq_status need(const machine *m, size_t items)
{
  return above(m) < items ? damaged(m, "it takes more from its stack than is there") : VQ_OK;
}

static vq_pickle_item *make(machine *m, vq_pickle_kind kind)
{
  vq_pickle_item *item = vq_arena_take(&m->pickle->arena, sizeof *item);
  if (item)
    item->kind = kind;
  return item;
}

/* Adds items to a list; its first array is exact, later ones have room to grow. */
static vq_status add(machine *m, vq_pickle_item *list, vq_pickle_item *const *item, size_t count)
{
  if (count == 0)
    return VQ_OK;
  if (list->list.count + count > list->list.room) {
    size_t room = list->list.count ? 2 * (list->list.count + count) : count;
    vq_pickle_item **larger = vq_arena_take(&m->pickle->arena, room * sizeof *larger);
    if (!larger)
      return no_memory();
    if (list->list.count)
      memcpy(larger, list->list.item, list->list.count * sizeof *larger);
    list->list.item = larger;
    list->list.room = room;
  }
  memcpy(list->list.item + list->list.count, item, count * sizeof *item);
  list->list.count += count;
  return VQ_OK;
}

/* ---- arguments of opcodes ---- */

/* The next `bytes` bytes; NULL: there are fewer. */
static const uint8_t *take(machine *m, uint64_t bytes)
{
  const uint8_t *at = m->at;
  if (bytes > (uint64_t)(m->end - at))
    return NULL;
  m->at += bytes;
  return at;
}

static vq_status cut_short(const machine *m)
{
  return damaged(m, "it ends in the middle, as a truncated file does: get it again");
}

static vq_status take_number(machine *m, int bytes, uint64_t *out)
{
  const uint8_t *at = take(m, (uint64_t)bytes);
  if (!at)
    return cut_short(m);
  for (*out = 0; bytes-- > 0;)
    *out = *out << 8 | at[bytes];
  return VQ_OK;
}

static vq_status push_integer(machine *m, vq_pickle_kind kind, int64_t value)
{
  vq_pickle_item *item = make(m, kind);
  if (item)
    item->integer = value;
  return push(m, item);
}

/* An unsigned number of `bytes` bytes, which BININT, four of them, has with a sign. */
static vq_status push_short_integer(machine *m, int bytes)
{
  uint64_t value = 0;
  VQ_TRY(take_number(m, bytes, &value));
  return push_integer(m, VQ_PICKLE_INT, bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

static vq_status push_long(machine *m, int length_bytes)
{
  uint64_t length = 0, value = 0;
  const uint8_t *at;
  VQ_TRY(take_number(m, length_bytes, &length));
  at = take(m, length);
  if (!at)
    return cut_short(m);
  if (length > 8) {
    vq_pickle_item *item = make(m, VQ_PICKLE_LONG);
    if (item)
      item->text.data = (const char *)at, item->text.bytes = length;
    return push(m, item);
  }
  if (length > 0 && at[length - 1] & 0x80)
    value = UINT64_MAX;
  while (length-- > 0)
    value = value << 8 | at[length];
  return push_integer(m, VQ_PICKLE_INT, (int64_t)value);
}

static vq_status push_float(machine *m)
{
  uint64_t bits = 0;
  const uint8_t *at = take(m, 8); /* the one number that is big-endian */
  vq_pickle_item *item;
  if (!at)
    return cut_short(m);
  for (int i = 0; i < 8; i++)
    bits = bits << 8 | at[i];
  item = make(m, VQ_PICKLE_FLOAT);
  if (item)
    memcpy(&item->number, &bits, sizeof bits);
  return push(m, item);
}

static vq_status push_text(machine *m, vq_pickle_kind kind, int length_bytes)
{
  uint64_t length = 0;
  const uint8_t *at;
  vq_pickle_item *item;
  VQ_TRY(take_number(m, length_bytes, &length));
  at = take(m, length);
  if (!at)
    return cut_short(m);
  item = make(m, kind);
  if (item)
    item->text.data = (const char *)at, item->text.bytes = length;
  return push(m, item);
}

/* ---- what opcodes do ---- */

static vq_status push_global(machine *m, const char *module, size_t module_bytes, const char *name,
                             size_t name_bytes)
{
  vq_pickle_item *item = make(m, VQ_PICKLE_GLOBAL);
  char *text = vq_arena_take(&m->pickle->arena, module_bytes + name_bytes + 2);
  if (!item || !text)
    return no_memory();
  memcpy(text, module, module_bytes);
  text[module_bytes] = '.';
  memcpy(text + module_bytes + 1, name, name_bytes);
  for (size_t i = 0; i < module_bytes + 1 + name_bytes; i++)
    if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
      return damaged(m, "the name of a class is no text");
  item->global = text;
  VQ_TRY(add(m, &m->pickle->globals, &item, 1));
  return push(m, item);
}

static vq_status read_global(machine *m)
{
  const uint8_t *module = m->at, *middle = memchr(module, '\n', (size_t)(m->end - module)), *end;
  end = middle ? memchr(middle + 1, '\n', (size_t)(m->end - middle - 1)) : NULL;
  if (!end)
    return cut_short(m);
  m->at = end + 1;
  return push_global(m, (const char *)module, (size_t)(middle - module), (const char *)middle + 1,
                     (size_t)(end - middle - 1));
}

static vq_status stack_global(machine *m)
{
  vq_pickle_item *module, *name;
  VQ_TRY(need(m, 2));
  name = m->stack[--m->depth], module = m->stack[--m->depth];
  if (module->kind != VQ_PICKLE_TEXT || name->kind != VQ_PICKLE_TEXT)
    return damaged(m, "the name of a class is no text");
  return push_global(m, module->text.data, module->text.bytes, name->text.data, name->text.bytes);
}

/* The top `count` elements become one list or tuple. */
static vq_status collect(machine *m, vq_pickle_kind kind, size_t count)
{
  vq_pickle_item *item;
  VQ_TRY(need(m, count));
  if (kind == VQ_PICKLE_DICT && count % 2)
    return damaged(m, "a key has no value");
  item = make(m, kind);
  if (!item)
    return no_memory();
  VQ_TRY(add(m, item, m->stack + m->depth - count, count));
  m->depth -= count;
  return push(m, item);
}

/* How many elements are above the last mark, which is taken away. */
static vq_status take_mark(machine *m, size_t *count)
{
  if (!m->marks)
    return damaged(m, "it has no mark where one is due");
  *count = above(m);
  m->marks--;
  return VQ_OK;
}

static vq_status collect_marked(machine *m, vq_pickle_kind kind)
{
  size_t count = 0;
  VQ_TRY(take_mark(m, &count));
  return collect(m, kind, count);
}

/* The top `count` elements go into what lies under them: a list, a set or a dict, or what a call would have made. */
static vq_status put_into(machine *m, vq_pickle_kind kind, size_t count)
{
  vq_pickle_item *target;
  VQ_TRY(need(m, count + 1));
  target = m->stack[m->depth - count - 1];
  if (kind == VQ_PICKLE_DICT && count % 2)
    return damaged(m, "a key has no value");
  if (target->kind == VQ_PICKLE_CALL) {
    if (!target->call.content && !(target->call.content = make(m, kind)))
      return no_memory();
    target = target->call.content;
  }
  if (target->kind != kind)
    return damaged(m, "it puts elements into what holds none");
  VQ_TRY(add(m, target, m->stack + m->depth - count, count));
  m->depth -= count;
  return VQ_OK;
}

static vq_status put_marked(machine *m, vq_pickle_kind kind)
{
  size_t count = 0;
  VQ_TRY(take_mark(m, &count));
  return put_into(m, kind, count);
}

/* Of the top elements, what is called and its arguments; of NEWOBJ_EX a third, named ones, is dropped. */
static vq_status call(machine *m, size_t elements)
{
  vq_pickle_item *item = make(m, VQ_PICKLE_CALL);
  VQ_TRY(need(m, elements));
  if (!item)
    return no_memory();
  m->depth -= elements;
  item->call.what = m->stack[m->depth];
  item->call.arguments = m->stack[m->depth + 1];
  if (item->call.what->kind == VQ_PICKLE_GLOBAL)
    item->call.what->called = true;
  return push(m, item);
}

static vq_status build(machine *m)
{
  vq_pickle_item *target;
  VQ_TRY(need(m, 2));
  target = m->stack[m->depth - 2];
  if (target->kind != VQ_PICKLE_CALL || target->call.state)
    return damaged(m, "it gives a state to what takes none");
  target->call.state = m->stack[--m->depth];
  return VQ_OK;
}

static vq_status outside(machine *m)
{
  vq_pickle_item *item = make(m, VQ_PICKLE_OUTSIDE);
  VQ_TRY(need(m, 1));
  if (!item)
    return no_memory();
  item->outside = m->stack[--m->depth];
  VQ_TRY(add(m, &m->pickle->outside, &item, 1));
  return push(m, item);
}

static vq_status put(machine *m, uint64_t index)
{
  VQ_TRY(need(m, 1));
  if (index >= (uint64_t)(m->end - m->start)) /* each takes two bytes, and they are numbered in turn */
    return damaged(m, "it remembers more than it can hold");
  VQ_TRY(grow(&m->memo, &m->memo_room, (size_t)index + 1, sizeof *m->memo));
  if (index >= m->memo_count)
    m->memo_count = (size_t)index + 1;
  m->memo[index] = m->stack[m->depth - 1];
  return VQ_OK;
}

static vq_status get(machine *m, int bytes)
{
  uint64_t index = 0;
  VQ_TRY(take_number(m, bytes, &index));
  if (index >= m->memo_count || !m->memo[index])
    return damaged(m, "it asks for what it does not remember");
  return push(m, m->memo[index]);
}

static vq_status put_numbered(machine *m, int bytes)
{
  uint64_t index = 0;
  VQ_TRY(take_number(m, bytes, &index));
  return put(m, index);
}

static vq_status mark(machine *m)
{
  VQ_TRY(grow(&m->mark, &m->marks_room, m->marks + 1, sizeof *m->mark));
  m->mark[m->marks++] = m->depth;
  return VQ_OK;
}

static vq_status pop(machine *m)
{
  size_t count;
  if (m->marks && above(m) == 0)
    return take_mark(m, &count);
  VQ_TRY(need(m, 1));
  m->depth--;
  return VQ_OK;
}

static vq_status pop_marked(machine *m)
{
  size_t count = 0;
  VQ_TRY(take_mark(m, &count));
  m->depth -= count;
  return VQ_OK;
}

static vq_status protocol(machine *m)
{
  uint64_t version = 0;
  VQ_TRY(take_number(m, 1, &version));
  if (version > 5)
    return vq_fail(VQ_ERR_UNSUPPORTED, "the pickle is of protocol %d, and up to 5 is read", (int)version);
  return VQ_OK;
}

static vq_status do_opcode(machine *m, uint8_t opcode)
{
  switch (opcode) {
  case 0x80: return protocol(m);
  case 0x95: return take(m, 8) ? VQ_OK : cut_short(m); /* FRAME: how far one may read ahead */
  case '(': return mark(m);
  case '0': return pop(m);
  case '1': return pop_marked(m);
  case '2': VQ_TRY(need(m, 1)); return push(m, m->stack[m->depth - 1]);
  case 'N': return push(m, make(m, VQ_PICKLE_NONE));
  case 0x88: return push_integer(m, VQ_PICKLE_BOOL, 1);
  case 0x89: return push_integer(m, VQ_PICKLE_BOOL, 0);
  case 'J': return push_short_integer(m, 4);
  case 'K': return push_short_integer(m, 1);
  case 'M': return push_short_integer(m, 2);
  case 0x8a: return push_long(m, 1);
  case 0x8b: return push_long(m, 4);
  case 'G': return push_float(m);
  case 'X': return push_text(m, VQ_PICKLE_TEXT, 4);
  case 0x8c: return push_text(m, VQ_PICKLE_TEXT, 1);
  case 0x8d: return push_text(m, VQ_PICKLE_TEXT, 8);
  case 'T': return push_text(m, VQ_PICKLE_BYTES, 4);
  case 'U': return push_text(m, VQ_PICKLE_BYTES, 1);
  case 'B': return push_text(m, VQ_PICKLE_BYTES, 4);
  case 'C': return push_text(m, VQ_PICKLE_BYTES, 1);
  case 0x8e: return push_text(m, VQ_PICKLE_BYTES, 8);
  case ')': return collect(m, VQ_PICKLE_TUPLE, 0);
  case 0x85: return collect(m, VQ_PICKLE_TUPLE, 1);
  case 0x86: return collect(m, VQ_PICKLE_TUPLE, 2);
  case 0x87: return collect(m, VQ_PICKLE_TUPLE, 3);
  case 't': return collect_marked(m, VQ_PICKLE_TUPLE);
  case ']': return collect(m, VQ_PICKLE_LIST, 0);
  case 'l': return collect_marked(m, VQ_PICKLE_LIST);
  case 'a': return put_into(m, VQ_PICKLE_LIST, 1);
  case 'e': return put_marked(m, VQ_PICKLE_LIST);
  case '}': return collect(m, VQ_PICKLE_DICT, 0);
  case 'd': return collect_marked(m, VQ_PICKLE_DICT);
  case 's': return put_into(m, VQ_PICKLE_DICT, 2);
  case 'u': return put_marked(m, VQ_PICKLE_DICT);
  case 0x8f: return collect(m, VQ_PICKLE_SET, 0);
  case 0x90: return put_marked(m, VQ_PICKLE_SET);
  case 0x91: return collect_marked(m, VQ_PICKLE_SET);
  case 'c': return read_global(m);
  case 0x93: return stack_global(m);
  case 'R': return call(m, 2);
  case 0x81: return call(m, 2);
  case 0x92: return call(m, 3);
  case 'b': return build(m);
  case 'Q': return outside(m);
  case 'q': return put_numbered(m, 1);
  case 'r': return put_numbered(m, 4);
  case 0x94: return put(m, m->memo_count);
  case 'h': return get(m, 1);
  case 'j': return get(m, 4);
  default:
    return vq_fail(VQ_ERR_UNSUPPORTED,
                   "the pickle has opcode 0x%02x at byte %zu, which none has that holds a network", opcode,
                   (size_t)(m->at - m->start - 1));
  }
}

static vq_status run(machine *m)
{
  VQ_TRY(grow(&m->stack, &m->stack_room, 1, sizeof *m->stack)); /* so that there is one to point into */
  for (;;) {
    const uint8_t *opcode = take(m, 1);
    if (!opcode)
      return m->end - m->start == VQ_PICKLE_MOST_BYTES
                 ? vq_fail(VQ_ERR_UNSUPPORTED, "the pickle has more than %d MiB", VQ_PICKLE_MOST_BYTES >> 20)
                 : cut_short(m);
    if (*opcode == '.')
      break;
    VQ_TRY(do_opcode(m, *opcode));
  }
  VQ_TRY(need(m, 1));
  m->pickle->root = m->stack[m->depth - 1];
  m->pickle->bytes = (size_t)(m->at - m->start);
  return VQ_OK;
}

vq_status vq_pickle_read(vq_pickle *out, const void *data, size_t bytes)
{
  const uint8_t *start = data;
  machine m = {.start = start,
               .at = start,
               .end = start + (bytes < VQ_PICKLE_MOST_BYTES ? bytes : VQ_PICKLE_MOST_BYTES),
               .pickle = out};
  vq_status status;
  *out = (vq_pickle){.globals.kind = VQ_PICKLE_LIST, .outside.kind = VQ_PICKLE_LIST};
  status = run(&m);
  free(m.stack);
  free(m.memo);
  free(m.mark);
  if (status)
    vq_pickle_free(out);
  return status;
}

void vq_pickle_free(vq_pickle *pickle)
{
  vq_arena_free(&pickle->arena);
  *pickle = (vq_pickle){0};
}

/* ---- looking ---- */

bool vq_pickle_is_text(const vq_pickle_item *item, const char *text)
{
  return item && (item->kind == VQ_PICKLE_TEXT || item->kind == VQ_PICKLE_BYTES) &&
         item->text.bytes == strlen(text) && !memcmp(item->text.data, text, item->text.bytes);
}

bool vq_pickle_is_global(const vq_pickle_item *item, const char *name)
{
  return item && item->kind == VQ_PICKLE_GLOBAL && !strcmp(item->global, name);
}

vq_pickle_item *vq_pickle_at(const vq_pickle_item *list, size_t index)
{
  return list && (list->kind == VQ_PICKLE_TUPLE || list->kind == VQ_PICKLE_LIST) && index < list->list.count
             ? list->list.item[index]
             : NULL;
}

vq_pickle_item *vq_pickle_get(const vq_pickle_item *dict, const char *key)
{
  if (dict && dict->kind == VQ_PICKLE_DICT)
    for (size_t i = dict->list.count; i > 0; i -= 2) /* the last one counts */
      if (vq_pickle_is_text(dict->list.item[i - 2], key))
        return dict->list.item[i - 1];
  return NULL;
}
