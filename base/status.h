/* status.h -- how every fallible function of vqgen reports: a code that is returned, a message that is kept.
 *
 * A function that can fail returns vq_status; 0 is success. It fails with
 *
 *     return vq_fail(VQ_ERR_SHAPE, "linear: x has %d columns, the weight takes %d", a, b);
 *
 * which stores the message for the calling thread and hands the code back. Whoever reports to a person prints
 * vq_error_message(). A message says what was wrong, with which file, tensor or option, and what to do about it.
 * The library never prints, never exits and never asserts on input.
 */
#ifndef VQ_BASE_STATUS_H
#define VQ_BASE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* One row a code: name, number, meaning. tests/test_errors.c walks this list: a code without a case fails there. */
#define VQ_STATUS_LIST(X)                                                                    \
  X(VQ_OK, 0, "success")                                                                     \
  X(VQ_ERR_MEMORY, 1, "memory: an allocation failed, or a plan needs more than there is")    \
  X(VQ_ERR_ARGUMENT, 2, "an argument, option or setting is out of its range")                \
  X(VQ_ERR_SHAPE, 3, "the shapes or types of an operation's tensors do not fit each other")  \
  X(VQ_ERR_GRADIENT, 4, "a gradient was asked of an operation that has none for that input") \
  X(VQ_ERR_NAN, 5, "the trap for values that are not finite has sprung")                     \
  X(VQ_ERR_FILE, 6, "a file cannot be opened or read")                                       \
  X(VQ_ERR_WRITE, 7, "a file cannot be written")                                             \
  X(VQ_ERR_FORMAT, 8, "a file is empty, truncated, damaged or not what it claims to be")     \
  X(VQ_ERR_NETWORK, 9, "a network file is of the wrong kind or lacks tensors or settings")   \
  X(VQ_ERR_PROMPT, 10, "a prompt is empty, too long, or not UTF-8")                          \
  X(VQ_ERR_DEVICE, 11, "a device is not there or failed")                                    \
  X(VQ_ERR_UNSUPPORTED, 12, "a thing that has a name and that this build does not do")

typedef enum vq_status {
#define VQ_STATUS_ENUM(name, number, meaning) name = number,
  VQ_STATUS_LIST(VQ_STATUS_ENUM)
#undef VQ_STATUS_ENUM
} vq_status;

/* Stores the formatted message for the calling thread, cut at 4095 bytes, and returns `code`. */
vq_status vq_fail(vq_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "CONTEXT: " before the stored message and returns `code` unchanged: the caller that knows the file's name
 * adds it to the error of a callee that does not. Does nothing for VQ_OK. */
vq_status vq_fail_in(vq_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The message of the last failure in the calling thread; "" before the first one. Borrowed; good until the next. */
const char *vq_error_message(void);

/* "VQ_ERR_SHAPE" and its meaning; "unknown" for a number that is no code. Static. */
const char *vq_status_name(vq_status code);
const char *vq_status_meaning(vq_status code);

/* if (call fails) return its status */
#define VQ_TRY(call)                   \
  do {                                 \
    vq_status vq_try_status_ = (call); \
    if (vq_try_status_)                \
      return vq_try_status_;           \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
