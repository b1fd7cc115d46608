copy (
    select id, name, family, vendor, architecture, cuda_cc, memory_nominal_gb, memory_nvml_mib, memory_cuda_mib,
        memory_bandwidth_gb_per_s, l2_cache_mb, sm_count, peak_fp32_tflops, peak_tf32_tflops, peak_fp16_tflops,
        peak_fp8_tflops, peak_int8_tops, peak_fp4_tflops, interconnect, link_gb_per_s, link_domain_gpus,
        pcie_gb_per_s, node_gpus, tdp_watts, form_factor, to_char(launch_date, 'YYYY-MM-DD') as launch_date, source,
        to_char(as_of, 'YYYY-MM-DD') as as_of, from_version as version
      from gpusize.gpu known
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading()
           or current_setting('gpusize.day', true) <> '' and not exists ( -- offers of that day name what ended since
                  select from gpusize.gpu later
                   where lower(later.id) = lower(known.id)
                     and later.from_version > known.from_version and later.from_version <= gpusize.reading()))
) to stdout (format csv, header)
