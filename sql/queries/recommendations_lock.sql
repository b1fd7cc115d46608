select bytes from gpusize.recommendation_size for update
