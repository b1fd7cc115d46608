update gpusize.calibration o
   set state = 'retired',
       reason = concat_ws('; ', o.reason, 'driver or clocks differ from those of ' || n.id || ', which is newer')
  from gpusize.calibration n
 where o.to_version is null and n.to_version is null and o.pool = $1 and n.pool = $1 and o.gpu_id = n.gpu_id
   and o.state <> 'retired' and o.started_at < n.started_at
   and (o.device_key = n.device_key or o.device_key is null or n.device_key is null)
   and (o.driver <> n.driver or o.sm_clock_max_mhz <> n.sm_clock_max_mhz)
   and (o.report_id = $2 or n.report_id = $2)
