/* nccl.cuh owns the part of NCCL that is used, declared here and loaded when the probe runs: the library's interface
 * has kept these since 2.0 (nccl.h), so that neither header nor library is needed to build. */
#pragma once
#include <cuda_runtime.h>
#include <dlfcn.h>

#ifndef NCCL_FILE
#define NCCL_FILE "libnccl.so.2"
#endif

typedef struct nccl_communicator *nccl_comm;
enum { NCCL_SUCCESS = 0, NCCL_FLOAT32 = 7, NCCL_SUM = 0 };

struct nccl_library {
    int (*comm_init_all)(nccl_comm *comms, int count, const int *devices);
    int (*all_reduce)(const void *send, void *receive, size_t count, int type, int operation, nccl_comm comm,
                      cudaStream_t stream);
    int (*group_start)(void);
    int (*group_end)(void);
    int (*comm_destroy)(nccl_comm comm);
    const char *(*error_string)(int status);
};

/* False: *ret_why says so; it stays valid until the next call of dlopen. */
static inline bool nccl_load(struct nccl_library *ret_library, const char **ret_why)
{
    void *file = dlopen(NCCL_FILE, RTLD_NOW | RTLD_LOCAL);
    if (!file) {
        *ret_why = dlerror();
        return false;
    }
    *(void **)&ret_library->comm_init_all = dlsym(file, "ncclCommInitAll");
    *(void **)&ret_library->all_reduce = dlsym(file, "ncclAllReduce");
    *(void **)&ret_library->group_start = dlsym(file, "ncclGroupStart");
    *(void **)&ret_library->group_end = dlsym(file, "ncclGroupEnd");
    *(void **)&ret_library->comm_destroy = dlsym(file, "ncclCommDestroy");
    *(void **)&ret_library->error_string = dlsym(file, "ncclGetErrorString");
    *ret_why = NCCL_FILE " lacks a function";
    return ret_library->comm_init_all && ret_library->all_reduce && ret_library->group_start &&
           ret_library->group_end && ret_library->comm_destroy && ret_library->error_string;
}
