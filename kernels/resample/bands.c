/* bands.c -- the tables of resample, made on the host. bands.h has the formulas. */
#include "kernels/resample/bands.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* ---- one output position's run, as weights over the box's n inputs ---- */

typedef struct run {
  int first, count;
  double *weight; /* [n], of which first ... first + count - 1 are set */
} run;

static void average_run(run *r, int n, int S, int i)
{
  r->first = (int)((int64_t)i * n / S);
  r->count = (int)(((int64_t)(i + 1) * n + S - 1) / S) - r->first;
  for (int j = 0; j < r->count; j++)
    r->weight[r->first + j] = 1.0 / r->count;
}

static int lanczos_taps(int n, int S)
{
  return n > S ? 2 * (int)ceil(2.0 * n / S + 1) - 3 : 1;
}

static double sinc(double x)
{
  return x != 0 ? sin(pi * x) / (pi * x) : 1;
}

/* Tap j of the filter, not yet normalised. */
static double lanczos_tap(int n, int S, int j)
{
  double x = (j - (lanczos_taps(n, S) - 1) / 2) * ((double)S / n);
  return fabs(x) < 2 ? sinc(x) * sinc(x / 2) : 0;
}

/* Bicubic weights of the four inputs around a point `t` in [0,1) after the second of them. */
static void bicubic(double w[4], double t)
{
  const double a = -0.75;
  for (int j = 0; j < 4; j++) {
    double x = fabs(t + 1 - j);
    w[j] = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  }
}

static int reflect(int i, int n)
{
  while (n > 1 && (i < 0 || i >= n))
    i = i < 0 ? -i : 2 * (n - 1) - i;
  return n > 1 ? i : 0;
}

static void lanczos_run(run *r, int n, int S, int i)
{
  double at = S > 1 ? (double)i * (n - 1) / (S - 1) : 0, cubic[4], sum = 0;
  int base = (int)floor(at), taps = lanczos_taps(n, S), low = n, high = -1;
  bicubic(cubic, at - base);
  for (int j = 0; j < taps; j++)
    sum += taps > 1 ? lanczos_tap(n, S, j) : 1;
  for (int k = 0; k < 4; k++) {
    int point = base - 1 + k;
    point = point < 0 ? 0 : point >= n ? n - 1 : point; /* the interpolation repeats the border ... */
    for (int j = 0; j < taps; j++) {
      int from = reflect(point + j - (taps - 1) / 2, n); /* ... and the filter reflects it */
      r->weight[from] += cubic[k] * (taps > 1 ? lanczos_tap(n, S, j) / sum : 1);
      low = from < low ? from : low;
      high = from > high ? from : high;
    }
  }
  r->first = low;
  r->count = high - low + 1;
}

static void make_run(const vq_bands *b, run *r, int n, int i)
{
  memset(r->weight, 0, (size_t)n * sizeof *r->weight);
  if (b->kind == VQ_RESAMPLE_AVERAGE)
    average_run(r, n, b->side, i);
  else
    lanczos_run(r, n, b->side, i);
}

/* ---- sizes ---- */

static int least(int a, int b)
{
  return a < b ? a : b;
}

/* Bounds of the runs, which the filling checks. An averaging run is longest in the largest box, its transposed one in the smallest;
 * the filter's width jumps where a box is larger than S, so its bounds are the largest of all sizes'. */
vq_status vq_bands_measure(vq_bands *b)
{
  int shorter = least(b->width, b->height), S = b->side;
  if (b->side < 1 || b->count < 1 || b->least < 1 || b->most < b->least || b->most > shorter)
    return vq_fail(VQ_ERR_ARGUMENT, "cutouts of %d to %d pixels do not fit a picture of %dx%d", b->least, b->most,
                   b->width, b->height);
  if (b->kind == VQ_RESAMPLE_AVERAGE) {
    b->run = least(b->most, (b->most + S - 1) / S + 1);
    b->back = least(S, (S + b->least - 1) / b->least + 1);
  } else {
    b->run = b->back = 0;
    for (int n = b->least; n <= b->most; n++) {
      /* Of an input, the outputs within half a run on either side, S - 1 steps over n - 1 inputs. */
      double dense = n > 1 ? (double)(S - 1) / (n - 1) : S;
      int forth = least(n, lanczos_taps(n, S) + 3),
          back = least(S, (int)ceil((lanczos_taps(n, S) + 4) * dense) + 2);
      b->run = forth > b->run ? forth : b->run;
      b->back = back > b->back ? back : b->back;
    }
  }
  return VQ_OK;
}

vq_shape vq_bands_index(const vq_bands *b, int length)
{
  return vq_shape_make(VQ_I32, 3, (int64_t[]){b->count, b->side + length, 2});
}

vq_shape vq_bands_weight(const vq_bands *b, int length)
{
  return vq_shape_make(VQ_REAL, 2, (int64_t[]){b->count, (int64_t)b->side * b->run + (int64_t)length * b->back});
}

/* ---- filling ---- */

/* The tables of one cutout along one axis: runs of the outputs, then of the inputs. */
typedef struct axis {
  int length;      /* of the picture */
  int32_t *index;  /* [side + length, 2] */
  vq_real *weight; /* [side * run + length * back] */
} axis;

/* Adds output i, with this weight, to the transposed run of position p. Outputs come in ascending order. */
static bool add_back(const vq_bands *b, const axis *a, int p, int i, double weight)
{
  int32_t *back = a->index + 2 * (b->side + p);
  vq_real *to = a->weight + (int64_t)b->side * b->run + (int64_t)p * b->back;
  if (!back[1])
    back[0] = i;
  if (i - back[0] >= b->back)
    return false;
  to[i - back[0]] = (vq_real)weight;
  back[1] = i - back[0] + 1;
  return true;
}

static bool fill_axis(const vq_bands *b, const axis *a, run *r, int start, int n, bool mirror)
{
  bool fits = true;
  for (int i = 0; i < b->side && fits; i++) {
    make_run(b, r, n, mirror ? b->side - 1 - i : i);
    fits = r->count <= b->run;
    a->index[2 * i] = start + r->first;
    a->index[2 * i + 1] = r->count;
    for (int j = 0; j < r->count && fits; j++) {
      double w = r->weight[r->first + j];
      a->weight[(int64_t)i * b->run + j] = (vq_real)w;
      fits = add_back(b, a, start + r->first + j, i, w);
    }
  }
  return fits;
}

vq_status vq_bands_fill(const vq_bands *b, const int32_t *boxes, const bool *mirror, int which, int32_t *index,
                        vq_real *weight, double *room)
{
  int length = which ? b->height : b->width;
  int64_t weights = vq_bands_weight(b, length).dim[1];
  run r = {0, 0, room};
  vq_status status = VQ_OK;
  for (int j = 0; j < b->count && !status; j++) {
    const int32_t *box = boxes + 3 * j;
    axis a = {length, index + (int64_t)j * 2 * (b->side + length), weight + j * weights};
    memset(a.index, 0, (size_t)(b->side + length) * 2 * sizeof *a.index);
    memset(a.weight, 0, (size_t)weights * sizeof *a.weight);
    if (box[2] < b->least || box[2] > b->most || box[0] < 0 || box[1] < 0 || box[0] > b->width - box[2] ||
        box[1] > b->height - box[2])
      status = vq_fail(VQ_ERR_ARGUMENT,
                       "cutout %d, %d,%d of size %d, is not inside the picture of %dx%d, or not of %d to %d", j,
                       box[0], box[1], box[2], b->width, b->height, b->least, b->most);
    else if (!fill_axis(b, &a, &r, box[which], box[2], mirror && mirror[j]))
      status = vq_fail(VQ_ERR_ARGUMENT, "a cutout of size %d does not fit the tables made for %d to %d", box[2],
                       b->least, b->most);
  }
  return status;
}
