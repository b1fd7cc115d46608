with aliases as (delete from gpusize.model_alias where live_target = lower($1))
delete from gpusize.model where live_id = lower($1)
