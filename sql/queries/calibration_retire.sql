update gpusize.calibration
   set state = 'retired', reason = concat_ws('; ', reason, 'somebody said so')
 where to_version is null and live_id = lower($1) and ($2::text is null or pool = $2) and state <> 'retired'
