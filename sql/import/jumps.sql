-- jumps.sql owns which prices change by more than gpusize.import_jump_factor, the worst first.
select format('%s: %s -> %s USD', label, old_usd::double precision, usd::double precision)
  from import_diff
 where state = 'changed' and old_usd is not null
   and greatest(usd / old_usd, old_usd / usd) > current_setting('gpusize.import_jump_factor')::numeric
 order by greatest(usd / old_usd, old_usd / usd) desc, label limit 10
