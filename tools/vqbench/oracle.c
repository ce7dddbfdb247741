/* oracle.c -- built with VQ_DOUBLE. Contract: oracle.h. */
#include "tools/vqbench/oracle.h"

#include "kernels/ops.h"

#include <stdio.h>
#include <string.h>

/* This build's record of the op of that name: the case has the other build's. */
static const vq_op *op_named(const char *name)
{
  if (!strcmp(name, vq_op_adam_clamp.name))
    return &vq_op_adam_clamp;
  if (!strcmp(name, vq_op_optimise.name))
    return &vq_op_optimise;
  for (const vq_op *const *op = vq_ops; *op; op++)
    if (!strcmp((*op)->name, name))
      return *op;
  return NULL;
}

static vq_status compute(const bench_case *c, const bench_data *data, int threads, bench_result *result)
{
  vq_device *device;
  bench_call *call;
  const vq_op *op = op_named(c->op->name);
  if (!op)
    return vq_fail(VQ_ERR_ARGUMENT, "the oracle knows no op %s", c->op->name);
  VQ_TRY(vq_cpu_create(&device, threads));
  vq_status status = bench_call_create(&call, device, op, c, data, true);
  if (!status) {
    status = bench_call_run(call);
    if (!status)
      status = bench_call_read(call, result);
    bench_call_free(call);
  }
  vq_device_free(device);
  return status;
}

int vqbench_oracle(const bench_case *c, const bench_data *data, int threads, bench_result *result, char *text,
                   size_t bytes)
{
  vq_status status = compute(c, data, threads, result);
  if (status)
    snprintf(text, bytes, "%s", vq_error_message());
  return (int)status;
}
