/* host_memory.h owns the reading of the host's memory from the kernel's files. */
#pragma once
#include "hw/reading.h"

/* `proc`: usually "/proc". What is not there is NaN. */
struct memory_reading host_memory_read(const char *proc);
/* The name of a process, or "". */
void host_process_name(const char *proc, int64_t pid, char ret_name[PROCESS_NAME_BYTES]);
