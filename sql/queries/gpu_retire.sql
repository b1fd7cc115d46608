with aliases as (delete from gpusize.gpu_alias where live_target = lower($1)),
     prices as (delete from gpusize.purchase_price where live_gpu_id = lower($1)),
     calibrations as (delete from gpusize.calibration where live_gpu_id = lower($1))
delete from gpusize.gpu where live_id = lower($1)
