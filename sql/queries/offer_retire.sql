delete from gpusize.offer where live_id = $1
