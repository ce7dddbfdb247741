/* repeat.h -- work that is the same from step to step, but for what is uploaded in it, is queued once and then done again whole.
 *
 * A GPU waits for the host where a step is a thousand small kernels. So a backend may keep what a step queues (a CUDA graph) and do it
 * again by one call. The host's side of the step still runs each time, and quickly: it hands out the same places and uploads this step's
 * numbers, each to the buffer that the kept copy reads. Every kernel that it would have launched is compared, by a hash of all that it
 * is called with, with what was kept; if the step has changed (another phase, another size), it is queued and kept anew.
 */
#ifndef VQ_AUTOGRAD_REPEAT_H
#define VQ_AUTOGRAD_REPEAT_H

#include "autograd/op.h"

/* Does `work` on the device: at once the first time, kept the second, by what was kept from then on. It must not read from the device
 * (download) in its midst, nor leave anything on the host that depends on its being done; and it is called once more if it
 * turns out to have changed, so it begins with the tape rewound and with no gradient that it left the last time. On a backend that keeps nothing, or with
 * device->one_by_one, it is done at once each time. */
vq_status vq_device_repeat(vq_device *device, vq_status (*work)(void *user), void *user);

/* For the tape and for backends, while work is kept or repeated: takes a call, or some bytes, into the hash. */
void vq_repeat_note_call(vq_device *device, const vq_op *op, const vq_call *call, bool backward);
void vq_repeat_note(vq_device *device, const void *bytes, size_t count);

#endif
