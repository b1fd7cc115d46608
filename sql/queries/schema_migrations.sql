select number, checksum from gpusize.schema_migration order by number
