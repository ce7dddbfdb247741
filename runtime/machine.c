/* machine.c -- the processor by its name, the build by the note that GNU's linkers leave in what they link. */
#if defined __linux__ && !defined _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr */
#endif
#include "runtime/machine.h"

#include "kernels/cpu/gemm.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <link.h>
#endif

void vq_machine_cpu(char *text, size_t bytes)
{
  char line[256];
  FILE *f = fopen("/proc/cpuinfo", "r");
  snprintf(text, bytes, "unknown");
  while (f && fgets(line, sizeof line, f)) {
    const char *colon = strchr(line, ':');
    if (colon && !strncmp(line, "model name", 10)) {
      snprintf(text, bytes, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
      break;
    }
  }
  if (f)
    fclose(f);
}

void vq_machine_device(char *text, size_t bytes)
{
  char cpu[128];
  vq_machine_cpu(cpu, sizeof cpu);
  snprintf(text, bytes, "cpu, %s, %s", cpu, vq_gemm_backend());
}

void vq_machine_instructions(char *text, size_t bytes)
{
  size_t used = 0;
  text[0] = 0;
#if defined __x86_64__ && defined __GNUC__
#define HAS(name)                                   \
  if (__builtin_cpu_supports(name) && used < bytes) \
  used += (size_t)snprintf(text + used, bytes - used, "%s%s", used ? " " : "", name)
  HAS("sse4.2");
  HAS("avx");
  HAS("avx2");
  HAS("fma");
  HAS("avx512f");
  HAS("avx512vnni");
  HAS("avx512bf16");
#undef HAS
#elif defined __aarch64__
  used += (size_t)snprintf(text, bytes, "neon");
#endif
  (void)used;
}

#ifdef __linux__

typedef struct build_mark {
  char *text;
  size_t bytes;
} build_mark;

#define ALIGNED(n) (((n) + 3) & ~(size_t)3)

/* Notes: name size, content size, type, name, content, the last two padded to 4 bytes. The build's is "GNU", type 3. */
static void read_notes(build_mark *mark, const uint8_t *note, size_t left)
{
  while (left >= 12) {
    uint32_t head[3];
    memcpy(head, note, sizeof head);
    size_t name = ALIGNED((size_t)head[0]), content = ALIGNED((size_t)head[1]);
    if (name > left - 12 || content > left - 12 - name)
      return;
    if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 && !memcmp(note + 12, "GNU", 4)) {
      for (size_t i = 0; i < head[1] && 2 * i + 2 < mark->bytes; i++)
        snprintf(mark->text + 2 * i, 3, "%02x", note[12 + name + i]);
      return;
    }
    note += 12 + name + content;
    left -= 12 + name + content;
  }
}

/* Of the program or library that this very function is part of. */
static int look(struct dl_phdr_info *info, size_t size, void *user)
{
  bool ours = false;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + p->p_vaddr;
    ours = ours || (p->p_type == PT_LOAD && (uintptr_t)look >= begin && (uintptr_t)look < begin + p->p_memsz);
  }
  for (int i = 0; ours && i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_NOTE)
      read_notes(user, (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), info->dlpi_phdr[i].p_memsz);
  return ours;
}

static void build_id(char *text, size_t bytes)
{
  build_mark mark = {text, bytes};
  text[0] = 0;
  dl_iterate_phdr(look, &mark);
}

#else

static void build_id(char *text, size_t bytes)
{
  (void)bytes;
  text[0] = 0;
}

#endif

void vq_machine_build(char *text, size_t bytes)
{
  char id[96];
  build_id(id, sizeof id);
  snprintf(text, bytes, "%s %s%s%s", VQ_VERSION, sizeof(vq_real) == sizeof(float) ? "float" : "double",
           *id ? " " : "", id);
}
