/* check.c -- compares results. Contract: check.h. */
#include "tools/vqbench/check.h"

#include "kernels/ops.h"
#include "tools/vqbench/rules.h"
#ifdef VQBENCH_ORACLE
#include "tools/vqbench/oracle.h"
#endif

#include <math.h>

#define HALF_UNIT 0x1p-24
#define TAIL      8

#define BF16_ERROR 0x1p-8

static double allowed_for(const bench_case *c)
{
  bool half = c->out.dtype == VQ_BF16, convolves = c->op == &vq_op_conv || c->op == &vq_op_norm_act_conv;
  for (int i = 0; i < VQ_IN; i++)
    half = half || (c->in[i].there && c->in[i].shape.dtype == VQ_BF16);
  if (half && c->out.dtype == VQ_REAL && convolves)
    return 2 * BF16_ERROR;
  return half ? BF16_ERROR : HALF_UNIT * (8 + 2 * sqrt(bench_depth(c)));
}

/* What a comparison of one result found. */
typedef struct finding {
  double error, largest;
  double outside; /* the share of elements beyond the limit */
} finding;

static finding compare(const double *got, const double *want, int64_t count, double limit, bool skip_outside)
{
  double squares = 0, wrong = 0, outside = 0;
  finding f = {0, 0, 0};
  for (int64_t i = 0; i < count; i++)
    squares += want[i] * want[i];
  double r = sqrt(squares / (double)count);
  for (int64_t i = 0; i < count; i++) {
    double difference = fabs(got[i] - want[i]), relative = difference / (fabs(want[i]) + r);
    if (difference == 0)
      continue;
    if (!(relative <= limit)) {
      outside++;
      if (skip_outside && isfinite(got[i]))
        continue;
    }
    wrong += difference * difference;
    f.largest = relative > f.largest || isnan(relative) ? relative : f.largest;
  }
  f.error = wrong == 0 ? 0 : sqrt(wrong / (double)count) / r;
  f.outside = outside / (double)count;
  return f;
}

static const char *name_of(int slot)
{
  static const char *const names[] = {"gradient 0", "gradient 1", "gradient 2", "gradient 3",
                                      "gradient 4", "gradient 5", "gradient 6", "output"};
  return names[slot];
}

/* Indices: a rank of equals is decided by the lowest, so there is one right answer. */
static bool equal_indices(const bench_result *got, const bench_result *want)
{
  bool equal = true;
  for (int64_t i = 0; i < want->count[VQ_IN]; i++)
    equal = equal && got->value[VQ_IN][i] == want->value[VQ_IN][i];
  return equal;
}

static void judge(bench_verdict *v, const bench_case *c, const bench_result *got, const bench_result *want,
                  int slot, bool twice)
{
  double allowed = allowed_for(c) * (twice ? 2 : 1), bends = bench_bends(c);
  bool same = got->value[slot] && want->value[slot] && got->count[slot] == want->count[slot], right = same;
  finding f = {INFINITY, INFINITY, 1};
  if (same && slot == VQ_IN && c->out.dtype == VQ_I32) {
    right = equal_indices(got, want);
    f = (finding){right ? 0 : INFINITY, right ? 0 : INFINITY, 0};
  } else if (same) {
    f = compare(got->value[slot], want->value[slot], want->count[slot], TAIL * allowed, bends > 0);
    right = f.error <= allowed && f.outside <= bends && isfinite(f.largest);
  }
  if (!v->made || !(f.error <= v->error) || (!right && v->right)) {
    v->error = f.error;
    v->largest = f.largest;
    v->allowed = allowed;
    v->what = right ? NULL : name_of(slot);
  }
  v->right = right && (v->right || !v->made);
  v->made = true;
}

void bench_compare(bench_verdict *out, const bench_case *c, const bench_result *got, const bench_result *want,
                   bool twice)
{
  *out = (bench_verdict){.made = false};
  for (int i = 0; i <= VQ_IN; i++)
    if (got->value[i] || want->value[i])
      judge(out, c, got, want, i, twice);
}

bool bench_has_oracle(void)
{
#ifdef VQBENCH_ORACLE
  return true;
#else
  return false;
#endif
}

vq_status bench_ask_oracle(bench_result *out, const bench_case *c, const bench_data *data)
{
#ifdef VQBENCH_ORACLE
  char text[1024] = "";
  int status = vqbench_oracle(c, data, 0, out, text, sizeof text);
  return status ? vq_fail((vq_status)status, "the oracle: %s", text) : VQ_OK;
#else
  (void)out, (void)c, (void)data;
  return vq_fail(VQ_ERR_UNSUPPORTED, "this vqbench was built without its oracle: nothing can be checked");
#endif
}
