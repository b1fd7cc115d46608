copy (
    select namespace, name, target, source, to_char(as_of, 'YYYY-MM-DD') as as_of
      from gpusize.engine_alias
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
