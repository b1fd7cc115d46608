select gpusize.monitor_make_days($1, $2)
