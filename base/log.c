/* log.c -- formats a line and hands it to the caller's function. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const vq_log *log, vq_log_level level, const char *format, va_list args)
{
  char line[4096];
  if (!log || !log->write)
    return;
  vsnprintf(line, sizeof line, format, args);
  log->write(log->user, level, line);
}

void vq_log_info(const vq_log *log, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  say(log, VQ_LOG_INFO, format, args);
  va_end(args);
}

void vq_log_warning(const vq_log *log, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  say(log, VQ_LOG_WARNING, format, args);
  va_end(args);
}
