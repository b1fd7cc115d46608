copy (
    select provider, region, country, continent, source, to_char(as_of, 'YYYY-MM-DD') as as_of
      from gpusize.provider_region known
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading()
           or current_setting('gpusize.day', true) <> '' and not exists ( -- offers of that day name what ended since
                  select from gpusize.provider_region later
                   where (later.provider, lower(later.region)) = (known.provider, lower(known.region))
                     and later.from_version > known.from_version and later.from_version <= gpusize.reading()))
) to stdout (format csv, header)
