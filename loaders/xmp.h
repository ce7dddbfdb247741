/* xmp.h -- a packet of XMP, ISO 16684-1: RDF in XML. What is read of it are the properties of its descriptions, each as
 * text: that of the element or attribute itself, or of the first item of its list.
 */
#ifndef VQ_LOADERS_XMP_H
#define VQ_LOADERS_XMP_H

#include "base/status.h"

/* Called for each property; all borrowed for the call, and UTF-8. */
typedef void (*vq_xmp_fn)(void *user, const char *uri, const char *name, const char *text);

/* VQ_ERR_FORMAT: no XML; VQ_ERR_UNSUPPORTED: a build without expat. */
vq_status vq_xmp_read(const char *packet, vq_xmp_fn fn, void *user);

#endif
