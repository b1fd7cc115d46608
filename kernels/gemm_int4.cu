/* gemm_int4.cu owns products of bf16 activations with int4 weights that are unpacked on their way to the tensor cores.
 * A stage is 128 elements of K: 256 bytes of an activation row, 64 of a weight row. Scales of groups are left out: they
 * are a hundredth of the bytes, and one multiplication of an accumulator in every fourth step. */
#include "kernels/gemm_tile.cuh"

/* Two bf16 of -8 … 7 from two nibbles. */
__device__ __forceinline__ uint32_t unpack_pair(uint32_t word, uint32_t pair)
{
    uint32_t two = int4_biased_pair(word, pair);
#if __CUDA_ARCH__ >= 800
    asm("fma.rn.bf16x2 %0, %0, %1, %2;" : "+r"(two) : "r"(0x3f803f80u), "r"(INT4_BIAS_PAIR));
#endif
    return two;
}

template <> struct tile_type<GEMM_INT4_BF16> {
    typedef float accumulator;
    static constexpr uint32_t activation_row_bytes = 256, weight_row_bytes = 64;

    static __device__ __forceinline__ uint32_t activation_offset(uint32_t row, uint32_t chunk)
    {
        return fragment_wide_offset(row, chunk);
    }
    static __device__ __forceinline__ uint32_t weight_offset(uint32_t row, uint32_t chunk)
    {
        return fragment_tile_offset(row, chunk);
    }

    /* A group of 32 along K is one chunk of a weight row; a lane's word of it serves two steps of the mma. */
    template <typename shape>
    static __device__ __forceinline__ void multiply(uint32_t activations, uint32_t row, uint32_t weights,
                                                    uint32_t column,
                                                    accumulator outputs[shape::row_blocks][shape::column_blocks][4])
    {
        uint32_t lane = threadIdx.x % 32;
#pragma unroll
        for (uint32_t group = 0; group < weight_row_bytes / INT4_GROUP_BYTES; group++) {
            uint32_t words[shape::column_blocks];
#pragma unroll
            for (uint32_t j = 0; j < shape::column_blocks; j++)
                words[j] = load_shared_word(weights + fragment_tile_offset(column + j * MMA_N + lane / 4, group) +
                                            lane % 4 * 4);
#pragma unroll
            for (uint32_t step = 0; step < 2; step++) {
                uint32_t a[shape::row_blocks][4];
#pragma unroll
                for (uint32_t i = 0; i < shape::row_blocks; i++)
                    load_matrices(a[i], activations + fragment_wide_offset(row + i * MMA_M + fragment_a_row(lane),
                                                                           fragment_a_chunk(lane, group * 2 + step)));
#pragma unroll
                for (uint32_t j = 0; j < shape::column_blocks; j++) {
                    uint32_t b[2] = {unpack_pair(words[j], step * 2), unpack_pair(words[j], step * 2 + 1)};
#pragma unroll
                    for (uint32_t i = 0; i < shape::row_blocks; i++)
                        mma_bf16(outputs[i][j], a[i], b);
                }
            }
        }
    }
};

typedef tile_type<GEMM_INT4_BF16> int4_type;
typedef tile_shape<32, 64, 1, 4, 4> few_rows;    /* 48 KiB */
typedef tile_shape<128, 128, 2, 4, 2> many_rows; /* 80 KiB: compute capability 8.6 and 12.0 have 99 */

cudaError_t gemm_int4_prepare(const struct gemm_problem *problem)
{
    return problem->m <= FEW_ROWS ? tile_prepare<int4_type, few_rows>() : tile_prepare<int4_type, many_rows>();
}

cudaError_t gemm_int4_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                             cudaStream_t stream)
{
    if (problem->m <= FEW_ROWS) return tile_launch<int4_type, few_rows>(problem, buffers, sm_count, 4, stream);
    return tile_launch<int4_type, many_rows>(problem, buffers, sm_count, 2, stream);
}
