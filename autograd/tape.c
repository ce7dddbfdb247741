/* tape.c -- the autograd engine. tape.h says what it does; this file is meant to be read from top to bottom.
 *
 * A tape is two lists that only grow at their ends: the tensors that were made, and the nodes, one for each op call
 * whose gradient somebody wants. An op runs when it is called, so the order of the nodes is an order in which every
 * tensor is made before it is used. The chain rule in that order, backwards, is one loop: vq_backward.
 */
#include "autograd/tape.h"
#include "autograd/repeat.h"
#include "autograd/tensor_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct vq_node {
  const vq_op *op;
  vq_tensor *in[VQ_IN], *out, *saved;
  unsigned wants; /* bit i: in[i] wants a gradient */
  unsigned keeps; /* VQ_READS_ bits of the tensors on which this node holds a reference */
  int64_t first;  /* number of tensors on the tape before this op made its own */
  int64_t part, whole;
  vq_attr attr;
} vq_node;

struct vq_tape {
  vq_device *device;
  vq_node *node;
  int64_t nodes, node_room;
  vq_tensor_list tensors;
  vq_status status; /* the first error */
  void *room;       /* vq_tape_room's */
  size_t room_bytes;
  int64_t part, whole; /* vq_tape_batch */
  bool trap;
  vq_watch_fn watch;
  void *watch_user;
};

vq_tensor *vq_tape_fail(vq_tape *t, vq_status status)
{
  if (!t->status)
    t->status = status;
  return NULL;
}

/* ---- tensors ---- */

static vq_tensor *new_tensor(vq_tape *t, const vq_shape *shape)
{
  vq_tensor *x;
  vq_status status = vq_list_add(&t->tensors, shape, &x);
  return status ? vq_tape_fail(t, status) : x;
}

vq_tensor *vq_leaf(vq_tape *t, const vq_shape *shape, const void *host, bool wants)
{
  vq_tensor *x = t->status ? NULL : new_tensor(t, shape);
  if (!x)
    return NULL;
  x->wants = wants;
  vq_status status = host ? vq_tensor_write(t->device, x, host) : VQ_OK;
  return status ? vq_tape_fail(t, status) : x;
}

void *vq_tape_room(vq_tape *t, size_t bytes)
{
  if (bytes > t->room_bytes || !t->room) {
    free(t->room);
    t->room = malloc(bytes + 1);
    t->room_bytes = t->room ? bytes : 0;
  }
  if (!t->room)
    return vq_tape_fail(t, vq_fail(VQ_ERR_MEMORY, "no memory for %zu bytes of a step's numbers", bytes));
  return memset(t->room, 0, bytes);
}

vq_tensor *vq_view(vq_tape *t, vq_tensor *x, int rank, const int64_t *dim)
{
  if (!x || t->status)
    return NULL;
  vq_shape s = vq_shape_make(x->dtype, rank, dim);
  if (vq_shape_count(&s) != vq_count(x)) {
    vq_shape old = vq_shape_of(x);
    char from[96], to[96];
    return vq_tape_fail(t, vq_fail(VQ_ERR_SHAPE, "view: %s has not as many elements as %s",
                                   vq_shape_text(from, 96, &old), vq_shape_text(to, 96, &s)));
  }
  vq_tensor *y;
  vq_status status = vq_list_add_view(&t->tensors, &s, x, &y);
  return status ? vq_tape_fail(t, status) : y;
}

void vq_tape_batch(vq_tape *t, int64_t part, int64_t whole)
{
  t->part = part;
  t->whole = whole;
}

void vq_done(vq_tape *t, vq_tensor *x)
{
  if (x)
    vq_list_release(&t->tensors, x);
}

void vq_grad_drop(vq_tape *t, vq_tensor *x)
{
  vq_list_drop_grad(&t->tensors, x);
}

/* ---- forward: run an op now, and remember it if its gradient will be asked for ---- */

static double now(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Runs one kernel with its scratch. On a plan, only the scratch is taken and given back. */
static vq_status run(vq_tape *t, const vq_op *op, const vq_kernels *by, vq_call *call, bool backward)
{
  size_t bytes = by->scratch ? by->scratch(call, backward) : 0;
  double start = t->watch ? now() : 0;
  vq_status status = VQ_OK;
  call->scratch = NULL;
  if (bytes)
    VQ_TRY(vq_device_take(t->device, VQ_POOL_HIGH, bytes, &call->scratch));
  if (t->device->mode != VQ_AT_ONCE)
    vq_repeat_note_call(t->device, op, call, backward);
  if (!t->device->plan && t->device->mode != VQ_REPEATING)
    status = backward ? by->backward(call) : by->forward(call);
  if (!status)
    status = vq_device_settle(t->device, op->name);
  if (!status && t->watch && !t->device->plan && t->device->backend->wait)
    status = vq_fail_in(t->device->backend->wait(t->device), "%s", op->name);
  vq_device_give(t->device, call->scratch);
  if (t->watch && !status)
    t->watch(t->watch_user, op, call, backward, now() - start);
  return status;
}

/* The trap: the first op that makes something that is not finite is the one that is named. */
static vq_status check_finite(vq_tape *t, const vq_op *op, const vq_tensor *x, const char *what, int input)
{
  bool finite = true;
  if (!t->trap)
    return VQ_OK;
  VQ_TRY(vq_tensor_finite(t->device, x, input >= 0, &finite));
  if (finite)
    return VQ_OK;
  vq_shape s = vq_shape_of(x);
  char shape[96], which[32] = "";
  if (input >= 0)
    snprintf(which, sizeof which, " of input %d", input);
  return vq_fail(VQ_ERR_NAN, "%s: its %s%s, %s, has values that are not finite (op call number %lld of the tape)",
                 op->name, what, which, vq_shape_text(shape, sizeof shape, &s), (long long)t->nodes);
}

static vq_status check_inputs(const vq_op *op, const vq_call *call, int count)
{
  for (int i = 0; i < VQ_IN; i++) {
    const vq_tensor *x = call->in[i];
    if (x && !(x->base ? x->base->data : x->data))
      return vq_fail(VQ_ERR_ARGUMENT, "%s: input %d was given back (vq_done) before this use", op->name, i);
    if (x && x->wants && !(op->gives >> i & 1))
      return vq_fail(VQ_ERR_GRADIENT, "%s: input %d wants a gradient and the op has none for it", op->name, i);
    if (!x && i < count && !(op->optional >> i & 1))
      return vq_fail(VQ_ERR_ARGUMENT, "%s: input %d is missing", op->name, i);
  }
  return VQ_OK;
}

/* Appends the node and takes its references: on what its backward will read and on nothing else. */
static vq_status append(vq_tape *t, const vq_op *op, const vq_call *call, int64_t first)
{
  if (t->nodes == t->node_room) {
    int64_t room = t->node_room ? 2 * t->node_room : 256;
    vq_node *grown = realloc(t->node, (size_t)room * sizeof *grown);
    if (!grown)
      return vq_fail(VQ_ERR_MEMORY, "no memory for the tape's list of nodes");
    t->node = grown;
    t->node_room = room;
  }
  vq_node *n = &t->node[t->nodes++];
  *n = (vq_node){.op = op,
                 .out = call->out,
                 .saved = call->saved,
                 .wants = call->wants,
                 .first = first,
                 .attr = *call->attr,
                 .part = call->part,
                 .whole = call->whole};
  memcpy(n->in, call->in, sizeof n->in);
  for (int i = 0; i < VQ_IN; i++)
    if (n->wants >> i & 1)
      n->keeps |= op->reads[i];
  for (int i = 0; i < VQ_IN; i++)
    if (n->in[i] && n->keeps & VQ_READS_IN(i))
      n->in[i]->refs++;
  if (n->keeps & VQ_READS_OUT)
    n->out->refs++;
  return VQ_OK;
}

static vq_status record(vq_tape *t, const vq_op *op, vq_call *call, int count)
{
  vq_shape out, saved = {.rank = -1};
  vq_kernels by;
  int64_t first = t->tensors.count;
  VQ_TRY(check_inputs(op, call, count));
  VQ_TRY(op->shape(call, &out, &saved));
  t->device->backend->find(t->device, op, &by);
  for (int i = 0; i < VQ_IN; i++) {
    vq_tensor *x = call->in[i];
    if (x && x->wants)
      call->wants |= 1u << i;
    if (x && x->prepared_for && x->prepared_for != op)
      return vq_fail(VQ_ERR_ARGUMENT, "%s: input %d is laid out for %s: give each op a weight of its own", op->name,
                     i, x->prepared_for->name);
    if (x && x->weight && !x->wants && !(x->prepared[0] && x->prepared[1]) && by.prepare)
      VQ_TRY(by.prepare(call));
    if (x && !x->prepared_for && (x->prepared[0] || x->prepared[1]))
      x->prepared_for = op;
  }
  if (!by.forward || (call->wants & ~op->passes && !by.backward))
    return vq_fail(VQ_ERR_UNSUPPORTED, "%s: the %s device has no %s for it", op->name, t->device->backend->name,
                   by.forward ? "gradient" : "kernel");
  call->out = new_tensor(t, &out);
  if (call->out && saved.rank >= 0)
    call->saved = new_tensor(t, &saved);
  if (!call->out || (saved.rank >= 0 && !call->saved))
    return t->status;
  call->out->wants = call->wants != 0;
  VQ_TRY(run(t, op, &by, call, false));
  VQ_TRY(check_finite(t, op, call->out, "output", -1));
  if (call->wants)
    VQ_TRY(append(t, op, call, first));
  if (call->saved && !(call->wants && t->node[t->nodes - 1].keeps & VQ_READS_SAVED))
    vq_list_release(&t->tensors, call->saved);
  return VQ_OK;
}

vq_tensor *vq_record(vq_tape *t, const vq_op *op, vq_tensor *const *in, int count, const vq_attr *attr)
{
  static const vq_attr none;
  vq_call call = {.device = t->device, .attr = attr ? attr : &none, .part = t->part, .whole = t->whole};
  if (t->status)
    return NULL;
  memcpy(call.in, in, (size_t)count * sizeof *in);
  vq_status status = record(t, op, &call, count);
  return status ? vq_tape_fail(t, status) : call.out;
}

/* ---- backward: the chain rule, from the last node to the mark ---- */

/* Makes room for x's gradient if there is none, and says whether there was: then what comes is added to it. */
static vq_status want_grad(vq_tape *t, vq_tensor *x, bool *add)
{
  vq_tensor *root = vq_root(x);
  vq_shape s = vq_shape_of(root);
  *add = root->grad != NULL;
  return *add ? VQ_OK : vq_device_take(t->device, VQ_POOL_HIGH, vq_shape_bytes(&s), &root->grad);
}

/* Where d(in[i]) is dy itself: added to what is there, else copied, else, by the last, simply taken over. */
static vq_status pass_gradient(vq_tape *t, const vq_node *n)
{
  const vq_backend *on = t->device->backend;
  vq_tensor *y = n->out;
  unsigned passes = n->wants & n->op->passes;
  for (int i = 0; passes >> i; i++) {
    bool add, last = passes >> i == 1;
    if (!(passes >> i & 1))
      continue;
    vq_tensor *root = vq_root(n->in[i]);
    if (last && !root->grad) {
      root->grad = y->grad;
      y->grad = NULL;
      return VQ_OK;
    }
    VQ_TRY(want_grad(t, root, &add));
    if (t->device->plan)
      continue;
    if (add)
      VQ_TRY(on->add(t->device, y->dtype, root->grad, y->grad, vq_count(y)));
    else
      VQ_TRY(on->copy(t->device, root->grad, y->grad, (size_t)vq_count(y) * vq_dtype_bytes(y->dtype)));
    VQ_TRY(vq_device_settle(t->device, n->op->name));
  }
  return VQ_OK;
}

/* One node: d loss / d out is there; d loss / d in[i] is made for every input that wants one. */
static vq_status step_back(vq_tape *t, const vq_node *n)
{
  vq_call call = {
      .device = t->device, .attr = &n->attr, .out = n->out, .saved = n->saved, .part = n->part, .whole = n->whole};
  call.wants = n->wants & ~n->op->passes;
  memcpy(call.in, n->in, sizeof call.in);
  for (int i = 0; i < VQ_IN; i++) {
    bool add;
    if (!(call.wants >> i & 1))
      continue;
    VQ_TRY(want_grad(t, n->in[i], &add));
    call.add |= (unsigned)add << i;
  }
  if (call.wants) {
    vq_kernels by;
    t->device->backend->find(t->device, n->op, &by);
    VQ_TRY(run(t, n->op, &by, &call, true));
  }
  for (int i = 0; i < VQ_IN; i++)
    if (call.wants >> i & 1)
      VQ_TRY(check_finite(t, n->op, n->in[i], "gradient", i));
  return pass_gradient(t, n);
}

/* Takes the last node off: gives back what it kept, then everything that was made since just before its output. */
static void pop_node(vq_tape *t)
{
  vq_node *n = &t->node[--t->nodes];
  for (int i = 0; i < VQ_IN; i++)
    if (n->in[i] && n->keeps & VQ_READS_IN(i))
      vq_list_release(&t->tensors, n->in[i]);
  vq_list_cut(&t->tensors, n->first);
}

/* Puts a gradient of x's that `host` or, without it, `value` gives in the place of, or onto, the one that is there. */
static vq_status seed(vq_tape *t, vq_tensor *x, const void *host, double value)
{
  const vq_backend *on = t->device->backend;
  vq_tensor *root = vq_root(x);
  void *had = root->grad;
  bool add;
  root->grad = NULL;
  VQ_TRY(want_grad(t, root, &add));
  if (!t->device->plan) {
    if (host)
      VQ_TRY(on->upload(t->device, root->grad, host, (size_t)vq_count(root) * vq_dtype_bytes(root->dtype)));
    else
      VQ_TRY(on->fill(t->device, root->dtype, root->grad, value, vq_count(root)));
    if (had)
      VQ_TRY(on->add(t->device, root->dtype, root->grad, had, vq_count(root)));
    VQ_TRY(vq_device_settle(t->device, "the gradient that a walk begins with"));
  }
  vq_device_give(t->device, had);
  return VQ_OK;
}

vq_status vq_seed(vq_tape *t, vq_tensor *x, double value)
{
  if (x && x->wants && !t->status)
    t->status = seed(t, x, NULL, value);
  return t->status;
}

vq_status vq_seed_with(vq_tape *t, vq_tensor *x, const void *host)
{
  if (x && x->wants && !t->status)
    t->status = seed(t, x, host, 0);
  return t->status;
}

vq_status vq_backward(vq_tape *t, vq_tensor *loss, vq_mark mark)
{
  if (t->status)
    return t->status;
  if (loss && vq_count(loss) != 1)
    vq_tape_fail(
        t, vq_fail(VQ_ERR_SHAPE, "backward: a loss has one element, this one has %lld", (long long)vq_count(loss)));
  if (loss)
    vq_seed(t, loss, 1);
  while (t->nodes > mark.nodes && !t->status) {
    vq_node *n = &t->node[t->nodes - 1];
    if (n->out->grad)
      t->status = step_back(t, n);
    pop_node(t);
  }
  vq_status status = t->status;
  vq_rewind(t, mark);
  return status;
}

/* ---- the tape itself ---- */

vq_mark vq_tape_mark(const vq_tape *t)
{
  return (vq_mark){t->nodes, t->tensors.count};
}

void vq_rewind(vq_tape *t, vq_mark mark)
{
  while (t->nodes > mark.nodes)
    pop_node(t);
  vq_list_cut(&t->tensors, mark.tensors);
  if (mark.tensors)
    return;
  t->status = VQ_OK;
  vq_tape_batch(t, 1, 1);
}

vq_status vq_tape_create(vq_tape **out, vq_device *device)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a tape");
  (*out)->device = (*out)->tensors.device = device;
  vq_tape_batch(*out, 1, 1);
  return VQ_OK;
}

void vq_tape_free(vq_tape *t)
{
  if (!t)
    return;
  vq_rewind(t, VQ_TAPE_START);
  vq_list_free(&t->tensors);
  free(t->node);
  free(t->room);
  free(t);
}

vq_device *vq_tape_device(const vq_tape *t)
{
  return t->device;
}

vq_status vq_tape_status(const vq_tape *t)
{
  return t->status;
}

void vq_tape_trap(vq_tape *t, bool on)
{
  t->trap = on;
}

void vq_tape_watch(vq_tape *t, vq_watch_fn watch, void *user)
{
  t->watch = watch;
  t->watch_user = user;
}
