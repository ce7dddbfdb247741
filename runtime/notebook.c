/* notebook.c -- the message and the packet. */
#define _GNU_SOURCE /* strcasestr */
#include "runtime/notebook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTEBOOK "VQGAN+CLIP"

/* A text that grows; after a failure it stays NULL. */
typedef struct growing {
  FILE *stream;
  char *text;
  size_t bytes;
} growing;

static bool begin(growing *g)
{
  g->stream = open_memstream(&g->text, &g->bytes);
  return g->stream != NULL;
}

static char *end(growing *g)
{
  if (!fclose(g->stream))
    return g->text;
  free(g->text);
  return NULL;
}

/* The code point at *s, which is UTF-8, and on to the next. */
static uint32_t next_point(const char **s)
{
  const uint8_t *p = (const uint8_t *)*s;
  int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
  uint32_t c = more ? *p & (0x3fu >> more) : *p;
  for (int i = 1; i <= more && (p[i] & 0xc0) == 0x80; i++)
    c = c << 6 | (p[i] & 0x3f);
  *s += more + 1;
  return c;
}

/* As Python's json.dumps: all that is not printable ASCII is escaped, above U+FFFF by two surrogates. */
static void put_json(FILE *to, const char *s)
{
  static const char plain[] = "\b\f\n\r\t", letter[] = "bfnrt";
  fputc('"', to);
  while (*s) {
    uint32_t c = next_point(&s);
    const char *known = c < 0x80 ? strchr(plain, (int)c) : NULL;
    if (known)
      fprintf(to, "\\%c", letter[known - plain]);
    else if (c == '"' || c == '\\')
      fprintf(to, "\\%c", (int)c);
    else if (c >= ' ' && c < 0x7f)
      fputc((int)c, to);
    else if (c < 0x10000)
      fprintf(to, "\\u%04x", (unsigned)c);
    else
      fprintf(to, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)), (unsigned)(0xdc00 + (c & 0x3ff)));
  }
  fputc('"', to);
}

char *vq_notebook_message(const vq_notebook_fields *f)
{
  growing g;
  if (!begin(&g))
    return NULL;
  fputs("{\"title\": ", g.stream);
  if (f->title)
    put_json(g.stream, f->title);
  else
    fputs("null", g.stream);
  fprintf(g.stream, ", \"notebook\": \"" NOTEBOOK "\", \"i\": %lld, \"model\": ", (long long)f->i);
  put_json(g.stream, f->model);
  fprintf(g.stream, ", \"seed\": \"%llu\", \"input_images\": %s}", (unsigned long long)f->seed,
          f->input_images ? "true" : "\"\"");
  return end(&g);
}

/* Without the characters that XML has no way to write. */
static void put_xml(FILE *to, const char *s)
{
  for (; *s; s++)
    if (*s == '&' || *s == '<' || *s == '>')
      fputs(*s == '&' ? "&amp;" : *s == '<' ? "&lt;" : "&gt;", to);
    else if (*s == '\r')
      fputs("&#13;", to); /* else read as a new line */
    else
      fputc((unsigned char)*s < ' ' && *s != '\t' && *s != '\n' ? ' ' : *s, to);
}

static void put_list(FILE *to, const char *name, const char *text)
{
  fprintf(to, "   <dc:%s>\n    <rdf:Seq>\n     <rdf:li>", name);
  put_xml(to, text);
  fprintf(to, "</rdf:li>\n    </rdf:Seq>\n   </dc:%s>\n", name);
}

static void put_fields(FILE *to, const vq_notebook_fields *f)
{
  char i[32], seed[32];
  snprintf(i, sizeof i, "%lld", (long long)f->i);
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)f->seed);
  put_list(to, "creator", NOTEBOOK);
  put_list(to, "title", f->title ? f->title : "None");
  put_list(to, "i", i);
  put_list(to, "model", f->model);
  put_list(to, "seed", seed);
  put_list(to, "input_images", f->input_images ? "True" : "");
}

char *vq_notebook_xmp(const vq_notebook_fields *f, const char *settings)
{
  growing g;
  if (!begin(&g))
    return NULL;
  fputs("<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
        " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
        "  <rdf:Description rdf:about=\"\" xmlns:dc=\"" VQ_XMP_DC "\" xmlns:vqgen=\"" VQ_XMP_VQGEN "\">\n",
        g.stream);
  if (f)
    put_fields(g.stream, f);
  if (settings) {
    fputs("   <vqgen:settings>", g.stream);
    put_xml(g.stream, settings);
    fputs("</vqgen:settings>\n", g.stream);
  }
  fputs("  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>", g.stream);
  return end(&g);
}

/* ---- names ---- */

const char *vq_notebook_model(const char *name, int64_t codes)
{
  static const struct {
    const char *word;
    int64_t codes; /* 0: any */
    const char *known;
  } models[] = {
      {"imagenet", 16384, "ImageNet 16384"},
      {"imagenet", 1024, "ImageNet 1024"},
      {"wikiart", 16384, "WikiArt 16384"},
      {"wikiart", 1024, "WikiArt 1024"},
      {"coco", 0, "COCO-Stuff"},
      {"faceshq", 0, "FacesHQ"},
      {"sflckr", 0, "S-FLCKR"},
  };
  for (size_t i = 0; i < sizeof models / sizeof *models; i++)
    if (strcasestr(name, models[i].word) && (!models[i].codes || models[i].codes == codes))
      return models[i].known;
  return name;
}
