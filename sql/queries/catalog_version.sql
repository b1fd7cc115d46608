select (select id from gpusize.database) as uuid, coalesce(max(number), 0) as number from gpusize.catalog_version
