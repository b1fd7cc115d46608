select set_config('gpusize.day', $1, true)
