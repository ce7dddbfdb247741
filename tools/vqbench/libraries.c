/* libraries.c -- on a GPU, our own products and convolutions beside those of cuBLASLt and cuDNN, at the shapes of a step. Each is first
 * checked, and times are taken as of any op: norm_act_conv's with its norm, whoever computes the convolution. The table of who computes
 * what (kernels/cuda/product_table.h) is made of it. */
#include "tools/vqbench/bench.h"

#include "kernels/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BUDGET 0.25 /* seconds for one case's runs by one of them */

static const int choice[VQ_MAKERS] = {VQ_PRODUCTS_OWN, VQ_PRODUCTS_CUBLASLT, VQ_PRODUCTS_CUDNN};
static const char *const key[VQ_MAKERS] = {"own", "cublaslt", "cudnn"};

/* One row by all of them. */
typedef struct row_found {
  const bench_row *row;
  bool there[VQ_MAKERS]; /* it has computed it */
  bench_time time[VQ_MAKERS];
  bench_verdict verdict[VQ_MAKERS];
} row_found;

static bool is_product(const bench_row *row)
{
  const vq_op *op = row->c.op;
  bool product =
      op == &vq_op_linear || op == &vq_op_conv || op == &vq_op_norm_act_conv || op == &vq_op_upsample_conv;
  return product && row->count > 0;
}

static vq_status try_by(row_found *found, int maker, const bench_options *o, bench_cold *cold)
{
  vq_place place = o->place;
  vq_device *device;
  place.products_by = choice[maker];
  VQ_TRY(vq_place_open(&device, &place));
  vq_status status = bench_try(device, &found->row->c, !o->no_check, o->quick ? 0 : BUDGET, cold,
                               &found->verdict[maker], &found->time[maker]);
  found->there[maker] = maker == VQ_OWN || place.cuda->computed(device, maker) > 0;
  vq_device_free(device);
  return vq_fail_in(status, "%s", key[maker]);
}

static bool is_wrong(const row_found *found, int maker)
{
  return found->there[maker] && found->verdict[maker].made && !found->verdict[maker].right;
}

static double seconds(const row_found *found, int maker)
{
  return found->there[maker] ? found->time[maker].median : INFINITY;
}

static int best_of(const row_found *found)
{
  int best = VQ_OWN;
  for (int maker = VQ_OWN + 1; maker < VQ_MAKERS; maker++)
    best = !is_wrong(found, maker) && seconds(found, maker) < seconds(found, best) ? maker : best;
  return best;
}

static void print_json(const row_found *found, const bench_options *o)
{
  bench_print_json_case(found->row, o);
  for (int maker = 0; maker < VQ_MAKERS; maker++)
    if (found->there[maker])
      printf(",\"%s_seconds\":%.6g,\"%s_spread\":%.3g,\"%s_right\":%s", key[maker], found->time[maker].median,
             key[maker], found->time[maker].spread, key[maker],
             !found->verdict[maker].made   ? "null"
             : found->verdict[maker].right ? "true"
                                           : "false");
    else
      printf(",\"%s_seconds\":null", key[maker]);
  printf(",\"best\":\"%s\"}\n", key[best_of(found)]);
}

static void print_row(const row_found *found)
{
  char sizes[128];
  const bench_case *c = &found->row->c;
  printf("%-13s %-3s %-4s %-34s %4lld", c->op->name, c->backward ? "bwd" : "fwd", bench_case_dtype(c),
         bench_case_text(sizes, sizeof sizes, c), (long long)found->row->count);
  for (int maker = 0; maker < VQ_MAKERS; maker++)
    if (!found->there[maker])
      printf(" %9s   ", "-");
    else
      printf(" %9.4f %2.0f%s", 1e3 * found->time[maker].median, 100 * found->time[maker].spread,
             is_wrong(found, maker) ? "!" : "");
  printf("  %s\n", key[best_of(found)]);
}

static vq_status measure(const bench_row *const *rows, int count, const bench_options *o)
{
  bench_cold cold;
  double own = 0, best = 0;
  int wrong = 0;
  vq_status status = VQ_OK;
  VQ_TRY(bench_cold_create(&cold, &o->place));
  for (int i = 0; i < count && !status; i++) {
    row_found found = {.row = rows[i]};
    char sizes[128];
    if (!is_product(rows[i]))
      continue;
    for (int maker = 0; maker < VQ_MAKERS && !status; maker++)
      status = try_by(&found, maker, o, &cold);
    status = vq_fail_in(status, "%s, %s", rows[i]->c.op->name, bench_case_text(sizes, sizeof sizes, &rows[i]->c));
    if (status)
      break;
    (o->json ? print_json(&found, o) : print_row(&found));
    for (int maker = 0; maker < VQ_MAKERS; maker++)
      wrong += is_wrong(&found, maker);
    own += seconds(&found, VQ_OWN) * (double)rows[i]->count;
    best += seconds(&found, best_of(&found)) * (double)rows[i]->count;
  }
  bench_cold_free(&cold);
  if (!status && !o->json)
    printf("\nn: times in a step; -: it does not compute this; !: wrong; ms and %% of spread, cold caches\n"
           "a step's: %.3f ms by our own kernels, %.3f ms by the best of each\n",
           1e3 * own, 1e3 * best);
  return status || !wrong ? status : vq_fail(VQ_ERR_NAN, "%d results are wrong: they are marked with !", wrong);
}

/* A library that is not there is a column without figures, and a line. */
static void tell_missing(const bench_options *o)
{
  vq_place place = o->place;
  vq_place_products(&place, VQ_PRODUCTS_LIBRARIES, &bench_log);
}

static void print_head(const bench_options *o)
{
  char text[VQ_MAKERS][256];
  bench_print_head(o, NULL);
  for (int maker = VQ_OWN + 1; maker < VQ_MAKERS && !o->json; maker++)
    if (!o->place.cuda->library(maker, o->place.card, text[maker], sizeof text[maker]))
      printf("%s %s\n", vq_library_name(maker), text[maker]);
  if (!o->json)
    printf("%-13s %-3s %-4s %-34s %4s %9s %2s %9s %2s %9s %2s  %s\n", "op", "dir", "type", "sizes", "n", "own ms",
           "+-", "cuBLASLt", "+-", "cuDNN", "+-", "best");
}

vq_status bench_run_libraries(const bench_options *o)
{
  bench_list list = {0};
  const bench_row **rows = NULL;
  int count = 0;
  if (!o->place.cuda)
    return vq_fail(VQ_ERR_ARGUMENT, "--compare libraries is for a GPU: --device cuda");
  vq_status status = bench_list_step(&list, &o->step, &o->place);
  if (!status)
    status = bench_choose(&rows, &count, &list, o);
  if (!status) {
    tell_missing(o);
    print_head(o);
    status = measure(rows, count, o);
  }
  free(rows);
  bench_list_free(&list);
  return status;
}
