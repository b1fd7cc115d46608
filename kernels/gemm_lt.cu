/* gemm_lt.cu owns products by cuBLASLt, which is loaded when the probe runs: half a gigabyte that is neither linked nor
 * shipped. Only the major version whose header was there when this was built: enumerations and sizes belong to it. */
#include "kernels/gemm.cuh"

#include <stdio.h>
#include <stdlib.h>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <dlfcn.h>

#define LT_FUNCTIONS(X)                                                                                                \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtMatmul)                                                                                                  \
    X(cublasLtMatmulDescCreate)                                                                                        \
    X(cublasLtMatmulDescDestroy)                                                                                       \
    X(cublasLtMatmulDescSetAttribute)                                                                                  \
    X(cublasLtMatrixLayoutCreate)                                                                                      \
    X(cublasLtMatrixLayoutDestroy)                                                                                     \
    X(cublasLtMatmulPreferenceCreate)                                                                                  \
    X(cublasLtMatmulPreferenceDestroy)                                                                                 \
    X(cublasLtMatmulPreferenceSetAttribute)                                                                            \
    X(cublasLtMatmulAlgoGetHeuristic)

struct lt_library {
#define X(function) decltype(&::function) function;
    LT_FUNCTIONS(X)
#undef X
    cublasLtHandle_t handle;
};

static constexpr uint64_t WORKSPACE_BYTES = 32 << 20; /* what NVIDIA recommends for compute capability 9.0 */

struct lt_plan {
    const struct lt_library *library;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t weights, activations, outputs;
    cublasLtMatmulAlgo_t algorithm;
    struct device_buffer workspace;
    float float_one, float_zero;
    int32_t int_one, int_zero;
    bool integers;
};

static bool load_functions(struct lt_library *library, void *file, const char **ret_why)
{
#define X(function)                                                                                                    \
    library->function = (decltype(&::function))dlsym(file, #function);                                                 \
    if (!library->function) {                                                                                          \
        *ret_why = #function " is missing in the library";                                                             \
        return false;                                                                                                  \
    }
    LT_FUNCTIONS(X)
#undef X
    return true;
}

/* Loaded once, and never unloaded: with a context alive that is not safe. One handle serves one device, as a process
 * does. */
static const struct lt_library *lt_load(const char **ret_why)
{
    static struct lt_library library;
    static const char *why;
    if (library.handle) return &library;
    if (!why) {
        char name[32];
        snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
        void *file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!file) {
            static char error[PROBE_DETAIL_BYTES];
            snprintf(error, sizeof error, "%s", dlerror());
            why = error;
        } else if (load_functions(&library, file, &why) &&
                   library.cublasLtCreate(&library.handle) != CUBLAS_STATUS_SUCCESS) {
            why = "cublasLtCreate failed";
            library.handle = NULL;
        }
    }
    *ret_why = why;
    return library.handle ? &library : NULL;
}

struct lt_types {
    cudaDataType_t operand, output, scale;
    cublasComputeType_t compute;
    enum gemm_output kind;
};

static bool lt_types_of(enum gemm_dtype dtype, struct lt_types *ret_types)
{
    static const struct lt_types types[GEMM_DTYPES] = {
        /* GEMM_BF16 */ {CUDA_R_16BF, CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, OUTPUT_BF16},
        /* GEMM_FP16 */ {CUDA_R_16F, CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F, OUTPUT_FP16},
        /* GEMM_TF32 */ {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, OUTPUT_FP32},
        /* GEMM_FP32 */ {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, OUTPUT_FP32},
        /* GEMM_E4M3 */ {CUDA_R_8F_E4M3, CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, OUTPUT_BF16},
        /* GEMM_INT8 */ {CUDA_R_8I, CUDA_R_32I, CUDA_R_32I, CUBLAS_COMPUTE_32I, OUTPUT_INT32},
        /* GEMM_INT4_BF16: none */ {},
    };
    *ret_types = types[dtype];
    return dtype != GEMM_INT4_BF16;
}

/* The library counts by columns: outputs (n x m) = weights (k x n) transposed times activations (k x m). */
static cublasStatus_t describe(struct lt_plan *plan, const struct gemm_problem *problem, const struct lt_types *types)
{
    const struct lt_library *lt = plan->library;
    cublasOperation_t transposed = CUBLAS_OP_T;
    cublasStatus_t status = lt->cublasLtMatmulDescCreate(&plan->operation, types->compute, types->scale);
    if (!status)
        status = lt->cublasLtMatmulDescSetAttribute(plan->operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                                    sizeof transposed);
    if (!status)
        status = lt->cublasLtMatrixLayoutCreate(&plan->weights, types->operand, problem->k, problem->n, problem->k);
    if (!status)
        status = lt->cublasLtMatrixLayoutCreate(&plan->activations, types->operand, problem->k, problem->m, problem->k);
    if (!status)
        status = lt->cublasLtMatrixLayoutCreate(&plan->outputs, types->output, problem->n, problem->m, problem->n);
    return status;
}

/* The heuristic's first choice, as engines take it. */
static cublasStatus_t choose(struct lt_plan *plan)
{
    const struct lt_library *lt = plan->library;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found = {};
    uint64_t workspace_bytes = WORKSPACE_BYTES;
    int found_count = 0;
    cublasStatus_t status = lt->cublasLtMatmulPreferenceCreate(&preference);
    if (!status)
        status = lt->cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                          &workspace_bytes, sizeof workspace_bytes);
    if (!status)
        status = lt->cublasLtMatmulAlgoGetHeuristic(lt->handle, plan->operation, plan->weights, plan->activations,
                                                    plan->outputs, plan->outputs, preference, 1, &found, &found_count);
    if (preference) lt->cublasLtMatmulPreferenceDestroy(preference);
    plan->algorithm = found.algo;
    return !status && found_count == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : status;
}

struct lt_plan *lt_plan_make(const struct gemm_problem *problem, enum gemm_output *ret_output, const char **ret_why)
{
    struct lt_types types;
    struct probe_result unused = probe_result_begin("", "");
    if (!lt_types_of(problem->dtype, &types)) {
        *ret_why = "cuBLASLt has no products of this type";
        return NULL;
    }
    const struct lt_library *library = lt_load(ret_why);
    if (!library) return NULL;
    struct lt_plan *plan = new lt_plan{};
    plan->library = library;
    plan->float_one = 1;
    plan->int_one = 1;
    plan->integers = problem->dtype == GEMM_INT8;
    *ret_output = types.kind;
    if (!describe(plan, problem, &types) && !choose(plan) && plan->workspace.take(WORKSPACE_BYTES, &unused))
        return plan;
    *ret_why = "cuBLASLt has no algorithm for this shape and type, or no memory to work in";
    lt_plan_free(plan);
    return NULL;
}

int lt_plan_launch(const struct lt_plan *plan, const struct gemm_buffers *buffers, cudaStream_t stream)
{
    const void *one = plan->integers ? (const void *)&plan->int_one : &plan->float_one;
    const void *zero = plan->integers ? (const void *)&plan->int_zero : &plan->float_zero;
    return plan->library->cublasLtMatmul(plan->library->handle, plan->operation, one, buffers->weights, plan->weights,
                                         buffers->activations, plan->activations, zero, buffers->outputs, plan->outputs,
                                         buffers->outputs, plan->outputs, &plan->algorithm, plan->workspace.data,
                                         WORKSPACE_BYTES, stream);
}

void lt_plan_free(struct lt_plan *plan)
{
    if (!plan) return;
    const struct lt_library *lt = plan->library;
    if (plan->weights) lt->cublasLtMatrixLayoutDestroy(plan->weights);
    if (plan->activations) lt->cublasLtMatrixLayoutDestroy(plan->activations);
    if (plan->outputs) lt->cublasLtMatrixLayoutDestroy(plan->outputs);
    if (plan->operation) lt->cublasLtMatmulDescDestroy(plan->operation);
    delete plan;
}

#else

struct lt_plan *lt_plan_make(const struct gemm_problem *, enum gemm_output *, const char **ret_why)
{
    *ret_why = "built without cublasLt.h";
    return NULL;
}

int lt_plan_launch(const struct lt_plan *, const struct gemm_buffers *, cudaStream_t)
{
    return 1;
}

void lt_plan_free(struct lt_plan *)
{
}

#endif
