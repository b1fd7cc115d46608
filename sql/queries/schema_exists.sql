select to_regclass('gpusize.schema_migration') is not null as exists
