/* mma.cuh owns what kernels/mma.cuh has, on a CPU, from the tables of the PTX ISA. A copy arrives only when it is
 * waited for, as late as the hardware may: what is read too early is not there. */
#pragma once
#include "kernels/fragment.h"

#include <deque>

struct pend {
    uint32_t sh;
    const void *from;
    bool in;
};
static std::vector<pend> open_g[1024];
static std::deque<std::vector<pend>> groups[1024];
static inline void do_copy(const pend &q)
{
    if (q.in)
        memcpy((void *)(uintptr_t)q.sh, q.from, 16);
    else
        memset((void *)(uintptr_t)q.sh, 0, 16);
}
static inline void copy_16_bytes(uint32_t sh, const void *from, bool inside)
{
    open_g[emu::g_linear].push_back({sh, from, inside});
}
static inline void copy_commit()
{
    groups[emu::g_linear].push_back(open_g[emu::g_linear]);
    open_g[emu::g_linear].clear();
}
template <int p> static inline void copy_wait()
{
    auto &g = groups[emu::g_linear];
    while ((int)g.size() > p) {
        for (auto &q : g.front())
            do_copy(q);
        g.pop_front();
    }
}
static inline void load_m(uint32_t r[4], uint32_t sh, bool tr)
{
    uint32_t w = emu::g_linear / 32, l = emu::g_linear % 32;
    emu::slot[w][l][0] = sh;
    emu::warp_barrier();
    for (int i = 0; i < 4; i++) {
        uint16_t e[2];
        for (int k = 0; k < 2; k++) {
            uint32_t al = 2 * (l % 4) + k, ac = l / 4, row = tr ? al : ac, col = tr ? ac : al;
            memcpy(&e[k], (void *)(uintptr_t)(emu::slot[w][8 * i + row][0] + 2 * col), 2);
        }
        r[i] = e[0] | (uint32_t)e[1] << 16;
    }
    emu::warp_barrier();
}
static inline void load_matrices(uint32_t r[4], uint32_t s)
{
    load_m(r, s, false);
}
static inline void load_matrices_transposed(uint32_t r[4], uint32_t s)
{
    load_m(r, s, true);
}
static inline uint32_t load_shared_word(uint32_t s)
{
    return *(uint32_t *)(uintptr_t)s;
}
template <typename A, typename D>
static inline void mma_any(A c[4], const uint32_t a[4], const uint32_t b[2], int each, D dec)
{
    uint32_t w = emu::g_linear / 32, l = emu::g_linear % 32;
    for (int i = 0; i < 4; i++)
        emu::slot[w][l][i] = a[i];
    for (int i = 0; i < 2; i++)
        emu::slot[w][l][4 + i] = b[i];
    emu::warp_barrier();
    int K = 8 * each;
    for (int i = 0; i < 4; i++) {
        int row = l / 4 + (i >= 2 ? 8 : 0), col = l % 4 * 2 + (i & 1);
        A sum = 0;
        for (int k = 0; k < K; k++) {
            int half = k / (4 * each), t = k % (4 * each) / each, el = k % each;
            uint32_t av = emu::slot[w][(row % 8) * 4 + t][(row / 8) + 2 * half],
                     bv = emu::slot[w][col * 4 + t][4 + half];
            sum += (A)dec(av, el) * (A)dec(bv, el);
        }
        c[i] += sum;
    }
    emu::warp_barrier();
}
static inline void mma_bf16(float c[4], const uint32_t *a, const uint32_t *b)
{
    mma_any(c, a, b, 2, [](uint32_t v, int i) { return float_of_bf16((uint16_t)(v >> (16 * i))); });
}
static inline void mma_fp16(float c[4], const uint32_t *a, const uint32_t *b)
{
    mma_any(c, a, b, 2, [](uint32_t v, int i) { return float_of_fp16((uint16_t)(v >> (16 * i))); });
}
static inline void mma_e4m3(float c[4], const uint32_t *a, const uint32_t *b)
{
    mma_any(c, a, b, 4, [](uint32_t v, int i) { return float_of_e4m3((uint8_t)(v >> (8 * i))); });
}
static inline void mma_int8(int32_t c[4], const uint32_t *a, const uint32_t *b)
{
    mma_any(c, a, b, 4, [](uint32_t v, int i) { return (int32_t)(int8_t)(uint8_t)(v >> (8 * i)); });
}
