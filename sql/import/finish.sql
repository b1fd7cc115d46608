-- finish.sql owns what is kept about an import: counts, the version that it made, the first refusals, who ran it.
update gpusize.import_run r
   set accepted_rows = (select count(*) from import_row where reason is null),
       rejected_rows = (select count(*) from import_row where reason is not null),
       rejections = coalesce((select jsonb_agg(jsonb_build_object('line', line, 'field', field, 'reason', reason)
                                               order by line)
                                from (select * from import_row where reason is not null order by line limit 1000) f),
                             '[]'),
       as_of = (select max(as_of) from import_new),
       scope = coalesce((select left(string_agg(distinct provider, ' '), 1000) from import_new), ''),
       new_rows = (select count(*) from import_diff where state = 'new'),
       changed_rows = (select count(*) from import_diff where state in ('changed', 'described')),
       gone_rows = case when r.complete then (select count(*) from import_gone) else 0 end,
       catalog_version = nullif(current_setting('gpusize.version', true), '')::bigint
 where id = currval(pg_get_serial_sequence('gpusize.import_run', 'id'));

insert into gpusize.audit_log (action, subject, new, catalog_version)
select 'import', 'import_run', to_jsonb(r) - 'rejections', r.catalog_version
  from gpusize.import_run r where id = currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
