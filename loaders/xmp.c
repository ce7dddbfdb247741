/* xmp.c -- XMP through expat, element by element. */
#include "loaders/xmp.h"

#include <expat.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RDF       "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
#define SEPARATOR '\n' /* between a name's namespace and itself; neither can hold one */

typedef struct reader {
  XML_Parser parser;
  vq_xmp_fn fn;
  void *user;
  int depth, described; /* elements open now; where in them the description is, 0: none */
  int items;            /* of the property's list, begun */
  char *property;       /* the element's name; NULL: outside of one */
  char *text;
  size_t bytes;
  bool failed; /* no memory */
} reader;

/* Hands on a property whose name expat gives as namespace, separator, name. */
static void hand_on(reader *r, const char *name, const char *text)
{
  const char *end = strchr(name, SEPARATOR);
  char *uri = end ? strndup(name, (size_t)(end - name)) : NULL;
  if (uri && strcmp(uri, RDF))
    r->fn(r->user, uri, end + 1, text);
  free(uri);
}

static bool is_rdf(const char *name, const char *what)
{
  size_t n = sizeof RDF - 1;
  return !strncmp(name, RDF, n) && name[n] == SEPARATOR && !strcmp(name + n + 1, what);
}

static void on_begin(void *user, const char *name, const char **attribute)
{
  reader *r = user;
  r->depth++;
  if (!r->described && is_rdf(name, "Description")) {
    r->described = r->depth;
    for (int i = 0; attribute[i]; i += 2)
      hand_on(r, attribute[i], attribute[i + 1]);
  } else if (r->described && r->depth == r->described + 1) {
    r->property = strdup(name);
    r->failed = r->failed || !r->property;
    r->items = 0;
    r->bytes = 0;
  } else if (r->property && is_rdf(name, "li")) {
    if (r->items++ == 0)
      r->bytes = 0; /* what stood before it is layout */
  }
}

static void on_end(void *user, const char *name)
{
  reader *r = user;
  (void)name;
  if (r->property && r->depth == r->described + 1) {
    hand_on(r, r->property, r->bytes ? r->text : "");
    free(r->property);
    r->property = NULL;
  }
  if (r->depth == r->described)
    r->described = 0;
  r->depth--;
}

/* In a list, of the first item alone: that is three levels below the description. */
static void on_text(void *user, const char *text, int length)
{
  reader *r = user;
  if (!r->property || r->items > 1 || (r->items == 1 && r->depth < r->described + 3))
    return;
  char *grown = realloc(r->text, r->bytes + (size_t)length + 1);
  if (!grown) {
    r->failed = true;
    return;
  }
  r->text = grown;
  memcpy(r->text + r->bytes, text, (size_t)length);
  r->bytes += (size_t)length;
  r->text[r->bytes] = 0;
}

/* XMP has no document type; what has one may define entities that grow without end. */
static void on_doctype(void *user, const char *name, const char *system, const char *public, int internal)
{
  (void)name, (void)system, (void)public, (void)internal;
  XML_StopParser(((reader *)user)->parser, XML_FALSE);
}

vq_status vq_xmp_read(const char *packet, vq_xmp_fn fn, void *user)
{
  reader r = {.fn = fn, .user = user, .parser = XML_ParserCreateNS("UTF-8", SEPARATOR)};
  if (!r.parser)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a packet of XMP");
  XML_SetUserData(r.parser, &r);
  XML_SetElementHandler(r.parser, on_begin, on_end);
  XML_SetCharacterDataHandler(r.parser, on_text);
  XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
  size_t bytes = strlen(packet);
  bool read = bytes < 1 << 30 && XML_Parse(r.parser, packet, (int)bytes, 1) == XML_STATUS_OK;
  vq_status status =
      r.failed ? vq_fail(VQ_ERR_MEMORY, "no memory for a packet of XMP")
      : read   ? VQ_OK
               : vq_fail(VQ_ERR_FORMAT, "the XMP is no XML: %s", XML_ErrorString(XML_GetErrorCode(r.parser)));
  XML_ParserFree(r.parser);
  free(r.property);
  free(r.text);
  return status;
}
