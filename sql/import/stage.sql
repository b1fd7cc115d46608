-- stage.sql owns the table that an import is copied into; a reason says why a line is none of its rows.
create temporary table import_row (
    line bigint not null,
    field text,
    reason text,
    provider text,
    instance_type text,
    region text,
    zone text,
    gpu_id text,
    gpu_count integer,
    purchase text,
    term_months integer,
    usd numeric(18, 6),
    vcpus double precision,
    host_memory_gib double precision,
    price_basis text,
    as_of date,
    source text,
    url text,
    notes text,
    kind text,
    uid text,
    cells jsonb,
    key text generated always as (case when uid is not null then source || ' ' || uid when kind is null
        then lower(provider) || ' ' || lower(instance_type) || ' ' || lower(region) || ' ' || lower(zone) || ' '
             || lower(gpu_id) || ' ' || gpu_count::text || ' ' || purchase || ' ' || term_months::text
        else lower(gpu_id) || ' ' || kind || ' ' || (as_of - date '1970-01-01')::text end) stored
) on commit drop
