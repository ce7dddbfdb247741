/* stand_in_cudnn.cpp -- a libcudnn for the emulated card (stand_in.h): a convolution, or the way back to its x, and what is added to it.
 *
 * Its heuristic names, before engines that are right, some that must not be chosen: those compute what cannot pass. */
#include "stand_in.h"

#include <map>
#include <vector>

extern "C" {
#include "kernels/cuda/cudnn_abi.h"
}

namespace
{

#define LIBRARY "cuDNN"
static const int BAD_PARAM = 2000, NOT_SUPPORTED = 3000, INTERNAL_ERROR = 4000;

struct attribute {
  int type;
  int64_t count;
  std::vector<char> value;
};

static size_t size_of(int type)
{
  switch (type) {
  case DNN_IS_BOOLEAN: return 1;
  case DNN_IS_INT64:
  case DNN_IS_HANDLE:
  case DNN_IS_POINTER:
  case DNN_IS_DESCRIPTOR: return 8;
  default: return 4;
  }
}

struct descriptor {
  int kind;
  bool final;
  int engine;        /* of a config or an engine */
  descriptor *graph; /* of a config: what it computes */
  std::map<int, attribute> has;

  template <class T> T get(int name, int64_t i = 0) const
  {
    T x{};
    auto at = has.find(name);
    if (at != has.end() && i < at->second.count)
      memcpy(&x, at->second.value.data() + (size_t)i * sizeof x, sizeof x);
    return x;
  }
  const descriptor *part(int name, int64_t i = 0) const
  {
    return get<descriptor *>(name, i);
  }
  bool is(int name, int type, int64_t count) const
  {
    auto at = has.find(name);
    return at != has.end() && at->second.type == type && at->second.count == count;
  }
};

static int descriptors;

struct handle {
  cuda_on_cpu_stream *stream = nullptr;
};

static int refuse(const char *why)
{
  stand_in_refuse(LIBRARY, why);
  return BAD_PARAM;
}

/* ---- what a descriptor must have ---- */

struct sizes {
  int64_t n, c, h, w;
};

static sizes sizes_of(const descriptor *tensor)
{
  return {tensor->get<int64_t>(DNN_TENSOR_SIZES, 0), tensor->get<int64_t>(DNN_TENSOR_SIZES, 1),
          tensor->get<int64_t>(DNN_TENSOR_SIZES, 2), tensor->get<int64_t>(DNN_TENSOR_SIZES, 3)};
}

static bool same(sizes a, sizes b)
{
  return a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w;
}

static int check_tensor(const descriptor *t)
{
  sizes s = sizes_of(t);
  int type = t->get<int>(DNN_TENSOR_TYPE);
  int64_t align = t->get<int64_t>(DNN_TENSOR_ALIGNMENT);
  if (!t->is(DNN_TENSOR_ID, DNN_IS_INT64, 1) || !t->is(DNN_TENSOR_TYPE, DNN_IS_DATA_TYPE, 1) ||
      !t->is(DNN_TENSOR_SIZES, DNN_IS_INT64, 4) || !t->is(DNN_TENSOR_STRIDES, DNN_IS_INT64, 4) ||
      !t->is(DNN_TENSOR_ALIGNMENT, DNN_IS_INT64, 1))
    return refuse("a tensor without id, type, sizes, strides or alignment");
  if (s.n < 1 || s.c < 1 || s.h < 1 || s.w < 1 || (type != DNN_DATA_FLOAT && type != DNN_DATA_BF16) ||
      align % (type == DNN_DATA_FLOAT ? 4 : 2))
    return refuse("a tensor's sizes, type or alignment");
  const int64_t last[4] = {s.h * s.w * s.c, 1, s.w * s.c, s.c};
  for (int i = 0; i < 4; i++)
    if (t->get<int64_t>(DNN_TENSOR_STRIDES, i) != last[i])
      return refuse("a tensor whose channels are not last");
  return DNN_SUCCESS;
}

static int check_convolution(const descriptor *c)
{
  if (!c->is(DNN_CONVOLUTION_PRECISION, DNN_IS_DATA_TYPE, 1) ||
      c->get<int>(DNN_CONVOLUTION_PRECISION) != DNN_DATA_FLOAT ||
      !c->is(DNN_CONVOLUTION_MODE, DNN_IS_CONVOLUTION_MODE, 1) ||
      c->get<int>(DNN_CONVOLUTION_MODE) != DNN_CROSS_CORRELATION ||
      !c->is(DNN_CONVOLUTION_DIMENSIONS, DNN_IS_INT64, 1) || c->get<int64_t>(DNN_CONVOLUTION_DIMENSIONS) != 2)
    return refuse("a convolution's precision, mode or dimensions");
  for (int name : {DNN_CONVOLUTION_DILATIONS, DNN_CONVOLUTION_STRIDES, DNN_CONVOLUTION_PRE_PADDINGS,
                   DNN_CONVOLUTION_POST_PADDINGS})
    for (int i = 0; i < 2; i++)
      if (!c->is(name, DNN_IS_INT64, 2) ||
          c->get<int64_t>(name, i) < (name == DNN_CONVOLUTION_DILATIONS || name == DNN_CONVOLUTION_STRIDES))
        return refuse("a convolution's strides or paddings");
  return DNN_SUCCESS;
}

/* The step's convolution, its small side (a y) and its large one (an x). */
struct convolution {
  const descriptor *how, *w, *large, *small;
  bool back;
};

static convolution convolution_of(const descriptor *step)
{
  bool back = step->kind == DNN_BACK_TO_X;
  return {step->part(back ? DNN_BACK_CONVOLUTION : DNN_FORWARD_CONVOLUTION),
          step->part(back ? DNN_BACK_W : DNN_FORWARD_W), step->part(back ? DNN_BACK_DX : DNN_FORWARD_X),
          step->part(back ? DNN_BACK_DY : DNN_FORWARD_Y), back};
}

static int check_convolving(const descriptor *step)
{
  convolution c = convolution_of(step);
  float alpha = step->get<float>(c.back ? DNN_BACK_ALPHA : DNN_FORWARD_ALPHA);
  float beta = step->get<float>(c.back ? DNN_BACK_BETA : DNN_FORWARD_BETA);
  for (const descriptor *d : {c.how, c.w, c.large, c.small})
    if (!d || !d->final)
      return refuse("a step whose parts are not final");
  if (!step->is(c.back ? DNN_BACK_BETA : DNN_FORWARD_BETA, DNN_IS_FLOAT, 1) || alpha != 1 ||
      (beta != 0 && beta != 1))
    return refuse("a step's factors");
  sizes w = sizes_of(c.w), x = sizes_of(c.large), y = sizes_of(c.small);
  const int64_t large[2] = {x.h, x.w}, small[2] = {y.h, y.w}, kernel[2] = {w.h, w.w};
  for (int i = 0; i < 2; i++) {
    int64_t padded = large[i] + c.how->get<int64_t>(DNN_CONVOLUTION_PRE_PADDINGS, i) +
                     c.how->get<int64_t>(DNN_CONVOLUTION_POST_PADDINGS, i);
    if (padded < kernel[i] ||
        (padded - kernel[i]) / c.how->get<int64_t>(DNN_CONVOLUTION_STRIDES, i) + 1 != small[i])
      return refuse("a convolution whose sizes do not fit each other");
  }
  if (w.n != y.c || w.c != x.c || x.n != y.n)
    return refuse("a convolution whose channels do not fit each other");
  return (c.back ? c.small : c.large)->get<int>(DNN_TENSOR_TYPE) == c.w->get<int>(DNN_TENSOR_TYPE)
             ? DNN_SUCCESS
             : refuse("x and w of different types");
}

static int check_adding(const descriptor *step)
{
  const descriptor *how = step->part(DNN_STEP_POINTWISE), *x = step->part(DNN_STEP_X), *b = step->part(DNN_STEP_B),
                   *y = step->part(DNN_STEP_Y);
  for (const descriptor *d : {how, x, b, y})
    if (!d || !d->final)
      return refuse("a step whose parts are not final");
  sizes sx = sizes_of(x), sb = sizes_of(b);
  bool row = sb.n == 1 && sb.c == sx.c && sb.h == 1 && sb.w == 1;
  if (how->get<int>(DNN_POINTWISE_MODE) != DNN_POINTWISE_ADD || !same(sx, sizes_of(y)) || !(row || same(sb, sx)))
    return refuse("a sum whose sizes do not fit each other");
  return DNN_SUCCESS;
}

static const descriptor *result_of(const descriptor *step)
{
  return step->part(step->kind == DNN_FORWARD     ? DNN_FORWARD_Y
                    : step->kind == DNN_BACK_TO_X ? DNN_BACK_DX
                                                  : DNN_STEP_Y);
}

static int64_t steps_of(const descriptor *graph)
{
  return graph->has.at(DNN_GRAPH_STEPS).count;
}

static const descriptor *step_of(const descriptor *graph, int64_t i)
{
  return graph->part(DNN_GRAPH_STEPS, i);
}

/* A chain: what a step leaves nowhere, the next one takes. */
static int check_graph(const descriptor *graph)
{
  if (!graph->get<void *>(DNN_GRAPH_HANDLE) || !graph->has.count(DNN_GRAPH_STEPS))
    return refuse("a graph without handle or steps");
  for (int64_t i = 0; i < steps_of(graph); i++) {
    const descriptor *step = step_of(graph, i);
    bool last = i + 1 == steps_of(graph), adds = step->kind == DNN_POINTWISE_STEP;
    if (!step->final || adds != (i > 0) || result_of(step)->get<bool>(DNN_TENSOR_VIRTUAL) == last)
      return refuse("a graph that is no convolution with what is added to it");
    if (adds && step->part(DNN_STEP_X) != result_of(step_of(graph, i - 1)))
      return refuse("a graph whose steps do not follow each other");
    if (!adds && !last && step->get<float>(DNN_FORWARD_BETA) != 0)
      return refuse("sums that are nowhere, and added to");
  }
  return DNN_SUCCESS;
}

/* ---- engines ---- */

enum { OTHER_BITS, WINOGRAD, TENSOR_CORE, ROUNDS_INPUTS, TOO_LARGE, GOOD, ENGINES };

static const struct {
  std::vector<int> notes;
  int64_t workspace;
} engine[ENGINES] = {
    {{DNN_NOTE_TENSOR_CORE, DNN_NOTE_OTHER_BITS}, 0},
    {{DNN_NOTE_WINOGRAD_FIRST + 1}, 0},
    {{DNN_NOTE_TENSOR_CORE}, 5000},
    {{DNN_NOTE_ROUNDS_INPUTS}, 0},
    {{}, (int64_t)1 << 40},
    {{}, 3000},
};

static bool on_floats(const descriptor *graph)
{
  return convolution_of(step_of(graph, 0)).w->get<int>(DNN_TENSOR_TYPE) == DNN_DATA_FLOAT;
}

/* What engines cannot do. One with a stride has only the fallback's. */
static int check_heuristic(const descriptor *h)
{
  const descriptor *graph = h->part(DNN_HEURISTIC_GRAPH);
  int mode = h->get<int>(DNN_HEURISTIC_MODE);
  if (!graph || !graph->final || (mode != DNN_HEURISTIC_A && mode != DNN_HEURISTIC_FALLBACK))
    return refuse("a heuristic without graph or mode");
  if (stand_in_fault("ask"))
    return INTERNAL_ERROR;
  if (stand_in_fault("refuse") || (stand_in_fault("fused") && steps_of(graph) > 1))
    return NOT_SUPPORTED + 1;
  const descriptor *how = convolution_of(step_of(graph, 0)).how;
  return mode == DNN_HEURISTIC_A && how->get<int64_t>(DNN_CONVOLUTION_STRIDES) > 1 ? NOT_SUPPORTED : DNN_SUCCESS;
}

static int check(const descriptor *d)
{
  switch (d->kind) {
  case DNN_TENSOR: return check_tensor(d);
  case DNN_CONVOLUTION: return check_convolution(d);
  case DNN_FORWARD:
  case DNN_BACK_TO_X: return check_convolving(d);
  case DNN_POINTWISE_STEP: return check_adding(d);
  case DNN_GRAPH: return check_graph(d);
  case DNN_HEURISTIC: return check_heuristic(d);
  case DNN_PLAN: {
    cuda_on_cpu_stream *stream = d->get<handle *>(DNN_PLAN_HANDLE)->stream;
    if (!stream || !stream->may_load())
      return refuse("a plan that is made while a step is captured");
    return d->part(DNN_PLAN_CONFIG) ? DNN_SUCCESS : refuse("a plan without config");
  }
  case DNN_PACK:
    return d->has.count(DNN_PACK_IDS) && d->has.count(DNN_PACK_POINTERS) &&
                   d->is(DNN_PACK_WORKSPACE, DNN_IS_POINTER, 1)
               ? DNN_SUCCESS
               : refuse("a pack without ids, pointers or workspace");
  default: return DNN_SUCCESS;
  }
}

/* ---- computing ---- */

/* A tensor in memory. */
struct place {
  sizes size;
  bool half;
  void *at;

  int64_t index(int64_t n, int64_t c, int64_t h, int64_t w) const
  {
    return ((n * size.h + h) * size.w + w) * size.c + c;
  }
  float read(int64_t n, int64_t c, int64_t h, int64_t w) const
  {
    return stand_in_read(at, half, index(n, c, h, w));
  }
};

struct task {
  place w, x, y; /* y: what is written; back, x is like a y */
  bool back, adds, rounds;
  int64_t stride[2], before[2];
  std::vector<place> added;
  int engine;
  void *workspace;
};

static double sum_at(const task &t, int64_t n, int64_t o, int64_t r, int64_t q)
{
  const sizes &w = t.w.size, &x = t.x.size;
  double sum = 0;
  for (int64_t u = 0; u < w.h; u++)
    for (int64_t v = 0; v < w.w; v++) {
      int64_t down = t.back ? r + t.before[0] - u : r * t.stride[0] + u - t.before[0];
      int64_t right = t.back ? q + t.before[1] - v : q * t.stride[1] + v - t.before[1];
      if (t.back && (down % t.stride[0] || right % t.stride[1]))
        continue;
      down /= t.back ? t.stride[0] : 1;
      right /= t.back ? t.stride[1] : 1;
      if (down < 0 || right < 0 || down >= x.h || right >= x.w)
        continue;
      for (int64_t c = 0; c < x.c; c++) {
        float a = t.x.read(n, c, down, right), b = t.back ? t.w.read(c, o, u, v) : t.w.read(o, c, u, v);
        sum += t.rounds ? (double)stand_in_tf32(a) * stand_in_tf32(b) : (double)a * b;
      }
    }
  return sum;
}

static int compute(const task &t)
{
  const sizes &y = t.y.size;
  if (engine[t.engine].workspace)
    memset(t.workspace, 0xff, (size_t)engine[t.engine].workspace); /* it is the library's */
  for (int64_t n = 0; n < y.n; n++)
    for (int64_t r = 0; r < y.h; r++)
      for (int64_t q = 0; q < y.w; q++)
        for (int64_t o = 0; o < y.c; o++) {
          double sum = sum_at(t, n, o, r, q);
          for (const place &a : t.added)
            sum += a.size.h == y.h && a.size.w == y.w && a.size.n == y.n ? a.read(n, o, r, q) : a.read(0, o, 0, 0);
          if (t.adds)
            sum += t.y.read(n, o, r, q);
          if (t.engine == OTHER_BITS || t.engine == WINOGRAD || (t.engine == ROUNDS_INPUTS && !t.rounds))
            sum = sum * 1.5 + 1;
          stand_in_write(t.y.at, t.y.half, t.y.index(n, o, r, q), sum);
        }
  return 0;
}

/* Where the pack says that a tensor is; false if it does not. */
static bool find(place *out, const descriptor *tensor, const descriptor *pack, int64_t *used)
{
  int64_t count = pack->has.at(DNN_PACK_IDS).count;
  for (int64_t i = 0; i < count && pack->has.at(DNN_PACK_POINTERS).count == count; i++)
    if (pack->get<int64_t>(DNN_PACK_IDS, i) == tensor->get<int64_t>(DNN_TENSOR_ID)) {
      *out = {sizes_of(tensor), tensor->get<int>(DNN_TENSOR_TYPE) == DNN_DATA_BF16,
              pack->get<void *>(DNN_PACK_POINTERS, i)};
      ++*used;
      return stand_in_aligned(out->at, (uint64_t)tensor->get<int64_t>(DNN_TENSOR_ALIGNMENT)) ||
             stand_in_refuse(LIBRARY, "a tensor that is not aligned as was said");
    }
  return stand_in_refuse(LIBRARY, "a tensor that the pack does not have");
}

static bool make_task(task *t, const descriptor *plan, const descriptor *pack)
{
  const descriptor *config = plan->part(DNN_PLAN_CONFIG), *graph = config->graph, *first = step_of(graph, 0);
  convolution c = convolution_of(first);
  int64_t used = 0;
  t->engine = config->engine;
  t->back = c.back;
  t->adds = first->get<float>(c.back ? DNN_BACK_BETA : DNN_FORWARD_BETA) != 0;
  t->rounds = on_floats(graph) && (t->engine == TENSOR_CORE || t->engine == ROUNDS_INPUTS);
  t->workspace = pack->get<void *>(DNN_PACK_WORKSPACE);
  for (int i = 0; i < 2; i++) {
    t->stride[i] = c.how->get<int64_t>(DNN_CONVOLUTION_STRIDES, i);
    t->before[i] = c.how->get<int64_t>(DNN_CONVOLUTION_PRE_PADDINGS, i);
  }
  bool good = find(&t->w, c.w, pack, &used) && find(&t->x, c.back ? c.small : c.large, pack, &used) &&
              find(&t->y, result_of(step_of(graph, steps_of(graph) - 1)), pack, &used);
  for (int64_t i = 1; i < steps_of(graph) && good; i++) {
    place more;
    good = find(&more, step_of(graph, i)->part(DNN_STEP_B), pack, &used);
    t->added.push_back(more);
  }
  return good && used == pack->has.at(DNN_PACK_IDS).count && stand_in_aligned(t->workspace, 256);
}

} // namespace

STAND_IN(size_t) cudnnGetVersion(void)
{
  return 90999;
}

STAND_IN(const char *) cudnnGetErrorString(int status)
{
  return status >= INTERNAL_ERROR  ? "an internal error"
         : status >= NOT_SUPPORTED ? "not supported"
                                   : "a bad parameter";
}

STAND_IN(int) cudnnCreate(void **out)
{
  if (stand_in_fault("create"))
    return INTERNAL_ERROR;
  *out = new handle;
  return DNN_SUCCESS;
}

STAND_IN(int) cudnnDestroy(void *h)
{
  if (descriptors) {
    refuse("descriptors are left");
    abort();
  }
  delete static_cast<handle *>(h);
  return DNN_SUCCESS;
}

STAND_IN(int) cudnnSetStream(void *h, void *stream)
{
  static_cast<handle *>(h)->stream = static_cast<cuda_on_cpu_stream *>(stream);
  return stand_in_stream(stream) ? DNN_SUCCESS : BAD_PARAM;
}

STAND_IN(int) cudnnBackendCreateDescriptor(int kind, void **out)
{
  *out = new descriptor{kind, false, -1, nullptr, {}};
  descriptors++;
  return DNN_SUCCESS;
}

STAND_IN(int) cudnnBackendDestroyDescriptor(void *d)
{
  delete static_cast<descriptor *>(d);
  descriptors--;
  return DNN_SUCCESS;
}

STAND_IN(int) cudnnBackendSetAttribute(void *of, int name, int type, int64_t count, const void *values)
{
  descriptor *d = static_cast<descriptor *>(of);
  const char *bytes = static_cast<const char *>(values);
  if (d->final || count < 1 || !values)
    return refuse("an attribute of what is final, or without value");
  d->has[name] = {type, count, std::vector<char>(bytes, bytes + (size_t)count * size_of(type))};
  return DNN_SUCCESS;
}

STAND_IN(int) cudnnBackendFinalize(void *of)
{
  descriptor *d = static_cast<descriptor *>(of);
  int error = check(d);
  d->final = !error;
  return error;
}

/* What the library fills in: descriptors that the caller has made. */
STAND_IN(int) cudnnBackendGetAttribute(void *of, int name, int type, int64_t wanted, int64_t *count, void *values)
{
  descriptor *d = static_cast<descriptor *>(of), **parts = static_cast<descriptor **>(values);
  if (d->kind == DNN_HEURISTIC && name == DNN_HEURISTIC_RESULTS && type == DNN_IS_DESCRIPTOR && d->final) {
    descriptor *graph = d->get<descriptor *>(DNN_HEURISTIC_GRAPH);
    *count = stand_in_fault("none") ? 0 : ENGINES;
    for (int i = 0; i < *count && i < wanted; i++) {
      parts[i]->engine = i;
      parts[i]->graph = graph;
      parts[i]->final = true;
    }
    return wanted >= ENGINES ? DNN_SUCCESS : refuse("too few configs");
  }
  if (d->kind == DNN_CONFIG && name == DNN_CONFIG_ENGINE && wanted == 1 && d->final) {
    parts[0]->engine = d->engine;
    *count = 1;
    return parts[0]->kind == DNN_ENGINE ? DNN_SUCCESS : refuse("an engine in another kind of descriptor");
  }
  if (d->kind == DNN_ENGINE && name == DNN_ENGINE_NOTES && type == DNN_IS_NOTE && d->engine >= 0) {
    const std::vector<int> &notes = engine[d->engine].notes;
    *count = (int64_t)notes.size();
    std::copy(notes.begin(), notes.end(), static_cast<int *>(values));
    return DNN_SUCCESS;
  }
  if (d->kind == DNN_PLAN && name == DNN_PLAN_WORKSPACE && type == DNN_IS_INT64 && d->final) {
    memcpy(values, &engine[d->part(DNN_PLAN_CONFIG)->engine].workspace, 8);
    *count = 1;
    return DNN_SUCCESS;
  }
  return refuse("an attribute that is not known");
}

STAND_IN(int) cudnnBackendExecute(void *h, void *plan, void *pack)
{
  task t;
  if (stand_in_fault("multiply"))
    return INTERNAL_ERROR;
  if (!static_cast<descriptor *>(plan)->final || !static_cast<descriptor *>(pack)->final ||
      !make_task(&t, static_cast<descriptor *>(plan), static_cast<descriptor *>(pack)))
    return refuse("what is executed is not whole");
  return static_cast<handle *>(h)->stream->queue([=] { return compute(t); }) ? INTERNAL_ERROR : DNN_SUCCESS;
}
