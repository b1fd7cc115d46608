select kind, floor(extract(epoch from max(created_at)))::bigint as unix_s from gpusize.import_run group by kind order by kind
