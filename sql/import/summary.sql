-- summary.sql owns what a person is told about an import, a line each.
select line from (
    select 1 as part, 0::bigint as place, format('%s new, %s changed, %s unchanged, %s not in this file%s',
           new_rows, changed_rows, (select count(*) from import_diff where state = 'unchanged'),
           (select count(*) from import_gone),
           case when complete then ' (ended)' else ' (kept)' end) as line
      from gpusize.import_run where id = currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
    union all
    select 1, 1, format('%s rows accepted, %s of them older than what is known; %s rejected',
           (select count(*) from import_row where reason is null),
           (select count(*) from import_row where reason is null)
           - (select count(*) from import_diff where state <> 'older'),
           (select count(*) from import_row where reason is not null))
    union all
    select 1, 2, format('%s prices change by more than a factor of %s: refused unless the jumps are accepted',
           count(*), current_setting('gpusize.import_jump_factor'))
      from import_diff
     where state = 'changed' and old_usd is not null
       and greatest(usd / old_usd, old_usd / usd) > current_setting('gpusize.import_jump_factor')::numeric
    having count(*) > 0
    union all
    select 2, row_number() over (order by greatest(usd / old_usd, old_usd / usd) desc, label),
           format('changed  %s: %s -> %s USD (%s %%)', label, old_usd::double precision, usd::double precision,
                  to_char(100 * (usd / old_usd - 1), 'FMSG999999990.0'))
      from (select * from import_diff where state = 'changed' and old_usd is not null
             order by greatest(usd / old_usd, old_usd / usd) desc, label limit 10) c
    union all
    select 3, row_number() over (order by label), format('new      %s%s', label, ': ' || usd::double precision || ' USD')
      from (select * from import_diff where state = 'new' order by label limit 10) n
    union all
    select 4, row_number() over (order by label), format('ended    %s: %s USD', label, usd::double precision)
      from (select * from import_gone order by label limit 10) g
     where current_setting('gpusize.import_complete')::boolean
    union all
    select 5, row_number() over (order by line), format('rejected line %s%s: %s', line, ' ' || nullif(field, ''), reason)
      from (select * from import_row where reason is not null order by line limit 10) r
) lines order by part, place
