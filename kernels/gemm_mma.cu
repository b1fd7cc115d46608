/* gemm_mma.cu owns products of bf16, fp16, e4m3 and int8 by mma.sync: a stage is 64 bytes of K of both operands. */
#include "kernels/gemm_tile.cuh"

template <enum gemm_dtype dtype> struct accumulator_of {
    typedef float type;
};
template <> struct accumulator_of<GEMM_INT8> {
    typedef int32_t type;
};

template <enum gemm_dtype dtype, typename accumulator>
__device__ __forceinline__ void mma(accumulator c[4], const uint32_t a[4], const uint32_t b[2])
{
    if constexpr (dtype == GEMM_BF16) mma_bf16(c, a, b);
    if constexpr (dtype == GEMM_FP16) mma_fp16(c, a, b);
    if constexpr (dtype == GEMM_E4M3) mma_e4m3(c, a, b);
    if constexpr (dtype == GEMM_INT8) mma_int8(c, a, b);
}

template <enum gemm_dtype dtype> struct tile_type {
    typedef typename accumulator_of<dtype>::type accumulator;
    static constexpr uint32_t activation_row_bytes = 64, weight_row_bytes = 64;

    static __device__ __forceinline__ uint32_t activation_offset(uint32_t row, uint32_t chunk)
    {
        return fragment_tile_offset(row, chunk);
    }
    static __device__ __forceinline__ uint32_t weight_offset(uint32_t row, uint32_t chunk)
    {
        return fragment_tile_offset(row, chunk);
    }

    template <typename shape>
    static __device__ __forceinline__ void multiply(uint32_t activations, uint32_t row, uint32_t weights,
                                                    uint32_t column,
                                                    accumulator outputs[shape::row_blocks][shape::column_blocks][4])
    {
        uint32_t lane = threadIdx.x % 32;
#pragma unroll
        for (uint32_t step = 0; step < 2; step++) {
            uint32_t a[shape::row_blocks][4], b[shape::column_blocks / 2][4];
#pragma unroll
            for (uint32_t i = 0; i < shape::row_blocks; i++)
                load_matrices(a[i], activations + fragment_tile_offset(row + i * MMA_M + fragment_a_row(lane),
                                                                       fragment_a_chunk(lane, step)));
#pragma unroll
            for (uint32_t j = 0; j < shape::column_blocks / 2; j++)
                load_matrices(b[j], weights + fragment_tile_offset(column + j * 2 * MMA_N + fragment_b_row(lane),
                                                                   fragment_b_chunk(lane, step)));
#pragma unroll
            for (uint32_t i = 0; i < shape::row_blocks; i++)
#pragma unroll
                for (uint32_t j = 0; j < shape::column_blocks; j++)
                    mma<dtype>(outputs[i][j], a[i], b[j / 2] + 2 * (j % 2));
        }
    }
};

typedef tile_shape<32, 64, 1, 4, 4> few_rows;    /* 24 KiB */
typedef tile_shape<128, 128, 2, 4, 4> many_rows; /* 64 KiB: all that compute capability 7.5 has */

template <enum gemm_dtype dtype> static cudaError_t prepare(const struct gemm_problem *problem)
{
    return problem->m <= FEW_ROWS ? tile_prepare<tile_type<dtype>, few_rows>()
                                  : tile_prepare<tile_type<dtype>, many_rows>();
}

template <enum gemm_dtype dtype>
static cudaError_t launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                          cudaStream_t stream)
{
    if (problem->m <= FEW_ROWS) return tile_launch<tile_type<dtype>, few_rows>(problem, buffers, sm_count, 6, stream);
    return tile_launch<tile_type<dtype>, many_rows>(problem, buffers, sm_count, 2, stream);
}

cudaError_t gemm_mma_prepare(const struct gemm_problem *problem)
{
    if (problem->dtype == GEMM_BF16) return prepare<GEMM_BF16>(problem);
    if (problem->dtype == GEMM_FP16) return prepare<GEMM_FP16>(problem);
    if (problem->dtype == GEMM_E4M3) return prepare<GEMM_E4M3>(problem);
    return prepare<GEMM_INT8>(problem);
}

cudaError_t gemm_mma_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                            cudaStream_t stream)
{
    if (problem->dtype == GEMM_BF16) return launch<GEMM_BF16>(problem, buffers, sm_count, stream);
    if (problem->dtype == GEMM_FP16) return launch<GEMM_FP16>(problem, buffers, sm_count, stream);
    if (problem->dtype == GEMM_E4M3) return launch<GEMM_E4M3>(problem, buffers, sm_count, stream);
    return launch<GEMM_INT8>(problem, buffers, sm_count, stream);
}
