select exists (select from gpusize.catalog_version where number = $1) as found
