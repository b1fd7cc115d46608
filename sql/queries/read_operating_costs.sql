copy (
    select key, scope, value, unit, to_char(as_of, 'YYYY-MM-DD') as as_of, source
      from gpusize.operating_cost
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
