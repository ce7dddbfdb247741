/* gradcheck.h -- is a backward pass the derivative of its forward pass? Asked of central differences.
 *
 * For a function y = f(x_1 ... x_n) and a random dy, the tape's dx_i is compared, element by element and with its sign,
 * with the fourth-order central difference of s(x) = sum dy * y:
 *
 *     ds/dx ~ (8 (s(x+h) - s(x-h)) - (s(x+2h) - s(x-2h))) / 12h
 *
 * For the double build: of a float forward, differences are noise. An element passes if
 * |difference - dx| <= tolerance * (|dx| + r), r the root mean square of that input's dx: relative, without
 * asking of an element that happens to be near zero more than its neighbours have. Every element is compared.
 */
#ifndef VQ_AUTOGRAD_GRADCHECK_H
#define VQ_AUTOGRAD_GRADCHECK_H

#include "autograd/tape.h"

typedef vq_tensor *(*vq_function)(vq_tape *tape, vq_tensor *const *in, void *user);

typedef struct vq_gradcheck_report {
  double worst; /* largest |difference - dx| / (|dx| + r) */
  int input;    /* where that is: input number and element */
  int64_t element;
  double difference, dx; /* the two values there */
} vq_gradcheck_report;

/* Checks every input that wants a gradient; `in` are leaves or weights made before the call. `seed` draws dy. Returns
 * VQ_OK if the comparison could be made, whatever it found: see report->worst, which is NaN if a value was not finite. */
vq_status vq_gradcheck(vq_tape *tape, vq_function f, void *user, vq_tensor *const *in, int count, uint64_t seed,
                       vq_gradcheck_report *report);

#endif
