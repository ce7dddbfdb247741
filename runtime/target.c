/* target.c -- the features of a picture's cutouts. Contract: target.h. */
#include "runtime/target.h"

#include "runtime/compute.h"
#include "runtime/cutouts.h"
#include "runtime/resize.h"

#include <stdlib.h>

typedef struct target_job {
  const vq_target_picture *of;
  const vq_real *pixels; /* [H,W,3] in [0,1] */
  int width, height, side, least, most;
  vq_cutouts_draws draws;
  vq_real *features;
} target_job;

static vq_status see_quanta(vq_device *device, vq_tape *t, const target_job *job, const vq_clip *net, vq_cutouts *k)
{
  int cutouts = job->of->settings->cutouts, quantum, quanta = vq_cutouts_quanta(cutouts, &quantum);
  int width = vq_network_clip(job->of->clip)->embed_dim;
  vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, job->height, job->width, 3});
  vq_tensor *source = vq_cutouts_source(t, k, vq_leaf(t, &s, job->pixels, false));
  vq_mark mark = vq_tape_mark(t);
  vq_real *rows = malloc((size_t)(quantum * width) * sizeof *rows);
  vq_status status = rows ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a picture's features");
  for (int i = 0; i < quanta && !status; i++) {
    int first = i * quantum, count = cutouts - first < quantum ? cutouts - first : quantum;
    vq_tensor *y = vq_clip_image(t, net, vq_cutouts_draw(t, k, source, &job->draws, first, count, quantum));
    status = vq_tape_status(t);
    if (!status)
      status = vq_tensor_read(device, y, rows);
    for (int e = 0; e < count * width && !status; e++)
      job->features[first * width + e] = rows[e];
    if (!status)
      vq_rewind(t, mark);
  }
  free(rows);
  return status;
}

static vq_status see_cutouts(vq_device *device, vq_tape *t, void *user)
{
  const target_job *job = user;
  const vq_settings *set = job->of->settings;
  vq_cutouts_config config = {set->cut_method, job->width, job->height, job->side, job->least, job->most, 0};
  vq_cutouts *k;
  vq_clip *net;
  vq_cutouts_quanta(set->cutouts, &config.most_count);
  VQ_TRY(vq_cutouts_create(&k, &config));
  vq_status status = vq_network_make_clip(&net, job->of->clip, device, CLIP_IMAGE);
  if (!status) {
    status = see_quanta(device, t, job, net, k);
    vq_clip_free(net);
  }
  vq_cutouts_free(k);
  return status;
}

/* Draws of prompts stand at the far end of the steps, which no run reaches. */
static vq_status see_pixels(const vq_target_picture *of, const vq_image *image, const vq_real *pixels,
                            vq_real *features)
{
  const vq_settings *set = of->settings;
  vq_augment list[VQ_MOST_AUGMENTS];
  target_job job = {.of = of,
                    .pixels = pixels,
                    .width = image->width,
                    .height = image->height,
                    .side = vq_network_clip(of->clip)->image_resolution,
                    .draws = {.augment = list, .seed = set->seed, .step = UINT32_MAX - (uint32_t)of->number},
                    .features = features};
  vq_place place;
  VQ_TRY(vq_place_of(&place, set));
  VQ_TRY(vq_augments_parse(list, &job.draws.augments, set->augment));
  int32_t *boxes = malloc((size_t)set->cutouts * 3 * sizeof *boxes);
  if (!boxes)
    return vq_fail(VQ_ERR_MEMORY, "no memory for boxes");
  vq_boxes_range(&job.least, &job.most, set, job.width, job.height, job.side);
  vq_boxes_draw(boxes, set->cutouts, job.width, job.height, job.least, job.most, set->cut_power, set->seed,
                job.draws.step);
  job.draws.boxes = boxes;
  vq_status status = vq_compute(see_cutouts, &job, &place);
  free(boxes);
  return status;
}

/* Its shape kept, its area at most the run's. */
static vq_status read_picture(vq_image *out, const vq_target_picture *of)
{
  vq_image image;
  VQ_TRY(vq_image_read(&image, of->path));
  double ratio = (double)image.width / image.height, area = (double)image.width * image.height;
  double most = (double)of->width * of->height;
  area = area < most ? area : most;
  int width = (int)(sqrt(area * ratio) + 0.5), height = (int)(sqrt(area / ratio) + 0.5);
  vq_status status =
      vq_image_resize(out, &image, width < 1 ? 1 : width, height < 1 ? 1 : height, VQ_FILTER_LANCZOS);
  vq_image_free(&image);
  return status;
}

vq_status vq_target_features(const vq_target_picture *of, vq_real *features)
{
  vq_image image;
  VQ_TRY(read_picture(&image, of));
  size_t count = (size_t)image.width * (size_t)image.height * 3;
  vq_real *pixels = malloc(count * sizeof *pixels);
  for (size_t i = 0; pixels && i < count; i++)
    pixels[i] = (vq_real)(image.rgb[i] / 255.0);
  vq_status status =
      pixels ? see_pixels(of, &image, pixels, features) : vq_fail(VQ_ERR_MEMORY, "no memory for a picture");
  free(pixels);
  vq_image_free(&image);
  return status;
}
