/* html_entities.h -- the named character references of HTML 5. */
#ifndef VQ_NETS_HTML_ENTITIES_H
#define VQ_NETS_HTML_ENTITIES_H

#include <stddef.h>
#include <stdint.h>

/* The code points that name[0..bytes) stands for, 0 to 2 of them; 0 for a name that HTML does not know. The semicolon
 * belongs to the name: "lt;" and "lt" are both names, "hearts;" is one and "hearts" is not. */
int vq_html_entity(uint32_t codes[2], const char *name, size_t bytes);

/* Bytes of the longest name in the table; the shortest has 2. */
#define VQ_HTML_ENTITY_BYTES 32

#endif
