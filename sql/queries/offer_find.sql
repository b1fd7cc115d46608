select id from gpusize.offer
 where to_version is null and lower(provider) = lower($1) and lower(instance_type) = lower($2)
   and lower(region) = lower($3) and lower(zone) = lower($4) and lower(gpu_id) = lower($5)
   and gpu_count = $6 and purchase = $7 and term_months = $8
