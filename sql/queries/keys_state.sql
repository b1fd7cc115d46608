select coalesce(max(change), 0) as change from gpusize.api_key
