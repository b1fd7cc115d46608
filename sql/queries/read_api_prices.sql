copy (
    select provider, model_id, usd_per_million_input_tokens, usd_per_million_output_tokens,
        to_char(as_of, 'YYYY-MM-DD') as as_of, source
      from gpusize.api_price
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
