/* attention.cuh owns the kernels of decode attention over a paged cache: one query token of each sequence.
 * A block has one KV head of one sequence and one of its splits. Each of its warps walks pages of its own through a
 * ring in shared memory and keeps an online softmax (base 2) for up to 16 query heads, the group of the KV head padded
 * to the 16 rows of an mma. The warps of a block merge in shared memory, the splits in a second kernel that is timed
 * with it. */
#pragma once
#include "kernels/mma.cuh"

static constexpr uint32_t ATTENTION_WARPS = 4, RING_STAGES = 2, GROUP_MAX = 16;
static constexpr uint32_t PAGE_BYTES = KV_PAGE_TOKENS * KV_DIMENSIONS * 2; /* of keys, or of values, of one head */
static constexpr uint32_t STAGE_BYTES = 2 * PAGE_BYTES;
static constexpr uint32_t RING_BYTES = ATTENTION_WARPS * RING_STAGES * STAGE_BYTES;
static constexpr uint32_t KEY_STEPS = KV_DIMENSIONS / 16, OUTPUT_BLOCKS = KV_DIMENSIONS / MMA_N;
static constexpr uint32_t PARTIAL_FLOATS = KV_DIMENSIONS + 2; /* outputs, the greatest score, the sum of weights */
static constexpr float NO_SCORE = -1e30f;
static_assert(ATTENTION_WARPS * GROUP_MAX * PARTIAL_FLOATS * sizeof(float) <= RING_BYTES,
              "warps merge where the ring was");

struct attention_view {
    const uint16_t *kv;                              /* kv_index */
    const uint32_t *table;                           /* [sequence][page] */
    uint32_t kv_heads, pages, tokens, group, splits; /* pages and tokens of a sequence */
};

/* What a warp has seen so far. Each lane has rows lane / 4 and lane / 4 + 8 of the accumulators: `half` 0 and 1. */
struct softmax_state {
    float output[OUTPUT_BLOCKS][4];
    float top[2], sum[2];
};

/* One page of one head into a stage: keys, then values. All lanes; an empty group where there is no such page. */
__device__ __forceinline__ void fetch_page(const attention_view &view, uint32_t page, uint32_t shared)
{
    uint32_t lane = threadIdx.x % 32;
    if (page < view.pages) {
        uint32_t physical = view.table[blockIdx.x * view.pages + page];
        const uint16_t *keys = view.kv + kv_index(physical, KV_KEY, blockIdx.y, 0, 0, view.kv_heads);
        const uint16_t *values = view.kv + kv_index(physical, KV_VALUE, blockIdx.y, 0, 0, view.kv_heads);
#pragma unroll
        for (uint32_t i = lane; i < PAGE_BYTES / 16; i += 32) {
            uint32_t to = shared + fragment_wide_offset(i / 16, i % 16);
            copy_16_bytes(to, keys + i * 8, true);
            copy_16_bytes(to + PAGE_BYTES, values + i * 8, true);
        }
    }
    copy_commit();
}

/* The queries of a KV head as left operands; rows past the group are zero. */
__device__ __forceinline__ void load_queries(const attention_view &view, const uint16_t *queries,
                                             uint32_t registers[KEY_STEPS][4])
{
    uint32_t lane = threadIdx.x % 32;
    const uint16_t *own = queries + (uint64_t)(blockIdx.x * view.kv_heads + blockIdx.y) * view.group * KV_DIMENSIONS;
#pragma unroll
    for (uint32_t step = 0; step < KEY_STEPS; step++)
#pragma unroll
        for (uint32_t e = 0; e < 4; e++) {
            uint32_t row = fragment_a_register_row(lane, e), d = step * 16 + fragment_a_register_column(lane, e);
            registers[step][e] = row < view.group ? *(const uint32_t *)(own + row * KV_DIMENSIONS + d) : 0u;
        }
}

/* Scores of 16 query rows with the 16 tokens of a page: two blocks of eight tokens. */
__device__ __forceinline__ void score_page(const uint32_t queries[KEY_STEPS][4], uint32_t keys, float scores[2][4])
{
    uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t step = 0; step < KEY_STEPS; step++) {
        uint32_t b[4];
        load_matrices(b, keys + fragment_wide_offset(fragment_b_row(lane), fragment_b_chunk(lane, step)));
        mma_bf16(scores[0], queries[step], b);
        mma_bf16(scores[1], queries[step], b + 2);
    }
}

/* Scores in base 2, with the tokens past the end taken out; returns the greatest of a row, which four lanes share. */
__device__ __forceinline__ float scale_scores(const attention_view &view, uint32_t page, uint32_t half,
                                              float scores[2][4])
{
    const float scale = 1.4426950408889634f * 0.08838834764831845f; /* log2(e) / sqrt(128) */
    uint32_t lane = threadIdx.x % 32;
    float top = NO_SCORE;
#pragma unroll
    for (uint32_t block = 0; block < 2; block++)
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t e = 2 * half + i, token = page * KV_PAGE_TOKENS + block * 8 + fragment_c_column(lane, e);
            scores[block][e] = token < view.tokens ? scores[block][e] * scale : NO_SCORE;
            top = fmaxf(top, scores[block][e]);
        }
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
    return fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
}

/* Turns scores into weights, and takes what was seen before down to the new greatest score. */
__device__ __forceinline__ void weigh_page(const attention_view &view, uint32_t page, float scores[2][4],
                                           softmax_state &state)
{
#pragma unroll
    for (uint32_t half = 0; half < 2; half++) {
        float top = fmaxf(state.top[half], scale_scores(view, page, half, scores));
        float shrink = exp2f(state.top[half] - top);
        state.top[half] = top;
        state.sum[half] *= shrink;
#pragma unroll
        for (uint32_t block = 0; block < 2; block++)
#pragma unroll
            for (uint32_t e = 2 * half; e < 2 * half + 2; e++) {
                scores[block][e] = exp2f(scores[block][e] - top);
                state.sum[half] += scores[block][e];
            }
#pragma unroll
        for (uint32_t block = 0; block < OUTPUT_BLOCKS; block++) {
            state.output[block][2 * half] *= shrink;
            state.output[block][2 * half + 1] *= shrink;
        }
    }
}

__device__ __forceinline__ void add_values(const float weights[2][4], uint32_t values, softmax_state &state)
{
    uint32_t lane = threadIdx.x % 32, p[4];
#pragma unroll
    for (uint32_t e = 0; e < 4; e++) {
        const float *from = &weights[fragment_p_block(e)][fragment_p_element(e)];
        p[e] = bf16_pair(from[0], from[1]);
    }
#pragma unroll
    for (uint32_t pair = 0; pair < OUTPUT_BLOCKS / 2; pair++) {
        uint32_t b[4];
        load_matrices_transposed(b, values + fragment_wide_offset(fragment_v_row(lane), fragment_v_chunk(lane, pair)));
        mma_bf16(state.output[2 * pair], p, b);
        mma_bf16(state.output[2 * pair + 1], p, b + 2);
    }
}

__device__ __forceinline__ void walk_pages(const attention_view &view, const uint32_t queries[KEY_STEPS][4],
                                           uint32_t ring, softmax_state &state)
{
    uint32_t step = view.splits * ATTENTION_WARPS, stage = 0;
    uint32_t first = blockIdx.z * ATTENTION_WARPS + threadIdx.x / 32;
    fetch_page(view, first, ring);
    for (uint32_t page = first; page < view.pages; page += step, stage ^= 1) {
        fetch_page(view, page + step, ring + (stage ^ 1) * STAGE_BYTES);
        copy_wait<1>();
        __syncwarp(); /* what the other lanes have fetched is there */
        uint32_t keys = ring + stage * STAGE_BYTES;
        float scores[2][4] = {};
        score_page(queries, keys, scores);
        weigh_page(view, page, scores, state);
        add_values(scores, keys + PAGE_BYTES, state);
        __syncwarp(); /* nobody fetches into a stage that another lane reads */
    }
    copy_wait<0>();
}

/* Each warp's outputs, greatest score and sum of weights, where all warps of the block see them. */
__device__ __forceinline__ void publish_state(softmax_state &state, float *merge)
{
    uint32_t lane = threadIdx.x % 32;
    float *own = merge + threadIdx.x / 32 * GROUP_MAX * PARTIAL_FLOATS;
#pragma unroll
    for (uint32_t block = 0; block < OUTPUT_BLOCKS; block++)
#pragma unroll
        for (uint32_t e = 0; e < 4; e++)
            own[fragment_c_row(lane, e) * PARTIAL_FLOATS + block * 8 + fragment_c_column(lane, e)] =
                state.output[block][e];
#pragma unroll
    for (uint32_t half = 0; half < 2; half++) {
        state.sum[half] += __shfl_xor_sync(0xffffffffu, state.sum[half], 1);
        state.sum[half] += __shfl_xor_sync(0xffffffffu, state.sum[half], 2);
        float *row = own + fragment_c_row(lane, 2 * half) * PARTIAL_FLOATS;
        if (lane % 4 == 0) row[KV_DIMENSIONS] = state.top[half];
        if (lane % 4 == 0) row[KV_DIMENSIONS + 1] = state.sum[half];
    }
}

/* Output d of `count` partial results that lie `stride` floats apart, to one greatest score. */
struct merged_output {
    float output, top, sum;
};

__device__ __forceinline__ merged_output merge_partials(const float *partials, uint32_t count, uint64_t stride,
                                                        uint32_t d)
{
    merged_output merged = {0, NO_SCORE, 0};
    for (uint32_t i = 0; i < count; i++)
        merged.top = fmaxf(merged.top, partials[i * stride + KV_DIMENSIONS]);
    for (uint32_t i = 0; i < count; i++) {
        const float *partial = partials + i * stride;
        float shrink = exp2f(partial[KV_DIMENSIONS] - merged.top);
        merged.output += partial[d] * shrink;
        merged.sum += partial[KV_DIMENSIONS + 1] * shrink;
    }
    return merged;
}

/* partials: [sequence][KV head][split][query head of the group][PARTIAL_FLOATS] */
__global__ void __launch_bounds__(ATTENTION_WARPS * 32)
    attention_kernel(attention_view view, const uint16_t *__restrict__ queries, float *__restrict__ partials)
{
    extern __shared__ __align__(128) unsigned char ring[];
    uint32_t own_ring = (uint32_t)__cvta_generic_to_shared(ring) + threadIdx.x / 32 * RING_STAGES * STAGE_BYTES;
    uint32_t query_registers[KEY_STEPS][4];
    softmax_state state = {{}, {NO_SCORE, NO_SCORE}, {}};
    load_queries(view, queries, query_registers);
    walk_pages(view, query_registers, own_ring, state);
    __syncthreads();
    float *merge = (float *)ring;
    publish_state(state, merge);
    __syncthreads();
    uint64_t head = blockIdx.x * view.kv_heads + blockIdx.y;
    float *out = partials + (head * view.splits + blockIdx.z) * view.group * PARTIAL_FLOATS;
    for (uint32_t i = threadIdx.x; i < view.group * KV_DIMENSIONS; i += blockDim.x) {
        uint32_t row = i / KV_DIMENSIONS, d = i % KV_DIMENSIONS;
        merged_output merged =
            merge_partials(merge + row * PARTIAL_FLOATS, ATTENTION_WARPS, GROUP_MAX * PARTIAL_FLOATS, d);
        out[row * PARTIAL_FLOATS + d] = merged.output;
        if (d) continue;
        out[row * PARTIAL_FLOATS + KV_DIMENSIONS] = merged.top;
        out[row * PARTIAL_FLOATS + KV_DIMENSIONS + 1] = merged.sum;
    }
}

/* A block for each sequence and KV head. */
__global__ void combine_kernel(attention_view view, const float *__restrict__ partials, uint16_t *__restrict__ outputs)
{
    uint64_t head = blockIdx.x;
    const float *own = partials + head * view.splits * view.group * PARTIAL_FLOATS;
    for (uint32_t i = threadIdx.x; i < view.group * KV_DIMENSIONS; i += blockDim.x) {
        uint32_t row = i / KV_DIMENSIONS, d = i % KV_DIMENSIONS;
        merged_output merged =
            merge_partials(own + row * PARTIAL_FLOATS, view.splits, (uint64_t)view.group * PARTIAL_FLOATS, d);
        outputs[(head * view.group + row) * KV_DIMENSIONS + d] = bf16_of_float(merged.output / merged.sum);
    }
}
