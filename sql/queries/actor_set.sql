select set_config('gpusize.actor', $1, true)
