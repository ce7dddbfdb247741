/* backend.cu -- CUDA's memory and copies, and where each op's kernels are. Contract: backend.h and autograd/device.h. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/product.cuh"

extern "C" {
#include "autograd/repeat.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/cudnn.h"
}

#include <cstdlib>

#define THREADS 256

/* Pinned buffers between the caller's memory and the card's: one is filled while another is on its way. */
#define BUFFERS      4
#define BUFFER_BYTES ((size_t)4 << 20)

/* An upload in kept work: its copy reads this pinned buffer whenever the work is done again. */
struct kept_upload {
  void *buffer;
  size_t bytes;
};

struct cuda_device : vq_cuda_state {
  char *buffer[BUFFERS];
  cudaEvent_t sent[BUFFERS]; /* the last copy from it is done */
  int next;
  cudaGraphExec_t graph; /* what was kept; NULL: nothing */
  kept_upload *kept;     /* the uploads in it, in their order */
  int uploads, room, at; /* how many; room for how many; the next one's number while work is kept or repeated */
  vq_cuda_fault *seen;   /* pinned: what `fault` was when the host last waited */
};

static cuda_device *state_of(vq_device *device)
{
  return static_cast<cuda_device *>(static_cast<vq_cuda_state *>(device->state));
}

vq_status vq_cuda_status(int error, const char *what)
{
  if (error == cudaSuccess)
    return VQ_OK;
  if (error == cudaErrorMemoryAllocation)
    return vq_fail(VQ_ERR_MEMORY,
                   "%s: the GPU has no memory left: close what else uses it, or ask for a smaller picture", what);
  /* These a kernel makes while it runs: later than it was launched, and whoever asks the card next is told. */
  bool late = error >= 700 && error < 720;
  return vq_fail(VQ_ERR_DEVICE, "%s: CUDA says: %s%s", what, cudaGetErrorString((cudaError_t)error),
                 late ? " (here or in what came before: VQGEN_SYNC=1 in the environment finds the operation)" : "");
}

/* What the backend does itself goes into the hash of work that is kept or repeated. True: there is nothing to do now. */
static bool note(vq_device *device, const void *to, const void *from, size_t count)
{
  const void *const words[2] = {to, from};
  if (device->mode == VQ_AT_ONCE)
    return false;
  vq_repeat_note(device, words, sizeof words);
  vq_repeat_note(device, &count, sizeof count);
  return device->mode == VQ_REPEATING;
}

/* ---- memory ---- */

static vq_status cuda_alloc(vq_device *device, void **out, size_t bytes)
{
  VQ_TRY(vq_cuda_status(cudaSetDevice(state_of(device)->ordinal), "memory of the GPU"));
  return vq_cuda_status(cudaMalloc(out, bytes), "memory of the GPU");
}

static void cuda_free(vq_device *device, void *memory)
{
  (void)device;
  cudaFree(memory);
}

static void forget_kept(cuda_device *d)
{
  if (d->graph)
    cudaGraphExecDestroy(d->graph);
  d->graph = NULL;
  for (int i = 0; i < d->uploads; i++)
    cudaFreeHost(d->kept[i].buffer);
  d->uploads = 0;
}

/* A pinned buffer of its own for one more upload. */
static vq_status keep_upload(cuda_device *d, size_t bytes)
{
  if (d->uploads == d->room) {
    int room = d->room ? 2 * d->room : 64;
    kept_upload *grown = static_cast<kept_upload *>(realloc(d->kept, (size_t)room * sizeof *grown));
    if (!grown)
      return vq_fail(VQ_ERR_MEMORY, "no memory to keep a step");
    d->kept = grown;
    d->room = room;
  }
  kept_upload *u = &d->kept[d->uploads];
  VQ_TRY(vq_cuda_status(cudaMallocHost(&u->buffer, bytes ? bytes : 1), "memory to keep a step"));
  u->bytes = bytes;
  d->uploads++;
  return VQ_OK;
}

static vq_status cuda_wait(vq_device *device);

/* While work is kept, a copy from a buffer that stays is part of it; while it is repeated, that buffer is filled. */
static vq_status upload_kept(vq_device *device, void *to, const void *from_host, size_t bytes)
{
  cuda_device *d = state_of(device);
  note(device, to, NULL, bytes);
  if (device->mode == VQ_KEEPING)
    VQ_TRY(keep_upload(d, bytes));
  else if (d->at == 0)
    VQ_TRY(cuda_wait(device)); /* what was queued last reads the same buffers */
  if (d->at >= d->uploads || d->kept[d->at].bytes != bytes)
    return VQ_OK; /* the step has changed, and the hash says so */
  kept_upload *u = &d->kept[d->at++];
  memcpy(u->buffer, from_host, bytes);
  if (device->mode == VQ_REPEATING)
    return VQ_OK;
  return vq_cuda_status(cudaMemcpyAsync(to, u->buffer, bytes, cudaMemcpyHostToDevice, d->stream),
                        "a copy to the GPU");
}

static vq_status cuda_upload(vq_device *device, void *to, const void *from_host, size_t bytes)
{
  cuda_device *d = state_of(device);
  if (device->mode != VQ_AT_ONCE)
    return upload_kept(device, to, from_host, bytes);
  for (size_t at = 0; at < bytes; at += BUFFER_BYTES) {
    size_t part = bytes - at < BUFFER_BYTES ? bytes - at : BUFFER_BYTES;
    int i = d->next;
    d->next = (i + 1) % BUFFERS;
    VQ_TRY(vq_cuda_status(cudaEventSynchronize(d->sent[i]), "a copy to the GPU"));
    memcpy(d->buffer[i], static_cast<const char *>(from_host) + at, part);
    VQ_TRY(vq_cuda_status(
        cudaMemcpyAsync(static_cast<char *>(to) + at, d->buffer[i], part, cudaMemcpyHostToDevice, d->stream),
        "a copy to the GPU"));
    VQ_TRY(vq_cuda_status(cudaEventRecord(d->sent[i], d->stream), "a copy to the GPU"));
  }
  return VQ_OK;
}

static vq_status no_fault(vq_device *device)
{
  const vq_cuda_fault none = {0, ~0ull};
  return cuda_upload(device, state_of(device)->fault, &none, sizeof none);
}

/* Every wait brings the kernels' complaint along, and a complaint is told once. */
static vq_status cuda_wait(vq_device *device)
{
  cuda_device *d = state_of(device);
  VQ_TRY(vq_cuda_status(cudaMemcpyAsync(d->seen, d->fault, sizeof *d->seen, cudaMemcpyDeviceToHost, d->stream),
                        "the GPU"));
  VQ_TRY(vq_cuda_status(cudaStreamSynchronize(d->stream), "the GPU"));
  if (!d->seen->what)
    return VQ_OK;
  const vq_cuda_complaint *complaint = reinterpret_cast<const vq_cuda_complaint *>((uintptr_t)d->seen->what);
  VQ_TRY(no_fault(device));
  return vq_fail(complaint->status, complaint->text, (long long)d->seen->which);
}

static vq_status cuda_download(vq_device *device, void *to_host, const void *from, size_t bytes)
{
  if (device->mode != VQ_AT_ONCE)
    return vq_fail(VQ_ERR_DEVICE, "a step that is kept cannot be read from in its midst");
  VQ_TRY(vq_cuda_status(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, state_of(device)->stream),
                        "a copy from the GPU"));
  return cuda_wait(device);
}

static vq_status cuda_copy(vq_device *device, void *to, const void *from, size_t bytes)
{
  if (note(device, to, from, bytes))
    return VQ_OK;
  return vq_cuda_status(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, state_of(device)->stream),
                        "a copy on the GPU");
}

/* ---- gradients that the tape itself adds up ---- */

template <class T> __global__ void accumulate_kernel(T *to, const T *from, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    vq_put_gradient(to + i, true, vq_float(from[i]));
}

template <class T> __global__ void fill_kernel(T *to, float value, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    to[i] = vq_round<T>(value);
}

#define NAN_BITS 0x7fc00000u

template <class T> __global__ void not_finite_kernel(unsigned *verdict, const T *x, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    if (!isfinite(vq_float(x[i])))
      atomicOr(verdict, NAN_BITS);
}

static unsigned blocks_for(int64_t count)
{
  unsigned blocks = vq_blocks(count, THREADS);
  return blocks < 4096 ? blocks : 4096;
}

static vq_status cuda_add(vq_device *device, vq_dtype dtype, void *to, const void *from, int64_t count)
{
  if (note(device, to, from, (size_t)count))
    return VQ_OK;
  return vq_by_type(dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(accumulate_kernel<T>, blocks_for(count), THREADS, state_of(device)->stream,
                                    static_cast<T *>(to), static_cast<const T *>(from), count),
                          "adding a gradient");
  });
}

static vq_status cuda_fill(vq_device *device, vq_dtype dtype, void *to, double value, int64_t count)
{
  if (note(device, to, NULL, (size_t)count))
    return VQ_OK;
  return vq_by_type(dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(fill_kernel<T>, blocks_for(count), THREADS, state_of(device)->stream,
                                    static_cast<T *>(to), (float)value, count),
                          "filling a gradient");
  });
}

static vq_status cuda_look(vq_device *device, const vq_tensor *x, bool of_gradient, void *to)
{
  VQ_TRY(cuda_fill(device, VQ_F32, to, 0, 1));
  if ((x->dtype != VQ_F32 && x->dtype != VQ_BF16) || note(device, to, x->data, of_gradient))
    return VQ_OK;
  return vq_by_type(x->dtype, [&](auto type) {
    using T = decltype(type);
    const T *values = of_gradient ? vq_grad_as<T>(x) : vq_values_as<T>(x);
    return vq_cuda_status(VQ_LAUNCH(not_finite_kernel<T>, blocks_for(vq_count(x)), THREADS,
                                    state_of(device)->stream, static_cast<unsigned *>(to), values, vq_count(x)),
                          "looking for values that are not finite");
  });
}

/* ---- work that is kept and done again: a CUDA graph ---- */

static vq_status cuda_keep(vq_device *device)
{
  cuda_device *d = state_of(device);
  VQ_TRY(cuda_wait(device)); /* the buffers of the last one's uploads may be in use */
  forget_kept(d);
  d->at = 0;
  return vq_cuda_status(cudaStreamBeginCapture(d->stream, cudaStreamCaptureModeThreadLocal), "keeping a step");
}

static vq_status cuda_kept(vq_device *device, bool good)
{
  cuda_device *d = state_of(device);
  cudaGraph_t graph = NULL;
  int error = cudaStreamEndCapture(d->stream, &graph);
  d->at = 0;
  if (error == cudaSuccess && good)
    error = cudaGraphInstantiate(&d->graph, graph, 0);
  if (graph)
    cudaGraphDestroy(graph);
  if (error != cudaSuccess || !good)
    forget_kept(d);
  return good ? vq_cuda_status(error, "keeping a step") : VQ_OK;
}

static vq_status cuda_again(vq_device *device)
{
  cuda_device *d = state_of(device);
  d->at = 0;
  return vq_cuda_status(cudaGraphLaunch(d->graph, d->stream), "a step that was kept");
}

/* ---- the rooms ---- */

static void cuda_find(const vq_device *device, const vq_op *op, vq_kernels *out)
{
  static const struct {
    const char *name;
    const vq_kernels *kernels;
  } room[] = {
#define ROOM(name) {#name, &vq_cuda_##name},
      VQ_CUDA_ROOMS(ROOM)
#undef ROOM
  };
  (void)device;
  *out = vq_kernels{NULL, NULL, NULL, NULL};
  for (const auto &r : room)
    if (!strcmp(r.name, op->name))
      *out = *r.kernels;
}

static void cuda_close(vq_device *device)
{
  cuda_device *d = device->plan ? NULL : state_of(device);
  if (!d)
    return;
  if (d->stream)
    cudaStreamSynchronize(d->stream);
  for (int i = 0; i < BUFFERS; i++) {
    if (d->sent[i])
      cudaEventDestroy(d->sent[i]);
    cudaFreeHost(d->buffer[i]);
  }
  forget_kept(d);
  free(d->kept);
  vq_libraries_free(d->libraries);
  cudaFree(d->fault);
  cudaFreeHost(d->seen);
  if (d->stream)
    cudaStreamDestroy(d->stream);
  free(d);
}

#ifdef __CUDACC__
#define IN_HOST_MEMORY false
#else
#define IN_HOST_MEMORY true
#endif

const vq_backend vq_cuda_backend = {
    "cuda",      true,          false,     IN_HOST_MEMORY, cuda_alloc, cuda_free, nullptr,
    cuda_upload, cuda_download, cuda_copy, cuda_add,       cuda_fill,  cuda_look, cuda_wait,
    cuda_close,  cuda_find,     cuda_keep, cuda_kept,      cuda_again,
};

/* ---- devices ---- */

static vq_status open_stream(cuda_device *d)
{
  const char *what = "opening the GPU";
  if (!(d->libraries = vq_libraries_create()))
    return vq_fail(VQ_ERR_MEMORY, "no memory for a device");
  VQ_TRY(vq_cuda_status(cudaSetDevice(d->ordinal), what));
  VQ_TRY(vq_cuda_status(cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking), what));
  VQ_TRY(vq_cuda_status(cudaMalloc((void **)&d->fault, sizeof *d->fault), what));
  VQ_TRY(vq_cuda_status(cudaMallocHost((void **)&d->seen, sizeof *d->seen), what));
  for (int i = 0; i < BUFFERS; i++) {
    VQ_TRY(vq_cuda_status(cudaMallocHost((void **)&d->buffer[i], BUFFER_BYTES), what));
    VQ_TRY(vq_cuda_status(cudaEventCreateWithFlags(&d->sent[i], cudaEventDisableTiming), what));
    VQ_TRY(vq_cuda_status(cudaEventRecord(d->sent[i], d->stream), what));
  }
  return VQ_OK;
}

vq_status vq_cuda_count(int *cards)
{
  *cards = 0;
  cudaError_t error = cudaGetDeviceCount(cards);
  if (error == cudaSuccess)
    return VQ_OK;
  *cards = 0;
  return vq_fail(VQ_ERR_DEVICE,
                 "no GPU can be used: %s; is NVIDIA's driver installed, and does nvidia-smi see the card?",
                 cudaGetErrorString(error));
}

vq_status vq_cuda_describe(vq_cuda_card *out, int ordinal)
{
  cudaDeviceProp p;
  memset(out, 0, sizeof *out);
  VQ_TRY(vq_cuda_status(cudaGetDeviceProperties(&p, ordinal), "asking the GPU"));
  memcpy(out->name, p.name, sizeof out->name);
  out->name[sizeof out->name - 1] = 0;
  out->major = p.major;
  out->minor = p.minor;
  out->multiprocessors = p.multiProcessorCount;
  VQ_TRY(vq_cuda_status(cudaSetDevice(ordinal), "asking the GPU"));
  return vq_cuda_status(cudaMemGetInfo(&out->free, &out->memory), "asking the GPU for its memory");
}

/* Opens it for the card as a device would, and closes it. */
static vq_status try_library(int maker, int ordinal)
{
  vq_cublaslt *lt = NULL;
  vq_cudnn *dnn = NULL;
  VQ_TRY(vq_cuda_status(cudaSetDevice(ordinal), "opening the GPU"));
  VQ_TRY(maker == VQ_CUBLASLT ? vq_cublaslt_open(&lt) : vq_cudnn_open(&dnn, NULL));
  vq_cublaslt_close(lt);
  vq_cudnn_close(dnn);
  return VQ_OK;
}

vq_status vq_cuda_library(int maker, int ordinal, char *text, size_t bytes)
{
  VQ_TRY(maker == VQ_CUBLASLT ? vq_cublaslt_version(text, bytes) : vq_cudnn_version(text, bytes));
  return ordinal < 0 ? VQ_OK : try_library(maker, ordinal);
}

int64_t vq_cuda_computed(const vq_device *device, int maker)
{
  return vq_libraries_computed(static_cast<const vq_cuda_state *>(device->state)->libraries, maker);
}

vq_status vq_cuda_create(vq_device **out, int ordinal, vq_dtype products)
{
  vq_cuda_card card;
  *out = NULL;
  if (products != VQ_F32 && products != VQ_BF16)
    return vq_fail(VQ_ERR_ARGUMENT, "a GPU computes in f32 or bf16, not in %s", vq_dtype_name(products));
  VQ_TRY(vq_cuda_describe(&card, ordinal));
  vq_device *device = static_cast<vq_device *>(calloc(1, sizeof *device));
  cuda_device *d = static_cast<cuda_device *>(calloc(1, sizeof *d));
  if (!device || !d) {
    free(device);
    free(d);
    return vq_fail(VQ_ERR_MEMORY, "no memory for a device");
  }
  d->ordinal = ordinal;
  d->major = card.major;
  d->minor = card.minor;
  d->multiprocessors = card.multiprocessors;
  device->backend = &vq_cuda_backend;
  device->state = static_cast<vq_cuda_state *>(d);
  device->products = products;
  vq_status status = open_stream(d);
  if (!status)
    status = no_fault(device);
  if (status)
    vq_device_free(device);
  else
    *out = device;
  return status;
}
