select count(*) = 0 as lack from gpusize.calibration where pool = 'published'
