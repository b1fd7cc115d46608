copy (
    select engine, version_from, version_to, coefficient, value, source, to_char(as_of, 'YYYY-MM-DD') as as_of,
           load, gpu, family, weight_dtype
      from gpusize.engine_profile
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
