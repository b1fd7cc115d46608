/* gemm_fp32.cu owns products of fp32 without tensor cores, where cuBLASLt is not there: 128 x 128 outputs a block, 8 x
 * 8 a thread, in two halves of four so that the reads of shared memory are free of bank conflicts. */
#include "kernels/gemm.cuh"

static constexpr uint32_t TILE = 128, DEPTH = 8, THREADS = 256, PITCH = TILE + 4;

/* DEPTH elements of TILE rows, transposed: [depth][row]. A thread has four elements of one row. */
__device__ __forceinline__ void fetch_slice(float slice[DEPTH][PITCH], const float *from, uint32_t first, uint32_t rows,
                                            uint32_t k, uint32_t depth)
{
    uint32_t row = threadIdx.x / 2, column = threadIdx.x % 2 * 4;
    float4 v = make_float4(0, 0, 0, 0);
    if (first + row < rows) v = *(const float4 *)(from + (uint64_t)(first + row) * k + depth + column);
    slice[column][row] = v.x;
    slice[column + 1][row] = v.y;
    slice[column + 2][row] = v.z;
    slice[column + 3][row] = v.w;
}

/* Where the i-th of a thread's eight rows, or columns, lies in the tile. */
__device__ __forceinline__ uint32_t place(uint32_t thread, uint32_t i)
{
    return thread * 4 + i % 4 + i / 4 * (TILE / 2);
}

__device__ __forceinline__ void multiply_slice(const float a[DEPTH][PITCH], const float b[DEPTH][PITCH],
                                               float outputs[8][8])
{
    uint32_t row = threadIdx.x / 16, column = threadIdx.x % 16;
#pragma unroll
    for (uint32_t depth = 0; depth < DEPTH; depth++) {
        float left[8], right[8];
#pragma unroll
        for (uint32_t i = 0; i < 8; i++) {
            left[i] = a[depth][place(row, i)];
            right[i] = b[depth][place(column, i)];
        }
#pragma unroll
        for (uint32_t i = 0; i < 8; i++)
#pragma unroll
            for (uint32_t j = 0; j < 8; j++)
                outputs[i][j] = __fmaf_rn(left[i], right[j], outputs[i][j]);
    }
}

__global__ void __launch_bounds__(THREADS)
    gemm_fp32_kernel(const float *__restrict__ activations, const float *__restrict__ weights,
                     float *__restrict__ outputs, struct gemm_problem problem)
{
    __shared__ __align__(16) float a[DEPTH][PITCH], b[DEPTH][PITCH];
    uint32_t first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    float sums[8][8] = {};
    for (uint32_t depth = 0; depth < problem.k; depth += DEPTH) {
        fetch_slice(a, activations, first_row, problem.m, problem.k, depth);
        fetch_slice(b, weights, first_column, problem.n, problem.k, depth);
        __syncthreads();
        multiply_slice(a, b, sums);
        __syncthreads();
    }
#pragma unroll
    for (uint32_t i = 0; i < 8; i++)
#pragma unroll
        for (uint32_t j = 0; j < 8; j++) {
            uint32_t row = first_row + place(threadIdx.x / 16, i), column = first_column + place(threadIdx.x % 16, j);
            if (row < problem.m && column < problem.n) outputs[(uint64_t)row * problem.n + column] = sums[i][j];
        }
}

cudaError_t gemm_fp32_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers,
                             cudaStream_t stream)
{
    dim3 grid((uint32_t)divide_up(problem->n, TILE), (uint32_t)divide_up(problem->m, TILE));
    gemm_fp32_kernel<<<grid, THREADS, 0, stream>>>((const float *)buffers->activations, (const float *)buffers->weights,
                                                   (float *)buffers->outputs, *problem);
    return cudaGetLastError();
}
