/* repeat.c -- keeping a step and doing it again. Contract: repeat.h. */
#include "autograd/repeat.h"

#include <string.h>

/* FNV-1a, by words of 8 bytes. */
static void mix(uint64_t *hash, uint64_t word)
{
  *hash = (*hash ^ word) * 0x100000001b3u;
}

void vq_repeat_note(vq_device *device, const void *bytes, size_t count)
{
  const char *at = bytes;
  for (uint64_t word; count; at += sizeof word) {
    size_t part = count < sizeof word ? count : sizeof word;
    word = 0;
    memcpy(&word, at, part);
    mix(&device->trail, word);
    count -= part;
  }
}

static void note_tensor(vq_device *device, const vq_tensor *x)
{
  const vq_tensor *root = x && x->base ? x->base : x;
  mix(&device->trail, root ? (uintptr_t)root->data : 0);
  mix(&device->trail, root ? (uintptr_t)root->grad : 0);
  if (!x)
    return;
  mix(&device->trail, (uint64_t)x->dtype);
  for (int i = 0; i < VQ_RANK; i++)
    mix(&device->trail, (uint64_t)x->dim[i]);
}

void vq_repeat_note_call(vq_device *device, const vq_op *op, const vq_call *call, bool backward)
{
  mix(&device->trail, (uintptr_t)op);
  mix(&device->trail, backward | (uint64_t)call->wants << 8 | (uint64_t)call->add << 16);
  mix(&device->trail, (uintptr_t)call->scratch);
  vq_repeat_note(device, call->attr, sizeof *call->attr);
  for (int i = 0; i < VQ_IN; i++)
    note_tensor(device, call->in[i]);
  note_tensor(device, call->out);
  note_tensor(device, call->saved);
}

static vq_status keep(vq_device *device, vq_status (*work)(void *user), void *user)
{
  device->trail = 0;
  vq_device_unguard(device);
  VQ_TRY(device->backend->keep(device));
  device->mode = VQ_KEEPING;
  vq_status status = work(user);
  device->mode = VQ_AT_ONCE;
  vq_status kept = device->backend->kept(device, !status);
  device->kept_trail = device->trail;
  device->keeps = !status && !kept;
  return status ? status : kept;
}

vq_status vq_device_repeat(vq_device *device, vq_status (*work)(void *user), void *user)
{
  if (device->plan || device->one_by_one || !device->backend->keep)
    return work(user);
  if (!device->warm) { /* what is loaded and decided at a first use is not kept */
    device->warm = true;
    return work(user);
  }
  if (device->keeps) {
    device->trail = 0;
    device->mode = VQ_REPEATING;
    vq_status status = work(user);
    device->mode = VQ_AT_ONCE;
    device->keeps = !status; /* what was kept has been uploaded to in part */
    VQ_TRY(status);
  }
  if (!device->keeps || device->trail != device->kept_trail)
    VQ_TRY(keep(device, work, user));
  return device->backend->again(device);
}
