-- 0002_access.sql owns who may do what, what they did, and what they were told: keys, the audit log, repeats of writes,
-- stored answers; the tables of what is measured; and what makes former prices quick to find.

create function gpusize.actor() returns text language sql stable as
    $$ select coalesce(nullif(current_setting('gpusize.actor', true), ''), session_user) $$;
comment on function gpusize.actor is 'Who acts: the key that a request came with, else the role of the session.';

alter table gpusize.catalog_version alter column created_by set default gpusize.actor();
alter table gpusize.import_run alter column created_by set default gpusize.actor();
comment on column gpusize.catalog_version.created_by is 'Key or role that changed the catalog.';
comment on column gpusize.import_run.created_by is 'Key or role that ran it.';

create function gpusize.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'restrict_violation';
end $$;
comment on function gpusize.refuse_change is 'Trigger of tables that nobody may rewrite.';

-- Audit -------------------------------------------------------------------------------------------------------------

create table gpusize.audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null default gpusize.actor(),
    role text not null default session_user,
    application text not null default current_setting('application_name'),
    action text not null check (action in ('insert', 'update', 'delete', 'import')),
    subject text not null,
    old jsonb,
    new jsonb,
    catalog_version bigint
);
create trigger audit_log_kept before update or delete on gpusize.audit_log for each row
    execute function gpusize.refuse_change();
create trigger audit_log_whole before truncate on gpusize.audit_log for each statement
    execute function gpusize.refuse_change();
call gpusize.describe('gpusize.audit_log', 'Who changed what: one row per row of facts or keys, one per import.', '{
    "id": "In the order of the changes.", "at": "When.", "actor": "The key of the request, else the role.",
    "role": "Role of the session, which nobody can feign.", "application": "Its application_name.",
    "action": "What was done; import: to many rows at once, and new tells the run or how many.", "subject": "The table.",
    "old": "The row before; null: there was none.", "new": "The row after; null: it ended.",
    "catalog_version": "The version that the change made; null: it is none of the catalog."}');

create function gpusize.audit_row() returns trigger language plpgsql as $$
declare
    hidden constant text[] := array['secret_hash', 'to_version', 'config'] ||
        array(select attname::text from pg_attribute where attrelid = tg_relid and attgenerated <> '');
begin
    insert into gpusize.audit_log (action, subject, old, new, catalog_version)
    values (lower(tg_op), tg_table_name,
            case when tg_op <> 'INSERT' then to_jsonb(old) - hidden end,
            case when tg_op <> 'DELETE' then to_jsonb(new) - hidden end,
            nullif(current_setting('gpusize.version', true), '')::bigint);
    return null;
end $$;
comment on function gpusize.audit_row is 'Trigger of keep_audit.';

create function gpusize.is_bulk() returns boolean language sql stable as
    $$ select coalesce(current_setting('gpusize.bulk', true), '') = 'on' $$;
comment on function gpusize.is_bulk is
    'Whether this transaction brings in many rows and tells of them in one row of the audit log by itself.';

create procedure gpusize.keep_audit(kept regclass) language plpgsql as $$
declare
    versioned boolean := exists (select from pg_attribute where attrelid = kept and attname = 'to_version');
begin
    execute format('create trigger audit_insert after insert on %s for each row
        when (not gpusize.is_bulk()%s) execute function gpusize.audit_row()', kept,
        case when versioned then ' and new.to_version is null' end);
    execute format('create trigger audit_change after update or delete on %s for each row
        when (not gpusize.is_bulk()%s) execute function gpusize.audit_row()', kept,
        case when versioned then ' and old.to_version is null' end);
end $$;
comment on procedure gpusize.keep_audit is 'Writes each change of a row of the table into the audit log.';

-- Keys --------------------------------------------------------------------------------------------------------------

create table gpusize.api_key (
    id text primary key check (id ~ '^[0-9a-f]{12}$'),
    name gpusize.short_text not null check (name ~ '^[[:print:]]+$'),
    role text not null check (role in ('reader', 'writer', 'admin')),
    secret_hash text not null check (secret_hash ~ '^[0-9a-f]{64}$'),
    requests_per_second double precision check (requests_per_second between 0.001 and 1e6),
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    created_by text not null default gpusize.actor(),
    change bigint not null
);
create unique index api_key_name on gpusize.api_key (lower(name)) where revoked_at is null;
create index api_key_change on gpusize.api_key (change);
call gpusize.describe('gpusize.api_key', 'Keys of callers; a key itself is nowhere.', '{
    "id": "The part of the key that may be shown.", "name": "Whose it is; unique among keys that are not revoked.",
    "role": "What it allows: each role may also what those before it may.",
    "secret_hash": "BLAKE2b-256 of the secret part, which is 256 random bits.",
    "requests_per_second": "Limit of its own; null: the service''s.", "expires_at": "Refused from then on; null: never.",
    "revoked_at": "Refused since.", "created_at": "When.", "created_by": "Key or role that made it.",
    "change": "Rises with every change of any key, in the order of the commits."}');

-- The lock makes the numbers follow the commits, so that the highest one tells whether anything is new.
create function gpusize.number_key_change() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(7301001, 2);
    select coalesce(max(change), 0) + 1 into new.change from gpusize.api_key;
    perform pg_notify('gpusize_catalog', 'keys');
    return new;
end $$;
comment on function gpusize.number_key_change is 'Trigger of api_key: numbers the change and tells the services.';
create trigger api_key_change before insert or update on gpusize.api_key for each row
    execute function gpusize.number_key_change();
create trigger api_key_kept before delete on gpusize.api_key for each row execute function gpusize.refuse_change();
create trigger api_key_whole before truncate on gpusize.api_key for each statement
    execute function gpusize.refuse_change();

create table gpusize.idempotency_key (
    api_key text not null references gpusize.api_key,
    key text not null check (key ~ '^[!-~]{1,200}$'),
    request_hash text not null check (request_hash ~ '^[0-9a-f]{32}$'),
    http_status integer not null default 0 check (http_status = 0 or http_status between 200 and 599),
    answer text not null default '',
    created_at timestamptz not null default now(),
    primary key (api_key, key)
);
create index idempotency_key_age on gpusize.idempotency_key (created_at);
call gpusize.describe('gpusize.idempotency_key', 'Writes that were answered, so that their repeats are not done again.', '{
    "api_key": "Whose.", "key": "Idempotency-Key of the request.", "request_hash": "BLAKE2b-128 of what was asked.",
    "http_status": "Of the answer; 0: not answered yet, seen by nobody else.", "answer": "Its body.",
    "created_at": "When; a day later it is forgotten."}');

-- Stored answers ----------------------------------------------------------------------------------------------------

create table gpusize.recommendation (
    id text primary key check (id ~ '^[0-9a-f]{32}$'),
    place bigint generated always as identity unique,
    operation gpusize.name_id not null,
    question bytea not null,
    question_form text not null check (question_form in ('json', 'query')),
    asked_on date not null,
    catalog_version text not null,
    estimator_version text not null,
    answer bytea not null,
    answer_hash text not null check (answer_hash ~ '^[0-9a-f]{32}$'),
    stored_bytes integer not null generated always as (octet_length(question) + octet_length(answer)) stored,
    created_at timestamptz not null default now(),
    created_by text not null
);
call gpusize.describe('gpusize.recommendation', 'Answers that were given, to be had again and to be computed again.', '{
    "id": "Of the answer.", "place": "The lowest is dropped first.", "operation": "What was asked: recommend.",
    "question": "As it was asked, deflated.", "question_form": "A JSON body, or a query.",
    "asked_on": "The day that counted as today.", "catalog_version": "What it was computed from.",
    "estimator_version": "What computed it.", "answer": "Its exact bytes, deflated.",
    "answer_hash": "BLAKE2b-128 of those bytes.", "stored_bytes": "Of question and answer as stored.",
    "created_at": "When it was stored.", "created_by": "Key that asked first; empty: none."}');

create table gpusize.recommendation_size (
    only_one boolean primary key default true check (only_one),
    bytes bigint not null check (bytes >= 0)
);
insert into gpusize.recommendation_size (bytes) values (0);
call gpusize.describe('gpusize.recommendation_size', 'How much is stored, so that nobody has to count.', '{
    "only_one": "Holds the table to one row.", "bytes": "Sum of recommendation.stored_bytes."}');

create function gpusize.count_recommendations() returns trigger language plpgsql as $$
begin
    update gpusize.recommendation_size
       set bytes = bytes + (select coalesce(sum(stored_bytes), 0) from changed) * case tg_op when 'INSERT' then 1 else -1 end;
    return null;
end $$;
comment on function gpusize.count_recommendations is 'Trigger of recommendation: keeps recommendation_size.';
create trigger count_more after insert on gpusize.recommendation referencing new table as changed
    for each statement execute function gpusize.count_recommendations();
create trigger count_less after delete on gpusize.recommendation referencing old table as changed
    for each statement execute function gpusize.count_recommendations();
create trigger kept before update on gpusize.recommendation for each row execute function gpusize.refuse_change();

-- What is measured --------------------------------------------------------------------------------------------------

create table gpusize.calibration (
    id bigint generated by default as identity,
    pool gpusize.name_id not null,
    gpu_id gpusize.name_id not null,
    status text not null check (status in ('passed', 'partial', 'suspect')),
    driver_version gpusize.short_text,
    measured_at timestamptz not null,
    report jsonb not null check (jsonb_typeof(report) = 'object'),
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_id bigint unique generated always as (case when to_version is null then id end) stored,
    live_gpu_id text generated always as (case when to_version is null then lower(gpu_id) end) stored
        references gpusize.gpu (live_id),
    unique nulls not distinct (to_version, id)
);
call gpusize.keep_history('gpusize.calibration');
call gpusize.describe('gpusize.calibration', 'What a host''s own GPUs reach, as measured on it.', '{
    "id": "Stays the same through all versions.", "pool": "The machines that it is true of.", "gpu_id": "gpu.id.",
    "status": "Suspect ones are kept and not used.", "driver_version": "It is retired when this changes.",
    "measured_at": "When.", "report": "The whole of it.", "live_id": "The id while the row holds.",
    "live_gpu_id": "The GPU in small letters while the row holds."}');

create table gpusize.observation (
    source gpusize.short_text not null,
    uid gpusize.short_text not null,
    engine gpusize.name_id not null,
    engine_version gpusize.name_id,
    model_id gpusize.name_id not null,
    gpu_id gpusize.name_id not null,
    gpu_count integer not null check (gpu_count between 1 and 100000),
    tensor_parallel integer check (tensor_parallel between 1 and 4096),
    pipeline_parallel integer check (pipeline_parallel between 1 and 4096),
    expert_parallel integer check (expert_parallel between 1 and 4096),
    weight_dtype text,
    kv_dtype text,
    load text not null check (load in ('saturated', 'concurrency', 'static_batch', 'rate')),
    concurrency double precision check (concurrency between 0.001 and 1e9),
    input_tokens double precision check (input_tokens between 0 and 1e8),
    output_tokens double precision check (output_tokens between 0 and 1e8),
    output_tokens_per_second double precision check (output_tokens_per_second between 1e-6 and 1e12),
    total_tokens_per_second double precision check (total_tokens_per_second between 1e-6 and 1e12),
    prefill_tokens_per_second double precision check (prefill_tokens_per_second between 1e-6 and 1e12),
    ttft_ms double precision check (ttft_ms between 1e-6 and 1e9),
    tpot_ms double precision check (tpot_ms between 1e-6 and 1e9),
    e2e_ms double precision check (e2e_ms between 1e-6 and 1e12),
    trust text check (trust in ('A', 'B', 'C', 'D')),
    notes gpusize.short_text,
    as_of date not null,
    import_run_id bigint references gpusize.import_run,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_uid text generated always as (case when to_version is null then uid end) stored,
    live_gpu_id text generated always as (case when to_version is null then lower(gpu_id) end) stored
        references gpusize.gpu (live_id),
    unique nulls not distinct (to_version, source, uid),
    unique (source, live_uid)
);
call gpusize.keep_history('gpusize.observation');
call gpusize.describe('gpusize.observation', 'Measured serving results, one run a row; throughput is of all its GPUs.', '{
    "uid": "Tells it from others of its source.", "engine": "Which.", "engine_version": "Which.",
    "model_id": "Hugging Face id; need not be in model.", "gpu_id": "gpu.id.", "gpu_count": "Of the whole run.",
    "tensor_parallel": "GPUs.", "pipeline_parallel": "Stages.", "expert_parallel": "GPUs.",
    "weight_dtype": "Number format.", "kv_dtype": "Number format; null: the engine''s default.",
    "load": "How requests came, as in a request.", "concurrency": "Requests in flight, or of one batch.",
    "input_tokens": "Mean.", "output_tokens": "Mean.", "output_tokens_per_second": "Of the run.",
    "total_tokens_per_second": "Of the run.", "prefill_tokens_per_second": "Of the run.",
    "ttft_ms": "Time to the first token.", "tpot_ms": "Time per output token after it.", "e2e_ms": "Of a whole answer.",
    "trust": "A is the best.", "notes": "For people.", "import_run_id": "The import that brought it.",
    "live_uid": "The uid while the row holds.", "live_gpu_id": "The GPU in small letters while the row holds."}');

alter table gpusize.model add config jsonb check (jsonb_typeof(config) = 'object');
alter table gpusize.model add config_sha256 text check (config_sha256 ~ '^[0-9a-f]{64}$');
call gpusize.keep_history('gpusize.model');
call gpusize.describe('gpusize.model', 'Architectures of language models; null: it has no such thing.', '{
    "config": "The config.json that it was read from; null: it came as a row.",
    "config_sha256": "Of that file''s bytes."}');

create table gpusize.job (
    id uuid primary key default gen_random_uuid(),
    kind gpusize.name_id not null,
    state text not null default 'waiting' check (state in ('waiting', 'running', 'done', 'failed')),
    question jsonb not null,
    answer jsonb,
    error gpusize.short_text,
    created_at timestamptz not null default now(),
    created_by text not null default gpusize.actor(),
    started_at timestamptz check (started_at >= created_at),
    finished_at timestamptz check (finished_at >= started_at),
    check ((state in ('done', 'failed')) = (finished_at is not null)),
    check ((state = 'failed') = (error is not null))
);
create index job_waiting on gpusize.job (created_at) where state = 'waiting';
call gpusize.describe('gpusize.job', 'Questions that take longer than a request.', '{
    "id": "For whoever asked.", "kind": "Which operation.", "state": "How far it is.", "question": "What was asked.",
    "answer": "When it is done.", "error": "Why it failed.", "created_at": "When it was asked.",
    "created_by": "Key or role that asked.", "started_at": "When.", "finished_at": "When."}');

create table gpusize.monitor_sample (
    sampled_at timestamptz not null,
    host gpusize.name_id not null,
    device integer not null check (device between -1 and 1023),
    memory_used_mib double precision not null check (memory_used_mib >= 0),
    memory_total_mib double precision not null check (memory_total_mib > 0),
    utilization_ratio double precision check (utilization_ratio between 0 and 1),
    power_watts double precision check (power_watts >= 0),
    temperature_celsius double precision check (temperature_celsius between -100 and 300),
    primary key (sampled_at, host, device),
    check (memory_used_mib <= memory_total_mib)
) partition by range (sampled_at);
create table gpusize.monitor_sample_rest partition of gpusize.monitor_sample default;
do $$
declare
    named text;
begin
    foreach named in array array['monitor_sample', 'monitor_sample_rest'] loop
        call gpusize.describe(format('gpusize.%I', named), 'What hosts said of their GPUs'' memory, by time.', '{
            "sampled_at": "When.", "host": "Which machine.", "device": "Which of its GPUs; -1: the machine itself.",
            "memory_used_mib": "In use.", "memory_total_mib": "Of all.", "utilization_ratio": "Busy share of the time.",
            "power_watts": "Drawn.", "temperature_celsius": "Of the chip."}');
    end loop;
    foreach named in array array['gpu', 'gpu_alias', 'model', 'model_alias', 'engine_alias', 'engine_profile',
                                 'engine_gpu_support', 'provider_region', 'offer', 'offer_price', 'purchase_price',
                                 'operating_cost', 'api_price', 'fx_rate', 'calibration', 'observation',
                                 'api_key'] loop
        call gpusize.keep_audit(format('gpusize.%I', named));
    end loop;
end $$;

-- Prices by the day on which they held ------------------------------------------------------------------------------

create index offer_price_day on gpusize.offer_price (offer_id, as_of, from_version);
comment on index gpusize.offer_price_day is 'The price of an offer on a day: the last entry up to it.';

-- Both functions are one stable SELECT each, which PostgreSQL writes into the query that calls them: ended_on is looked
-- up only where it is asked for, so ask once for each offer.
create function gpusize.price_on(offer bigint, day date, version bigint) returns setof gpusize.offer_price
    language sql stable rows 1 as $$
    select * from gpusize.offer_price
     where offer_id = offer and as_of <= day and from_version <= version
     order by as_of desc, from_version desc limit 1
$$;
comment on function gpusize.price_on is
    'The price of an offer that held on a day, as it was known in a version; what was entered last counts. Whether the '
    'offer had ended is told by offers_known.';

create function gpusize.offers_known(version bigint) returns table (
    id bigint, provider gpusize.name_id, instance_type gpusize.name_id, region text, zone text,
    gpu_id gpusize.name_id, gpu_count integer, purchase text, term_months integer, vcpus double precision,
    host_memory_gib double precision, ended_on date
) language sql stable as $$
    select o.id, o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase, o.term_months,
           o.vcpus, o.host_memory_gib,
           (select (v.created_at at time zone 'UTC')::date
              from gpusize.catalog_version v
             where v.number <= version
               and v.number = least(o.to_version, (
                       select p.to_version from gpusize.offer_price p
                        where p.offer_id = o.id and p.from_version <= version
                        order by p.from_version desc limit 1)))
      from (select distinct on (id) * from gpusize.offer
             where from_version <= version
             order by id, from_version desc) o
$$;
comment on function gpusize.offers_known is
    'Every offer that there has been up to a version, as it was last, and the day (UTC) on which it or its price ended; '
    'null while it holds. An offer that ended and came back has several ids.';
