/* gemm_tile.cuh owns the tensor-core kernel of our own: mma.sync, fed by a ring of asynchronous copies.
 * A floor everywhere, and a usable peak up to compute capability 8.9 and on 12.x; 9.0 and 10.x reach theirs only with
 * instructions that are not forward compatible. A type says how its tiles lie and how a stage of them is multiplied. */
#pragma once
#include "kernels/gemm.cuh"
#include "kernels/mma.cuh"

template <enum gemm_dtype dtype> struct tile_type; /* see gemm_mma.cu, gemm_int4.cu */

/* A block has rows x columns outputs, by warp_rows x warp_columns warps, from a ring of so many stages. */
template <uint32_t rows_, uint32_t columns_, uint32_t warp_rows_, uint32_t warp_columns_, uint32_t stages_>
struct tile_shape {
    static constexpr uint32_t rows = rows_, columns = columns_, warp_rows = warp_rows_, warp_columns = warp_columns_;
    static constexpr uint32_t stages = stages_, threads = 32 * warp_rows * warp_columns;
    static constexpr uint32_t row_blocks = rows / warp_rows / MMA_M;          /* of a warp */
    static constexpr uint32_t column_blocks = columns / warp_columns / MMA_N; /* of a warp */
    static_assert(row_blocks >= 1 && column_blocks % 2 == 0, "a warp has multiples of 16 x 16");
};

struct tile_view {
    const unsigned char *activations, *weights;
    void *outputs;
    uint32_t m, n;
    uint64_t activation_pitch, weight_pitch; /* bytes of a row */
    uint32_t stages;                         /* along K */
};

template <typename type, typename shape>
static constexpr uint32_t stage_bytes =
    shape::rows *type::activation_row_bytes + shape::columns *type::weight_row_bytes;

/* Rows of one operand into shared memory; rows past its end are zero. */
template <uint32_t rows, uint32_t row_bytes, uint32_t threads, uint32_t (*offset)(uint32_t, uint32_t)>
__device__ __forceinline__ void fetch_rows(uint32_t shared, const unsigned char *from, uint64_t pitch, uint32_t first,
                                           uint32_t end)
{
    constexpr uint32_t chunks = row_bytes / 16;
#pragma unroll
    for (uint32_t i = threadIdx.x; i < rows * chunks; i += threads) {
        uint32_t row = i / chunks, chunk = i % chunks;
        bool inside = first + row < end;
        copy_16_bytes(shared + offset(row, chunk), from + (inside ? first + row : 0) * pitch + chunk * 16, inside);
    }
}

template <typename type, typename shape>
__device__ __forceinline__ void fetch_stage(const tile_view &view, uint32_t ring, uint32_t stage, uint32_t last)
{
    if (stage < last) {
        uint32_t activations = ring + stage % shape::stages * stage_bytes<type, shape>;
        uint32_t weights = activations + shape::rows * type::activation_row_bytes;
        fetch_rows<shape::rows, type::activation_row_bytes, shape::threads, type::activation_offset>(
            activations, view.activations + (uint64_t)stage * type::activation_row_bytes, view.activation_pitch,
            blockIdx.y * shape::rows, view.m);
        fetch_rows<shape::columns, type::weight_row_bytes, shape::threads, type::weight_offset>(
            weights, view.weights + (uint64_t)stage * type::weight_row_bytes, view.weight_pitch,
            blockIdx.x * shape::columns, view.n);
    }
    copy_commit(); /* an empty group, too: copy_wait counts them */
}

/* Parts along K add up in memory, which is zero before; a single part writes. */
template <typename type, typename shape>
__device__ __forceinline__ void
store_outputs(const tile_view &view,
              const typename type::accumulator outputs[shape::row_blocks][shape::column_blocks][4])
{
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    uint32_t first_row = blockIdx.y * shape::rows + warp / shape::warp_columns * shape::row_blocks * MMA_M;
    uint32_t first_column = blockIdx.x * shape::columns + warp % shape::warp_columns * shape::column_blocks * MMA_N;
#pragma unroll
    for (uint32_t i = 0; i < shape::row_blocks; i++)
#pragma unroll
        for (uint32_t j = 0; j < shape::column_blocks; j++)
#pragma unroll
            for (uint32_t e = 0; e < 4; e++) {
                uint32_t row = first_row + i * MMA_M + fragment_c_row(lane, e);
                uint32_t column = first_column + j * MMA_N + fragment_c_column(lane, e);
                if (row >= view.m || column >= view.n) continue;
                auto *to = (typename type::accumulator *)view.outputs + (uint64_t)row * view.n + column;
                if (gridDim.z == 1)
                    *to = outputs[i][j][e];
                else
                    atomicAdd(to, outputs[i][j][e]);
            }
}

template <typename type, typename shape>
__global__ void __launch_bounds__(shape::threads) gemm_tile_kernel(tile_view view)
{
    extern __shared__ __align__(128) unsigned char memory[];
    uint32_t ring = (uint32_t)__cvta_generic_to_shared(memory), warp = threadIdx.x / 32;
    uint32_t part = (view.stages + gridDim.z - 1) / gridDim.z;
    uint32_t first = blockIdx.z * part, last = min(first + part, view.stages);
    uint32_t warp_row = warp / shape::warp_columns * shape::row_blocks * MMA_M;
    uint32_t warp_column = warp % shape::warp_columns * shape::column_blocks * MMA_N;
    typename type::accumulator outputs[shape::row_blocks][shape::column_blocks][4] = {};
#pragma unroll
    for (uint32_t ahead = 0; ahead < shape::stages - 1; ahead++)
        fetch_stage<type, shape>(view, ring, first + ahead, last);
    for (uint32_t stage = first; stage < last; stage++) {
        copy_wait<shape::stages - 2>();
        __syncthreads(); /* this stage is there, and nobody reads the one that is fetched into next */
        fetch_stage<type, shape>(view, ring, stage + shape::stages - 1, last);
        uint32_t activations = ring + stage % shape::stages * stage_bytes<type, shape>;
        uint32_t weights = activations + shape::rows * type::activation_row_bytes;
        type::template multiply<shape>(activations, warp_row, weights, warp_column, outputs);
    }
    copy_wait<0>();
    store_outputs<type, shape>(view, outputs);
}

/* --- the host's side --- */

template <typename type, typename shape> static cudaError_t tile_prepare(void)
{
    return cudaFuncSetAttribute(gemm_tile_kernel<type, shape>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                shape::stages * stage_bytes<type, shape>);
}

/* So many parts along K that about `per_sm` blocks are there for each multiprocessor. */
static inline uint32_t tile_parts(uint32_t tiles, uint32_t stages, int sm_count, uint32_t per_sm)
{
    uint32_t parts = (uint32_t)divide_up((uint64_t)per_sm * (uint32_t)sm_count, tiles);
    if (tiles >= (uint32_t)sm_count && per_sm <= 2) return 1;
    if (parts > 16) parts = 16;
    return parts < stages ? parts : stages;
}

template <typename type, typename shape>
static cudaError_t tile_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                               uint32_t per_sm, cudaStream_t stream)
{
    const struct gemm_format *format = gemm_format_of(problem->dtype);
    uint64_t activation_pitch = (uint64_t)problem->k * format->activation_bits / 8;
    uint64_t weight_pitch = (uint64_t)problem->k * format->weight_bits / 8;
    uint32_t stages = (uint32_t)(weight_pitch / type::weight_row_bytes);
    dim3 grid((uint32_t)divide_up(problem->n, shape::columns), (uint32_t)divide_up(problem->m, shape::rows));
    tile_view view = {(const unsigned char *)buffers->activations,
                      (const unsigned char *)buffers->weights,
                      buffers->outputs,
                      problem->m,
                      problem->n,
                      activation_pitch,
                      weight_pitch,
                      stages};
    grid.z = tile_parts(grid.x * grid.y, stages, sm_count, per_sm);
    cudaError_t error = cudaSuccess; /* clearing is part of the product, and of its time */
    if (grid.z > 1) error = cudaMemsetAsync(buffers->outputs, 0, (uint64_t)problem->m * problem->n * 4, stream);
    if (error != cudaSuccess) return error;
    gemm_tile_kernel<type, shape><<<grid, shape::threads, shape::stages * stage_bytes<type, shape>, stream>>>(view);
    return cudaGetLastError();
}

static constexpr uint32_t FEW_ROWS = 64; /* up to here weights are what takes the time */
