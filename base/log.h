/* log.h -- what the library has to say while it works: handed to a function of the caller's, never printed. */
#ifndef VQ_BASE_LOG_H
#define VQ_BASE_LOG_H

typedef enum vq_log_level { VQ_LOG_INFO, VQ_LOG_WARNING } vq_log_level;

/* `message` is one line without its newline, borrowed for the call. Called on the thread that called the library. */
typedef void (*vq_log_fn)(void *user, vq_log_level level, const char *message);

typedef struct vq_log {
  vq_log_fn write; /* NULL: nothing is said */
  void *user;
} vq_log;

void vq_log_info(const vq_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vq_log_warning(const vq_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
