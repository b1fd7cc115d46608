select set_config('gpusize.reading', $1, true)
