copy (
    select gpu_id, usd, kind, to_char(as_of, 'YYYY-MM-DD') as as_of, source, notes
      from gpusize.purchase_price
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
