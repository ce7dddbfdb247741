/* status.c -- the last error's message, one for each thread. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES 4096

static _Thread_local char message[MESSAGE_BYTES];

vq_status vq_fail(vq_status code, const char *format, ...)
{
  /* Formatted aside first: an argument may be the stored message itself. */
  char text[MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  memcpy(message, text, sizeof text);
  return code;
}

vq_status vq_fail_in(vq_status code, const char *format, ...)
{
  char context[MESSAGE_BYTES / 2], text[MESSAGE_BYTES];
  va_list args;
  if (!code)
    return code;
  va_start(args, format);
  vsnprintf(context, sizeof context, format, args);
  va_end(args);
  snprintf(text, sizeof text, "%s: %.*s", context, (int)(sizeof text - strlen(context) - 3), message);
  memcpy(message, text, sizeof text);
  return code;
}

const char *vq_error_message(void)
{
  return message;
}

const char *vq_status_name(vq_status code)
{
  switch (code) {
#define VQ_STATUS_NAME(name, number, meaning) \
  case name: return #name;
    VQ_STATUS_LIST(VQ_STATUS_NAME)
#undef VQ_STATUS_NAME
  }
  return "unknown";
}

const char *vq_status_meaning(vq_status code)
{
  switch (code) {
#define VQ_STATUS_MEANING(name, number, meaning) \
  case name: return meaning;
    VQ_STATUS_LIST(VQ_STATUS_MEANING)
#undef VQ_STATUS_MEANING
  }
  return "unknown";
}
