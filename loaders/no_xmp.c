/* no_xmp.c -- stands in for xmp.c where a build lacks expat. */
#include "loaders/xmp.h"

vq_status vq_xmp_read(const char *packet, vq_xmp_fn fn, void *user)
{
  (void)packet, (void)fn, (void)user;
  return vq_fail(VQ_ERR_UNSUPPORTED, "XMP is not read by this build; build it with expat");
}
