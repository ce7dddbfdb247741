/* mma.cuh -- the tensor cores and the asynchronous copies that feed them, behind functions that the emulation of
 * tests/cuda_on_cpu has too. They need compute capability 8.0: below it, kernels that use them are not chosen and compile to nothing.
 *
 * All 32 lanes of a warp must call these together, but for the copies.
 */
#ifndef VQ_KERNELS_CUDA_MMA_CUH
#define VQ_KERNELS_CUDA_MMA_CUH

#include "kernels/cuda/portable.cuh"

#ifdef __CUDACC__

#if !defined __CUDA_ARCH__ || __CUDA_ARCH__ >= 800
#define VQ_ASYNC 1
#endif

/* d += a b, a 16 x 16 and b 16 x 8 of bf16, d 16 x 8 of float: mma.m16n8k16. With g = lane / 4 and t = lane % 4:
 *   d[0], d[1]: row g, columns 2t, 2t + 1        d[2], d[3]: row g + 8
 *   a[0]: row g, columns 2t, 2t + 1   a[1]: row g + 8   a[2]: row g, columns 2t + 8, 2t + 9   a[3]: row g + 8, the same
 *   b[0]: rows 2t, 2t + 1 of column g             b[1]: rows 2t + 8, 2t + 9
 * The lower half of a word is the one with the lower number. */
VQ_DEVICE void vq_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
#ifdef VQ_ASYNC
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

VQ_DEVICE uint32_t vq_shared_address(const void *p)
{
  return (uint32_t)__cvta_generic_to_shared(p);
}

/* Four 8 x 8 matrices of 2-byte elements from shared memory: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes, at a
 * multiple of 16) and gets, of each matrix, elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4: the halves of out[i]. */
VQ_DEVICE void vq_load_matrices(uint32_t out[4], const void *row)
{
#ifdef VQ_ASYNC
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(vq_shared_address(row))
               : "memory");
#endif
}

/* The same, each matrix transposed: elements 2 (l % 4) and 2 (l % 4) + 1 of COLUMN l / 4. */
VQ_DEVICE void vq_load_matrices_transposed(uint32_t out[4], const void *row)
{
#ifdef VQ_ASYNC
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(vq_shared_address(row))
               : "memory");
#endif
}

/* 16 bytes from global to shared memory, both at multiples of 16, without waiting; zeros where `there` is false (then `from` is
 * not read, and may point anywhere). */
VQ_DEVICE void vq_copy_async(void *to, const void *from, bool there)
{
#ifdef VQ_ASYNC
  int bytes = there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(vq_shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
#endif
}

/* Ends a group of copies; waits until all but the last LATER of this thread's groups have come. Others see them after a barrier. */
VQ_DEVICE void vq_copy_commit()
{
#ifdef VQ_ASYNC
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int LATER> VQ_DEVICE void vq_copy_wait()
{
#ifdef VQ_ASYNC
  asm volatile("cp.async.wait_group %0;" ::"n"(LATER) : "memory");
#endif
}

#endif /* __CUDACC__: without it, cuda_on_cpu.h has them */
#endif
