-- 0003_formats.sql owns the number formats that came after 0001: more of those in GGUF files.

alter table gpusize.model drop constraint model_native_dtype_check;
alter table gpusize.model add constraint model_native_dtype_check check (
    native_dtype in ('unknown', 'fp32', 'bf16', 'fp16', 'fp8', 'int8', 'int4', 'mxfp4', 'nvfp4', 'q8_0', 'q6_k', 'q5_k_m',
                     'q5_k_s', 'q5_0', 'q4_k_m', 'q4_k_s', 'q4_0', 'iq4_nl', 'iq4_xs', 'q3_k_l', 'q3_k_m', 'q3_k_s',
                     'iq3_m', 'q2_k', 'iq2_m'));
