insert into gpusize.import_run
    (kind, source, complete, file_sha256, accepted_rows, rejected_rows, new_rows, changed_rows, gone_rows)
values ($1, $2, $3, $4, 0, 0, 0, 0, 0)
