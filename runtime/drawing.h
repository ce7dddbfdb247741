/* drawing.h -- pictures whose content is known because they are drawn here: shapes in colours, and words. */
#ifndef VQ_RUNTIME_DRAWING_H
#define VQ_RUNTIME_DRAWING_H

#include "loaders/image.h"

typedef enum vq_drawn_shape {
  VQ_DRAWN_CIRCLE,
  VQ_DRAWN_SQUARE,
  VQ_DRAWN_TRIANGLE,
  VQ_DRAWN_STAR,
  VQ_DRAWN_SHAPES
} vq_drawn_shape;

/* "circle"; static. */
const char *vq_drawn_shape_name(vq_drawn_shape shape);

typedef enum vq_drawn_colour {
  VQ_DRAWN_RED,
  VQ_DRAWN_GREEN,
  VQ_DRAWN_BLUE,
  VQ_DRAWN_YELLOW,
  VQ_DRAWN_BLACK,
  VQ_DRAWN_WHITE,
  VQ_DRAWN_COLOURS
} vq_drawn_colour;

/* "red"; static. */
const char *vq_drawn_colour_name(vq_drawn_colour colour);

/* One shape in the middle of a new picture of side x side; edges are smooth. VQ_ERR_MEMORY. The caller frees it. */
vq_status vq_draw_shape(vq_image *out, int side, vq_drawn_shape shape, vq_drawn_colour colour,
                        vq_drawn_colour ground);

/* A word of capital letters A to Z, black on white, as wide as the picture allows. VQ_ERR_ARGUMENT for other letters. */
vq_status vq_draw_word(vq_image *out, int side, const char *word);

#endif
