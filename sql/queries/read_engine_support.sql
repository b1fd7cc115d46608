copy (
    select engine, architecture, weight_dtypes, fp8_kv::text, source, to_char(as_of, 'YYYY-MM-DD') as as_of
      from gpusize.engine_gpu_support
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
