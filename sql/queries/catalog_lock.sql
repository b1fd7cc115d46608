select gpusize.lock_catalog()
