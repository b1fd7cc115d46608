select count(*) from gpusize.monitor_host
