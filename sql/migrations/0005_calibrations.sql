-- 0005_calibrations.sql owns what GPUs reach of what they can do: figures of probes, of a host's own GPUs and published.
-- The table of 0002 had no columns for figures, and no program wrote it.

do $$
begin
    if exists (select from gpusize.calibration) then
        raise exception 'gpusize.calibration has rows that no program wrote'
            using hint = 'keep them elsewhere, delete them, then migrate again';
    end if;
end $$;
drop table gpusize.calibration;
drop function gpusize.calibration_history();

create table gpusize.calibration_report (
    id text primary key check (id ~ '^[0-9a-f]{32}$'),
    report jsonb not null check (jsonb_typeof(report) = 'object'),
    note gpusize.short_text,
    created_at timestamptz not null default now(),
    created_by text not null default gpusize.actor()
);
call gpusize.describe('gpusize.calibration_report', 'Reports of gpusize-probe as they were uploaded.', '{
    "id": "BLAKE2b-128 of its bytes.", "report": "The whole of it.", "note": "Of whoever uploaded it.",
    "created_at": "When it came.", "created_by": "Key or role that uploaded it."}');

create table gpusize.calibration (
    id gpusize.name_id not null,
    pool gpusize.name_id not null,
    gpu_id gpusize.name_id not null,
    memory_gb_per_s double precision check (memory_gb_per_s between 1e-3 and 1e9),
    kv_gb_per_s double precision check (kv_gb_per_s between 1e-3 and 1e9),
    fp32_tflops double precision check (fp32_tflops between 1e-3 and 1e9),
    tf32_tflops double precision check (tf32_tflops between 1e-3 and 1e9),
    fp16_tflops double precision check (fp16_tflops between 1e-3 and 1e9),
    fp8_tflops double precision check (fp8_tflops between 1e-3 and 1e9),
    int8_tops double precision check (int8_tops between 1e-3 and 1e9),
    fp4_tflops double precision check (fp4_tflops between 1e-3 and 1e9),
    launch_us double precision check (launch_us between 1e-3 and 1e9),
    allreduce_gpus integer check (allreduce_gpus between 2 and 1024),
    allreduce_us double precision check (allreduce_us between 1e-3 and 1e9),
    allreduce_gb_per_s double precision check (allreduce_gb_per_s between 1e-3 and 1e9),
    state text not null check (state in ('used', 'suspect', 'retired')),
    driver gpusize.short_text,
    source gpusize.short_text not null,
    as_of date not null,
    started_at timestamptz,
    device_key gpusize.short_text,
    sm_clock_max_mhz double precision check (sm_clock_max_mhz between 1 and 1e5),
    reason gpusize.short_text,
    report_id text references gpusize.calibration_report,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_id text generated always as (case when to_version is null then lower(id) end) stored,
    live_gpu_id text generated always as (case when to_version is null then lower(gpu_id) end) stored
        references gpusize.gpu (live_id),
    unique nulls not distinct (to_version, pool, id, gpu_id),
    unique (pool, live_id, live_gpu_id)
);
call gpusize.keep_history('gpusize.calibration');
call gpusize.keep_audit('gpusize.calibration');
call gpusize.describe('gpusize.calibration', 'What GPUs of a pool of machines reach, as measured on them.', '{
    "id": "Of the figures, or published-….", "gpu_id": "gpu.id.",
    "pool": "The machines that it is true of: own, or a name; published: what others measured of the part.",
    "memory_gb_per_s": "Reading VRAM.", "kv_gb_per_s": "Paged decode attention.", "fp32_tflops": "Products.",
    "tf32_tflops": "Products.", "fp16_tflops": "Products in 16 bits.", "fp8_tflops": "Products.",
    "int8_tops": "Products.", "fp4_tflops": "Products.", "launch_us": "Of one kernel of a graph.",
    "allreduce_gpus": "That took part.", "allreduce_us": "Of the smallest message.",
    "allreduce_gb_per_s": "Bus bandwidth of large messages.",
    "state": "Suspect ones are kept and not used; retired: driver or clocks have changed since, or somebody said so.",
    "driver": "Of the GPU.", "started_at": "When it was measured.",
    "device_key": "Tells this GPU from others, where the probe was to say so.",
    "sm_clock_max_mhz": "Of the GPU, as its driver allows.", "reason": "Why it is not used.",
    "report_id": "The report that it comes from; null: it came with the program, or as a row.",
    "live_id": "The id in small letters while the row holds.",
    "live_gpu_id": "The GPU in small letters while the row holds."}');
