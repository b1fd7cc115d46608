/* fuzz.h owns the one function that every fuzz target defines; libFuzzer or driver.c calls it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
