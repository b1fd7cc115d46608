/* summary.h owns the way from results to the coefficients of a machine. Pure. Results that failed or are doubted count
 * for nothing; what cannot be told from the rest is NaN. */
#pragma once
#include "kernels/results.h"

/* t = start + amount / rate, the least squares of relative errors. */
struct line_fit {
    double start_s, rate_per_s;
};
struct line_fit summary_fit_line(const double *amounts, const double *seconds, size_t count);

/* perf(m) = ((slope m)^-p + peak^-p)^(-1/p): a roofline with a round corner. */
struct gemm_fit {
    char dtype[16];
    const char *impl; /* whose kernel; constant text or of the results */
    double peak_tflops, p, slope_tflops_per_m;
};
void summary_fit_corner(const double *m, const double *tflops, size_t count, struct gemm_fit *fit);
double summary_corner_at(const struct gemm_fit *fit, double m);

struct all_reduce_fit {
    unsigned gpus;
    double alpha_us, busbw_gb_per_s;
};

enum { SUMMARY_DTYPES_MAX = 12, SUMMARY_RINGS_MAX = 8 };
struct summary {
    double dram_read_gb_per_s;
    double kv_t0_us, kv_gb_per_s; /* of reading a KV cache */
    double graph_node_us;         /* one more kernel in a graph */
    struct gemm_fit gemm[SUMMARY_DTYPES_MAX];
    size_t gemm_count;
    struct all_reduce_fit all_reduce[SUMMARY_RINGS_MAX];
    size_t all_reduce_count;
};
struct summary summary_of(const struct results *results);
