/* ops.c -- every op at the networks' shapes: which ones, are they right, how long do they take. */
#include "tools/vqbench/bench.h"

#include "kernels/ops.h"
#include "tools/vqbench/data.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED   1
#define BUDGET 0.25 /* seconds for one case's runs */

/* ---- which ---- */

static vq_status check_op_name(const char *name)
{
  char known[1024] = "";
  if (!name || !strcmp(name, vq_op_adam_clamp.name) || !strcmp(name, vq_op_optimise.name))
    return VQ_OK;
  for (const vq_op *const *op = vq_ops; *op; op++) {
    if (!strcmp((*op)->name, name))
      return VQ_OK;
    size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, "%s, ", (*op)->name);
  }
  return vq_fail(VQ_ERR_ARGUMENT, "--op: there is no op \"%s\", but %sadam_clamp, optimise", name, known);
}

static bool fits(const bench_row *row, const bench_options *o, const regex_t *only)
{
  char sizes[128], line[256];
  if (o->op && strcmp(row->c.op->name, o->op))
    return false;
  if (!only)
    return true;
  snprintf(line, sizeof line, "%s %s %s %s %s", row->c.op->name, row->c.backward ? "backward" : "forward",
           bench_case_dtype(&row->c), bench_case_text(sizes, sizeof sizes, &row->c), row->from);
  return !regexec(only, line, 0, NULL, 0);
}

vq_status bench_choose(const bench_row ***kept, int *count, const bench_list *list, const bench_options *o)
{
  regex_t only;
  int wrong;
  *kept = NULL;
  *count = 0;
  VQ_TRY(check_op_name(o->op));
  if (o->only && (wrong = regcomp(&only, o->only, REG_EXTENDED | REG_NOSUB))) {
    char why[128];
    regerror(wrong, &only, why, sizeof why);
    return vq_fail(VQ_ERR_ARGUMENT, "--only: \"%s\" is no pattern: %s", o->only, why);
  }
  *kept = malloc((size_t)(list->rows + 1) * sizeof **kept);
  for (int i = 0; *kept && i < list->rows; i++)
    if (fits(&list->row[i], o, o->only ? &only : NULL))
      (*kept)[(*count)++] = &list->row[i];
  if (o->only)
    regfree(&only);
  if (!*kept)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a list of cases");
  if (*count)
    return VQ_OK;
  free(*kept);
  *kept = NULL;
  return vq_fail(VQ_ERR_ARGUMENT,
                 "no case is left: `vqbench --list` has them all, `--all` times more than one step's");
}

static vq_status collect(bench_list *list, const bench_options *o)
{
  if (o->all || (o->list && !o->step_given))
    return bench_list_everything(list, &o->place);
  VQ_TRY(bench_list_step(list, &o->step, &o->place));
  return bench_list_extras(list, &o->step, &o->place);
}

/* ---- right, and how fast ---- */

/* The CPU's results for a device that is not the CPU: its kernels have met the oracle. */
static vq_status ask_cpu(bench_result *out, const bench_case *c, const bench_data *data)
{
  vq_device *cpu;
  bench_call *call;
  VQ_TRY(vq_cpu_create(&cpu, 0));
  vq_status status = bench_call_create(&call, cpu, c->op, c, data, true);
  if (!status) {
    status = bench_call_run(call);
    if (!status)
      status = bench_call_read(call, out);
    bench_call_free(call);
  }
  vq_device_free(cpu);
  return status;
}

static vq_status check(bench_call *call, const vq_device *device, const bench_case *c, const bench_data *data,
                       bench_verdict *verdict)
{
  bool cpu = device->backend == &vq_cpu_backend;
  bench_result got = {{0}, {0}}, want = {{0}, {0}};
  vq_status status = bench_call_run(call);
  if (!status)
    status = bench_call_read(call, &got);
  if (!status)
    status = (cpu ? bench_ask_oracle : ask_cpu)(&want, c, data);
  if (!status)
    bench_compare(verdict, c, &got, &want, !cpu);
  bench_result_free(&got);
  bench_result_free(&want);
  return status;
}

vq_status bench_try(vq_device *device, const bench_case *c, bool checked, double budget, bench_cold *cold,
                    bench_verdict *verdict, bench_time *time)
{
  bench_data data;
  bench_call *call;
  *verdict = (bench_verdict){.made = false};
  VQ_TRY(bench_data_draw(&data, c, SEED));
  vq_status status = bench_call_create(&call, device, c->op, c, &data, false);
  if (!status && checked)
    status = check(call, device, c, &data, verdict);
  bench_data_free(&data);
  if (!status && time)
    status = bench_measure(time, call, device, cold, budget);
  bench_call_free(call);
  return status;
}

/* A case has a device to itself, so that its memory goes with it. */
static vq_status try_one(bench_found *found, const bench_case *c, const bench_options *o, bench_cold *cold)
{
  bool checked = (bench_has_oracle() || o->place.cuda) && !o->no_check;
  vq_device *device;
  VQ_TRY(vq_place_open(&device, &o->place));
  vq_status status = bench_try(device, c, checked, o->quick ? 0 : BUDGET, cold, &found->verdict, &found->time);
  vq_device_free(device);
  found->missing = status == VQ_ERR_UNSUPPORTED;
  return found->missing ? VQ_OK : status;
}

static vq_status try_all(bench_found *found, const bench_row *const *rows, int count, const bench_options *o)
{
  bench_cold cold;
  vq_status status = VQ_OK;
  VQ_TRY(bench_cold_create(&cold, &o->place));
  for (int i = 0; i < count && !status; i++) {
    const bench_case *c = &rows[i]->c;
    char name[64], sizes[128];
    snprintf(name, sizeof name, "%s %s", c->op->name, c->backward ? "backward" : "forward");
    bench_progress("ops", i + 1, count, name);
    found[i].row = rows[i];
    status = vq_fail_in(try_one(&found[i], c, o, &cold), "%s, %s", name, bench_case_text(sizes, sizeof sizes, c));
  }
  bench_progress(NULL, 0, 0, NULL);
  bench_cold_free(&cold);
  return status;
}

static const char *name_of(char *text, size_t bytes, const bench_case *c)
{
  char sizes[128];
  snprintf(text, bytes, "%s %s, %s", c->op->name, c->backward ? "backward" : "forward",
           bench_case_text(sizes, sizeof sizes, c));
  return text;
}

/* What the table says, in a sentence and a status. */
static vq_status sentence(const bench_found *found, int count)
{
  int wrong = 0, missing = 0;
  const bench_found *first_wrong = NULL, *first_missing = NULL;
  char name[192];
  for (int i = 0; i < count; i++) {
    bool is_wrong = found[i].verdict.made && !found[i].verdict.right;
    first_wrong = is_wrong && !wrong++ ? &found[i] : first_wrong;
    first_missing = found[i].missing && !missing++ ? &found[i] : first_missing;
  }
  if (wrong) {
    const bench_verdict *v = &first_wrong->verdict;
    return vq_fail(VQ_ERR_NAN,
                   "%d of %d cases are wrong, first %s: its %s is %.3g from the reference, %.3g is allowed", wrong,
                   count, name_of(name, sizeof name, &first_wrong->row->c), v->what, v->error, v->allowed);
  }
  if (missing)
    return vq_fail(VQ_ERR_DEVICE, "%d of %d cases have no kernel on this device, first %s", missing, count,
                   name_of(name, sizeof name, &first_missing->row->c));
  return VQ_OK;
}

static vq_status measure_rows(const bench_row *const *rows, int count, const bench_options *o)
{
  bench_peak peak;
  VQ_TRY(bench_find_peak(&peak, &o->place, o->quick ? 0.02 : 0.5));
  bench_found *found = calloc((size_t)count, sizeof *found);
  if (!found)
    return vq_fail(VQ_ERR_MEMORY, "no memory for results");
  bench_print_head(o, &peak);
  vq_status status = try_all(found, rows, count, o);
  if (!status) {
    bench_print_ops(found, count, &peak, o);
    status = sentence(found, count);
  }
  free(found);
  return status;
}

vq_status bench_run_ops(const bench_options *o)
{
  bench_list list = {0};
  const bench_row **rows = NULL;
  int count;
  vq_status status = collect(&list, o);
  if (!status)
    status = bench_choose(&rows, &count, &list, o);
  if (!status && o->list)
    bench_print_list(rows, count, o);
  else if (!status)
    status = measure_rows(rows, count, o);
  free(rows);
  bench_list_free(&list);
  return status;
}
