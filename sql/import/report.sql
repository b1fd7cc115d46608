-- report.sql owns what is told about an import: one JSON object, read before anything is rolled back.
select jsonb_build_object(
    'import_run', id, 'kind', kind, 'source', source, 'file_sha256', file_sha256, 'as_of', as_of,
    'complete', complete, 'accepted_rows', accepted_rows, 'rejected_rows', rejected_rows, 'new_rows', new_rows,
    'changed_rows', changed_rows, 'gone_rows', gone_rows,
    'unchanged_rows', (select count(*) from import_diff where state = 'unchanged'),
    'older_rows', (select count(*) from import_row where reason is null)
                  - (select count(*) from import_diff where state <> 'older'),
    'missing_rows', (select count(*) from import_gone),
    'catalog_version', catalog_version,
    'changes', coalesce((select jsonb_agg(jsonb_build_object('offer', label, 'old_usd', old_usd, 'new_usd', usd)
                                          order by greatest(usd / old_usd, old_usd / usd) desc, label)
                           from (select * from import_diff where state = 'changed' and old_usd is not null
                                  order by greatest(usd / old_usd, old_usd / usd) desc, label limit 20) c), '[]'),
    'new', coalesce((select jsonb_agg(jsonb_build_object('offer', label, 'new_usd', usd) order by label)
                       from (select * from import_diff where state = 'new' order by label limit 20) n), '[]'),
    'missing', coalesce((select jsonb_agg(jsonb_build_object('offer', label, 'old_usd', usd) order by label)
                           from (select * from import_gone order by label limit 20) g), '[]'),
    'rejections', jsonb_path_query_array(rejections, '$[0 to 99]'))
  from gpusize.import_run where id = currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
