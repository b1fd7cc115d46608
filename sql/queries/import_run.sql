insert into gpusize.import_run
    (kind, source, complete, accepted_rows, rejected_rows, new_rows, changed_rows, gone_rows)
values ($1, $2, $3, 0, 0, 0, 0, 0)
returning id
