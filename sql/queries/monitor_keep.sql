select gpusize.monitor_keep($1)
