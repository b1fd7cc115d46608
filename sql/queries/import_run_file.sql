update gpusize.import_run set file_sha256 = $2 where id = $1
