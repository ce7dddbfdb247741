/* cudnn.c -- Contract: cudnn.h; what is called: cudnn_abi.h. */
#include "kernels/cuda/cudnn.h"

#include "kernels/cuda/cudnn_abi.h"
#include "kernels/cuda/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_MADE    32 /* descriptors of one plan: half are used */
#define MOST_CONFIGS 32 /* that are tried of a heuristic's */

struct vq_dnn_plan {
  vq_dnn_plan *next;
  vq_dnn_conv conv;
  bool starts;           /* bias and skip are put into y beforehand */
  void *made[MOST_MADE]; /* all of its descriptors, each after those that it refers to */
  int count;
  void *plan; /* NULL: the library does not compute it */
};

struct vq_cudnn {
  dnn_functions call;
  void *handle;
  vq_dnn_plan *plans;
};

/* Names of tensors to the library. */
enum { ID_X = 1, ID_W, ID_Y, ID_BIAS, ID_SKIP, ID_SUM, ID_SUM_AND_SKIP };

static vq_status open_functions(dnn_functions *call, char name[VQ_LIBRARY_NAME])
{
  static const char *const files[] = {"libcudnn.so.9", NULL};
  static const vq_symbol symbols[] = {
#define SYMBOL(member, name_) {#name_, offsetof(dnn_functions, member)},
      DNN_FUNCTIONS(SYMBOL)
#undef SYMBOL
  };
  return vq_library_open("VQGEN_CUDNN", files, symbols, (int)(sizeof symbols / sizeof *symbols), call, name);
}

static vq_status complain(const vq_cudnn *dnn, int status, const char *what)
{
  return vq_fail(VQ_ERR_DEVICE, "%s: cuDNN says: %s (%d)", what, dnn->call.status_text(status), status);
}

vq_status vq_cudnn_version(char *text, size_t bytes)
{
  dnn_functions call;
  char name[VQ_LIBRARY_NAME];
  VQ_TRY(open_functions(&call, name));
  size_t version = call.version();
  snprintf(text, bytes, "%zu.%zu.%zu (%s)", version / 10000, version / 100 % 100, version % 100, name);
  return VQ_OK;
}

vq_status vq_cudnn_open(vq_cudnn **out, void *stream)
{
  char name[VQ_LIBRARY_NAME];
  *out = NULL;
  vq_cudnn *dnn = calloc(1, sizeof *dnn);
  if (!dnn)
    return vq_fail(VQ_ERR_MEMORY, "no memory for cuDNN");
  vq_status status = open_functions(&dnn->call, name);
  int error = status ? 0 : dnn->call.create(&dnn->handle);
  if (error)
    dnn->handle = NULL;
  VQ_LIBRARY_STEP(error, status || !stream ? 0 : dnn->call.set_stream(dnn->handle, stream));
  if (error)
    status = complain(dnn, error, name);
  if (!status)
    *out = dnn;
  else if (dnn->handle)
    vq_cudnn_close(dnn);
  else
    free(dnn);
  return status;
}

/* ---- descriptors ---- */

static void forget(const vq_cudnn *dnn, vq_dnn_plan *plan)
{
  while (plan->count > 0)
    dnn->call.forget(plan->made[--plan->count]);
  plan->plan = NULL;
}

void vq_cudnn_close(vq_cudnn *dnn)
{
  if (!dnn)
    return;
  for (vq_dnn_plan *plan = dnn->plans, *next; plan; plan = next) {
    next = plan->next;
    forget(dnn, plan);
    free(plan);
  }
  dnn->call.destroy(dnn->handle);
  free(dnn);
}

/* A descriptor that goes with the plan. */
static int describe(const vq_cudnn *dnn, vq_dnn_plan *plan, int kind, void **out)
{
  int error = dnn->call.describe(kind, out);
  if (!error)
    plan->made[plan->count++] = *out;
  return error;
}

static int set_one(const vq_cudnn *dnn, void *descriptor, int attribute, int type, const void *value)
{
  return dnn->call.set(descriptor, attribute, type, 1, value);
}

/* An attribute that is another descriptor. */
static int set_part(const vq_cudnn *dnn, void *descriptor, int attribute, void *part)
{
  return set_one(dnn, descriptor, attribute, DNN_IS_DESCRIPTOR, &part);
}

static int set_int(const vq_cudnn *dnn, void *descriptor, int attribute, int64_t value)
{
  return set_one(dnn, descriptor, attribute, DNN_IS_INT64, &value);
}

/* An attribute whose value is one of an enumeration. */
static int set_choice(const vq_cudnn *dnn, void *descriptor, int attribute, int type, int value)
{
  return set_one(dnn, descriptor, attribute, type, &value);
}

static int data_type(int64_t dtype)
{
  return dtype == VQ_BF16 ? DNN_DATA_BF16 : DNN_DATA_FLOAT;
}

/* size: N, C, H, W; they lie as N, H, W, C. align 0: it is nowhere in memory, but passed on from step to step. */
static int tensor(const vq_cudnn *dnn, vq_dnn_plan *plan, int64_t id, int type, const int64_t size[4],
                  int64_t align, void **out)
{
  const int64_t stride[4] = {size[1] * size[2] * size[3], 1, size[3] * size[1], size[1]};
  const bool nowhere = align == 0;
  int error = describe(dnn, plan, DNN_TENSOR, out);
  VQ_LIBRARY_STEP(error, set_int(dnn, *out, DNN_TENSOR_ID, id));
  VQ_LIBRARY_STEP(error, set_choice(dnn, *out, DNN_TENSOR_TYPE, DNN_IS_DATA_TYPE, type));
  VQ_LIBRARY_STEP(error, dnn->call.set(*out, DNN_TENSOR_SIZES, DNN_IS_INT64, 4, size));
  VQ_LIBRARY_STEP(error, dnn->call.set(*out, DNN_TENSOR_STRIDES, DNN_IS_INT64, 4, stride));
  VQ_LIBRARY_STEP(error, set_int(dnn, *out, DNN_TENSOR_ALIGNMENT, nowhere ? VQ_LIBRARY_ALIGN : align));
  if (nowhere)
    VQ_LIBRARY_STEP(error, set_one(dnn, *out, DNN_TENSOR_VIRTUAL, DNN_IS_BOOLEAN, &nowhere));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(*out));
  return error;
}

static int convolution(const vq_cudnn *dnn, vq_dnn_plan *plan, void **out)
{
  const vq_dnn_conv *c = &plan->conv;
  const int64_t ones[2] = {1, 1}, stride[2] = {c->stride, c->stride}, before[2] = {c->top, c->left},
                after[2] = {c->bottom, c->right};
  int error = describe(dnn, plan, DNN_CONVOLUTION, out);
  VQ_LIBRARY_STEP(error, set_choice(dnn, *out, DNN_CONVOLUTION_PRECISION, DNN_IS_DATA_TYPE, DNN_DATA_FLOAT));
  VQ_LIBRARY_STEP(error,
                  set_choice(dnn, *out, DNN_CONVOLUTION_MODE, DNN_IS_CONVOLUTION_MODE, DNN_CROSS_CORRELATION));
  VQ_LIBRARY_STEP(error, set_int(dnn, *out, DNN_CONVOLUTION_DIMENSIONS, 2));
  VQ_LIBRARY_STEP(error, dnn->call.set(*out, DNN_CONVOLUTION_DILATIONS, DNN_IS_INT64, 2, ones));
  VQ_LIBRARY_STEP(error, dnn->call.set(*out, DNN_CONVOLUTION_STRIDES, DNN_IS_INT64, 2, stride));
  VQ_LIBRARY_STEP(error, dnn->call.set(*out, DNN_CONVOLUTION_PRE_PADDINGS, DNN_IS_INT64, 2, before));
  VQ_LIBRARY_STEP(error, dnn->call.set(*out, DNN_CONVOLUTION_POST_PADDINGS, DNN_IS_INT64, 2, after));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(*out));
  return error;
}

/* ---- steps of a graph ---- */

/* y = the convolution + beta y */
static int convolve(const vq_cudnn *dnn, vq_dnn_plan *plan, void *x, void *w, void *y, float beta, void **out)
{
  const float alpha = 1;
  bool back = plan->conv.back;
  void *how = NULL;
  int error = convolution(dnn, plan, &how);
  VQ_LIBRARY_STEP(error, describe(dnn, plan, back ? DNN_BACK_TO_X : DNN_FORWARD, out));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, back ? DNN_BACK_CONVOLUTION : DNN_FORWARD_CONVOLUTION, how));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, back ? DNN_BACK_DY : DNN_FORWARD_X, x));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, back ? DNN_BACK_W : DNN_FORWARD_W, w));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, back ? DNN_BACK_DX : DNN_FORWARD_Y, y));
  VQ_LIBRARY_STEP(error, set_one(dnn, *out, back ? DNN_BACK_ALPHA : DNN_FORWARD_ALPHA, DNN_IS_FLOAT, &alpha));
  VQ_LIBRARY_STEP(error, set_one(dnn, *out, back ? DNN_BACK_BETA : DNN_FORWARD_BETA, DNN_IS_FLOAT, &beta));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(*out));
  return error;
}

/* y = x + b */
static int add(const vq_cudnn *dnn, vq_dnn_plan *plan, void *x, void *b, void *y, void **out)
{
  void *how = NULL;
  int error = describe(dnn, plan, DNN_POINTWISE, &how);
  VQ_LIBRARY_STEP(error, set_choice(dnn, how, DNN_POINTWISE_MODE, DNN_IS_POINTWISE_MODE, DNN_POINTWISE_ADD));
  VQ_LIBRARY_STEP(error, set_choice(dnn, how, DNN_POINTWISE_PRECISION, DNN_IS_DATA_TYPE, DNN_DATA_FLOAT));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(how));
  VQ_LIBRARY_STEP(error, describe(dnn, plan, DNN_POINTWISE_STEP, out));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, DNN_STEP_POINTWISE, how));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, DNN_STEP_X, x));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, DNN_STEP_B, b));
  VQ_LIBRARY_STEP(error, set_part(dnn, *out, DNN_STEP_Y, y));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(*out));
  return error;
}

typedef struct steps {
  void *step[3];
  int count;
} steps;

/* The convolution's sums, in float and nowhere, then skip and bias added to them, the last into y. */
static int with_additions(const vq_cudnn *dnn, vq_dnn_plan *plan, void *x, void *w, void *y,
                          const int64_t y_size[4], steps *out)
{
  const vq_dnn_conv *c = &plan->conv;
  const int64_t bias_size[4] = {1, c->outputs, 1, 1};
  void *sum = NULL, *skip = NULL, *next = y, *bias = NULL;
  int error = tensor(dnn, plan, ID_SUM, DNN_DATA_FLOAT, y_size, 0, &sum);
  VQ_LIBRARY_STEP(error, convolve(dnn, plan, x, w, sum, 0, &out->step[out->count++]));
  if (c->skip) {
    VQ_LIBRARY_STEP(error, tensor(dnn, plan, ID_SKIP, data_type(c->y_type), y_size, c->align[3], &skip));
    if (c->bias)
      VQ_LIBRARY_STEP(error, tensor(dnn, plan, ID_SUM_AND_SKIP, DNN_DATA_FLOAT, y_size, 0, &next));
    VQ_LIBRARY_STEP(error, add(dnn, plan, sum, skip, next, &out->step[out->count++]));
    sum = next;
  }
  if (c->bias) {
    VQ_LIBRARY_STEP(error, tensor(dnn, plan, ID_BIAS, DNN_DATA_FLOAT, bias_size, c->align[2], &bias));
    VQ_LIBRARY_STEP(error, add(dnn, plan, sum, bias, y, &out->step[out->count++]));
  }
  return error;
}

/* Sizes as the library names them: x [images,channels,height,width], w [O,I,kh,kw]. */
static int describe_graph(const vq_cudnn *dnn, vq_dnn_plan *plan, void **graph)
{
  const vq_dnn_conv *c = &plan->conv;
  const int64_t x_size[4] = {c->images, c->channels, c->height, c->width},
                y_size[4] = {c->images, c->outputs, c->rows, c->columns},
                w_size[4] = {c->back ? c->channels : c->outputs, c->back ? c->outputs : c->channels, c->kh, c->kw};
  void *x = NULL, *w = NULL, *y = NULL;
  steps all = {.count = 0};
  int error = tensor(dnn, plan, ID_X, data_type(c->type), x_size, c->align[0], &x);
  VQ_LIBRARY_STEP(error, tensor(dnn, plan, ID_W, data_type(c->type), w_size, c->align[1], &w));
  VQ_LIBRARY_STEP(error, tensor(dnn, plan, ID_Y, data_type(c->y_type), y_size, c->align[4], &y));
  if ((c->bias || c->skip) && !plan->starts)
    VQ_LIBRARY_STEP(error, with_additions(dnn, plan, x, w, y, y_size, &all));
  else
    VQ_LIBRARY_STEP(error, convolve(dnn, plan, x, w, y, c->add || plan->starts, &all.step[all.count++]));
  VQ_LIBRARY_STEP(error, describe(dnn, plan, DNN_GRAPH, graph));
  VQ_LIBRARY_STEP(error, set_one(dnn, *graph, DNN_GRAPH_HANDLE, DNN_IS_HANDLE, &dnn->handle));
  VQ_LIBRARY_STEP(error, dnn->call.set(*graph, DNN_GRAPH_STEPS, DNN_IS_DESCRIPTOR, all.count, all.step));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(*graph));
  return error;
}

/* ---- which engine ---- */

/* Filtered ways (Winograd, FFT) round what is not a sum; the tensor cores round floats to tf32. */
static bool note_fits(int note, const vq_dnn_conv *c)
{
  bool exact = c->type == VQ_F32 && !c->tf32;
  switch (note) {
  case DNN_NOTE_OTHER_BITS:
  case DNN_NOTE_ROUNDS_SUMS:
  case DNN_NOTE_FFT: return false;
  case DNN_NOTE_TENSOR_CORE: return !exact;
  case DNN_NOTE_ROUNDS_INPUTS: return c->type == VQ_F32 && c->tf32;
  default: return note < DNN_NOTE_WINOGRAD_FIRST || note > DNN_NOTE_WINOGRAD_LAST;
  }
}

static bool engine_fits(const vq_cudnn *dnn, void *config, const vq_dnn_conv *c)
{
  void *engine = NULL;
  int notes[DNN_NOTES];
  int64_t count = 0;
  int error = dnn->call.describe(DNN_ENGINE, &engine);
  VQ_LIBRARY_STEP(error, dnn->call.get(config, DNN_CONFIG_ENGINE, DNN_IS_DESCRIPTOR, 1, &count, &engine));
  VQ_LIBRARY_STEP(error, dnn->call.get(engine, DNN_ENGINE_NOTES, DNN_IS_NOTE, DNN_NOTES, &count, notes));
  bool fits = !error && count <= DNN_NOTES;
  for (int64_t i = 0; i < count && fits; i++)
    fits = note_fits(notes[i], c);
  if (engine)
    dnn->call.forget(engine);
  return fits;
}

/* Sets plan->plan, and leaves what that is made of with the plan, if the config can be had within the workspace. */
static void try_config(const vq_cudnn *dnn, vq_dnn_plan *plan, void *config)
{
  void *made = NULL;
  int64_t workspace = 0, count = 0;
  int error = dnn->call.describe(DNN_PLAN, &made);
  VQ_LIBRARY_STEP(error, set_one(dnn, made, DNN_PLAN_HANDLE, DNN_IS_HANDLE, &dnn->handle));
  VQ_LIBRARY_STEP(error, set_part(dnn, made, DNN_PLAN_CONFIG, config));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(made));
  VQ_LIBRARY_STEP(error, dnn->call.get(made, DNN_PLAN_WORKSPACE, DNN_IS_INT64, 1, &count, &workspace));
  if (!error && workspace >= 0 && workspace <= (int64_t)VQ_LIBRARY_WORKSPACE) {
    plan->made[plan->count++] = config;
    plan->made[plan->count++] = plan->plan = made;
  } else if (made) {
    dnn->call.forget(made);
  }
}

/* The first of the heuristic's configs, best first, that may be used. */
static int choose(const vq_cudnn *dnn, vq_dnn_plan *plan, void *graph, int mode)
{
  void *heuristic = NULL, *config[MOST_CONFIGS] = {NULL};
  int64_t count = 0;
  int error = describe(dnn, plan, DNN_HEURISTIC, &heuristic);
  VQ_LIBRARY_STEP(error, set_part(dnn, heuristic, DNN_HEURISTIC_GRAPH, graph));
  VQ_LIBRARY_STEP(error, set_choice(dnn, heuristic, DNN_HEURISTIC_MODE, DNN_IS_HEURISTIC_MODE, mode));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(heuristic));
  for (int i = 0; i < MOST_CONFIGS; i++)
    VQ_LIBRARY_STEP(error, dnn->call.describe(DNN_CONFIG, &config[i]));
  VQ_LIBRARY_STEP(error,
                  dnn->call.get(heuristic, DNN_HEURISTIC_RESULTS, DNN_IS_DESCRIPTOR, MOST_CONFIGS, &count, config));
  for (int i = 0; i < MOST_CONFIGS; i++) {
    bool had = plan->plan != NULL;
    if (!error && i < count && !had && engine_fits(dnn, config[i], &plan->conv))
      try_config(dnn, plan, config[i]);
    bool kept = !had && plan->plan;
    if (config[i] && !kept)
      dnn->call.forget(config[i]);
  }
  return error;
}

static bool is_refusal(int status)
{
  return status >= DNN_NOT_SUPPORTED_FIRST && status <= DNN_NOT_SUPPORTED_LAST;
}

/* By one graph. Leaves plan->plan NULL where the library has no engine for it. */
static vq_status make_by(const vq_cudnn *dnn, vq_dnn_plan *plan, bool starts)
{
  static const int modes[] = {DNN_HEURISTIC_A, DNN_HEURISTIC_FALLBACK};
  void *graph = NULL;
  plan->starts = starts;
  int error = describe_graph(dnn, plan, &graph);
  for (int i = 0; i < 2 && !plan->plan && !error; i++) {
    error = choose(dnn, plan, graph, modes[i]);
    if (is_refusal(error))
      error = 0;
  }
  if (!plan->plan)
    forget(dnn, plan);
  return error && !is_refusal(error) ? complain(dnn, error, "planning a convolution") : VQ_OK;
}

vq_status vq_cudnn_find(vq_cudnn *dnn, const vq_dnn_conv *conv, const vq_dnn_plan **out)
{
  *out = NULL;
  for (const vq_dnn_plan *plan = dnn->plans; plan; plan = plan->next)
    if (!memcmp(&plan->conv, conv, sizeof *conv)) {
      *out = plan->plan ? plan : NULL;
      return VQ_OK;
    }
  vq_dnn_plan *plan = calloc(1, sizeof *plan);
  if (!plan)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a convolution's plan");
  plan->conv = *conv;
  vq_status status = make_by(dnn, plan, false);
  if (!status && !plan->plan && (conv->bias || conv->skip))
    status = make_by(dnn, plan, true);
  if (status) {
    free(plan);
    return status;
  }
  plan->next = dnn->plans;
  dnn->plans = plan;
  *out = plan->plan ? plan : NULL;
  return VQ_OK;
}

bool vq_cudnn_adds_to_start(const vq_dnn_plan *plan)
{
  return plan->starts;
}

vq_status vq_cudnn_run(vq_cudnn *dnn, const vq_dnn_plan *plan, const vq_library_places *places, const char *op)
{
  const vq_dnn_conv *c = &plan->conv;
  int64_t id[5] = {ID_X, ID_W, ID_Y}, count = 3;
  const void *at[5] = {places->x, places->w, places->y};
  void *pack = NULL;
  if (c->bias && !plan->starts) {
    id[count] = ID_BIAS;
    at[count++] = places->bias;
  }
  if (c->skip && !plan->starts) {
    id[count] = ID_SKIP;
    at[count++] = places->skip;
  }
  int error = dnn->call.describe(DNN_PACK, &pack);
  VQ_LIBRARY_STEP(error, dnn->call.set(pack, DNN_PACK_IDS, DNN_IS_INT64, count, id));
  VQ_LIBRARY_STEP(error, dnn->call.set(pack, DNN_PACK_POINTERS, DNN_IS_POINTER, count, at));
  VQ_LIBRARY_STEP(error, set_one(dnn, pack, DNN_PACK_WORKSPACE, DNN_IS_POINTER, &places->workspace));
  VQ_LIBRARY_STEP(error, dnn->call.finalize(pack));
  VQ_LIBRARY_STEP(error, dnn->call.execute(dnn->handle, plan->plan, pack));
  if (pack)
    dnn->call.forget(pack);
  return error ? complain(dnn, error, op) : VQ_OK;
}
