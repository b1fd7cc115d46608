/* fragment.h owns who holds what in a warp: addresses for ldmatrix and the places of mma.sync's operands.
 * Tables: PTX ISA, "Matrix fragments for mma.m16n8k16" and "… mma.m16n8k32", "Warp-level matrix load: ldmatrix". Lane l
 * has group l / 4 and place l % 4. A 16-bit K step of 16 and an 8-bit one of 32 are both 32 bytes and lie alike, so one
 * set of functions serves all types. The kernels call these; tests/kernels/fragment_test.c runs a warp with them. */
#pragma once
#include "kernels/pattern.h"

enum { MMA_M = 16, MMA_N = 8, MMA_K_BYTES = 32, WARP_LANES = 32 };

/* --- tiles in shared memory, in chunks of 16 bytes, swizzled so that eight rows of a chunk hit all 32 banks --- */

/* Rows of 64 bytes: two rows fill the banks, so the chunk follows row / 2. */
BOTH_SIDES uint32_t fragment_tile_offset(uint32_t row, uint32_t chunk)
{
    return row * 64u + ((chunk ^ ((row >> 1) & 3u)) << 4);
}

/* Rows of 256 bytes, as of a page of keys or values: each starts at the same bank, so the chunk follows the row. */
BOTH_SIDES uint32_t fragment_wide_offset(uint32_t row, uint32_t chunk)
{
    return row * 256u + ((chunk ^ (row & 7u)) << 4);
}

/* --- the row and the chunk whose address a lane gives to ldmatrix.x4; `step` counts K steps of 32 bytes --- */

/* A: 16 rows by 32 bytes; the four matrices become registers 0 … 3 of the operand. */
BOTH_SIDES uint32_t fragment_a_row(uint32_t lane)
{
    return lane & 15u;
}

BOTH_SIDES uint32_t fragment_a_chunk(uint32_t lane, uint32_t step)
{
    return step * 2u + (lane >> 4);
}

/* B: 16 columns (rows of [n][k]); registers 0, 1 serve the first eight columns, 2, 3 the next eight. */
BOTH_SIDES uint32_t fragment_b_row(uint32_t lane)
{
    return (lane & 7u) + ((lane >> 4) << 3);
}

BOTH_SIDES uint32_t fragment_b_chunk(uint32_t lane, uint32_t step)
{
    return step * 2u + ((lane >> 3) & 1u);
}

/* Values, by ldmatrix.trans: 16 tokens are K, two blocks of 8 dimensions are columns; registers as of B. */
BOTH_SIDES uint32_t fragment_v_row(uint32_t lane)
{
    return (lane & 7u) + (((lane >> 3) & 1u) << 3);
}

BOTH_SIDES uint32_t fragment_v_chunk(uint32_t lane, uint32_t pair)
{
    return pair * 2u + (lane >> 4);
}

/* --- where a lane's registers belong --- */

/* Accumulator register e (0 … 3) in its block of 16 x 8. */
BOTH_SIDES uint32_t fragment_c_row(uint32_t lane, uint32_t e)
{
    return lane / 4u + (e >> 1) * 8u;
}

BOTH_SIDES uint32_t fragment_c_column(uint32_t lane, uint32_t e)
{
    return (lane % 4u) * 2u + (e & 1u);
}

/* The first of the two 16-bit elements in register e of an A operand of 16 x 16. */
BOTH_SIDES uint32_t fragment_a_register_row(uint32_t lane, uint32_t e)
{
    return lane / 4u + (e & 1u) * 8u;
}

BOTH_SIDES uint32_t fragment_a_register_column(uint32_t lane, uint32_t e)
{
    return (lane % 4u) * 2u + (e >> 1) * 8u;
}

/* The first of the two accumulators that become register e of an A operand: blocks 0 and 1 of 16 x 8 turn into columns
 * 0-7 and 8-15 (probabilities of attention, which no lane has to hand over). */
BOTH_SIDES uint32_t fragment_p_block(uint32_t e)
{
    return e >> 1;
}

BOTH_SIDES uint32_t fragment_p_element(uint32_t e)
{
    return (e & 1u) * 2u;
}

/* --- int4 weights: a group of 32 along K is 16 bytes, and word t of it all that the lanes at place t need --- */

enum { INT4_GROUP = 32, INT4_GROUP_BYTES = 16 };

/* Pair p (0 … 3) of a word holds B register p % 2 of 16-bit K step p / 2: two elements, in nibbles p and p + 4. */
BOTH_SIDES uint32_t int4_word(uint32_t element)
{
    return (element % 8u) / 2u;
}

BOTH_SIDES uint32_t int4_nibble(uint32_t element)
{
    return element / 8u + (element % 2u) * 4u;
}

/* The inverse: which of the 32 elements a nibble (0 … 7) of a word (0 … 3) holds. */
BOTH_SIDES uint32_t int4_element(uint32_t word, uint32_t nibble)
{
    return (nibble % 4u) * 8u + word * 2u + nibble / 4u;
}
