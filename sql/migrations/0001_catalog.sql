-- 0001_catalog.sql owns the catalog: what an answer is computed from, with its history, and what wrote it.
--
-- Every table that an answer reads keeps its history in itself: from_version is the catalog version that brought the
-- row, to_version the one that ended it, null while it holds. The triggers of keep_history do that for whoever writes,
-- psql included: change the current rows as if there were no others. The catalog of version V is
--     from_version <= V and (to_version is null or to_version > V).
-- A "live_" column is the key of a row while it holds and null afterwards, so that ordinary constraints can use it.

-- Not as one pattern with a count in it: that takes twenty times as long.
create domain gpusize.name_id as text check (value !~ '[^A-Za-z0-9._/-]' and length(value) between 1 and 200);
create domain gpusize.short_text as text check (value <> '' and octet_length(value) <= 2000);
create domain gpusize.usd as numeric(18, 6); -- the program counts in whole micro-dollars

create procedure gpusize.describe(described regclass, about text, columns jsonb) language plpgsql as $$
declare
    entry record;
begin
    execute format('comment on table %s is %L', described, about);
    for entry in select * from jsonb_each_text(columns || '{
        "source": "Where the row comes from.",
        "as_of": "Day of the fact; the first one of the month or year where the source says no more."}') loop
        if exists (select from pg_attribute where attrelid = described and attname = entry.key) then
            execute format('comment on column %s.%I is %L', described, entry.key, entry.value);
        end if;
    end loop;
end $$;
comment on procedure gpusize.describe is 'Comments on a table and its columns.';

-- Versions ----------------------------------------------------------------------------------------------------------

create table gpusize.database (
    id uuid not null default gen_random_uuid(),
    only_one boolean primary key default true check (only_one)
);
insert into gpusize.database default values;
call gpusize.describe('gpusize.database', 'Which database this is: the first half of every catalog version.',
    '{"id": "Give a copy that is changed on its own a new one.", "only_one": "Holds the table to one row."}');

create table gpusize.catalog_version (
    number bigint generated always as identity primary key,
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null default session_user,
    application text not null default current_setting('application_name')
);
call gpusize.describe('gpusize.catalog_version', 'One row per transaction that changed the catalog.',
    '{"number": "Rises in the order of the commits; some are left out.", "created_at": "When the change began.",
      "created_by": "Role that changed the catalog.", "application": "Its application_name."}');

create function gpusize.lock_catalog() returns void language sql as
    $$ select pg_advisory_xact_lock(7301001, 1) $$;
comment on function gpusize.lock_catalog is
    'Until the end of the transaction nobody else changes the catalog; so versions rise in the order of the commits.';

create function gpusize.next_version() returns bigint language plpgsql as $$
declare
    version bigint := nullif(current_setting('gpusize.version', true), '');
begin
    if version is null then
        perform gpusize.lock_catalog();
        insert into gpusize.catalog_version default values returning number into version;
        perform set_config('gpusize.version', version::text, true);
        perform pg_notify('gpusize_catalog', version::text);
    end if;
    return version;
end $$;
comment on function gpusize.next_version is
    'The version that this transaction makes; the first call takes the lock, makes it, and notifies gpusize_catalog.';

create function gpusize.reading() returns bigint language sql stable as
    $$ select current_setting('gpusize.reading')::bigint $$;
comment on function gpusize.reading is 'The version that this transaction reads, as it has set gpusize.reading.';

-- The lock is taken before any row's, for two writers would wait for each other otherwise.
create function gpusize.lock_catalog_first() returns trigger language plpgsql as $$
begin
    perform gpusize.lock_catalog();
    return null;
end $$;
comment on function gpusize.lock_catalog_first is 'Trigger of keep_history.';

-- A row that has ended is passed over in silence: whoever says "where id = …" means the one that holds.
create function gpusize.pass_over() returns trigger language plpgsql as $$
begin
    return null;
end $$;
comment on function gpusize.pass_over is 'Trigger of keep_history.';

create function gpusize.refuse_truncate() returns trigger language plpgsql as $$
begin
    raise exception 'the history of % is kept: use delete', tg_table_name using errcode = 'restrict_violation';
end $$;
comment on function gpusize.refuse_truncate is 'Trigger of keep_history.';

create procedure gpusize.keep_history(kept regclass) language plpgsql as $$
declare
    columns text;
    old_values text;
    new_values text;
    archive text := format('gpusize.%I', (select relname from pg_class where oid = kept) || '_history');
begin
    select string_agg(quote_ident(attname), ', ' order by attnum),
           string_agg('old.' || quote_ident(attname), ', ' order by attnum),
           string_agg('new.' || quote_ident(attname), ', ' order by attnum)
      into columns, old_values, new_values
      from pg_attribute
     where attrelid = kept and attnum > 0 and not attisdropped and attgenerated = ''
       and attname not in ('from_version', 'to_version');
    execute format($make$
        create or replace function %1$s() returns trigger language plpgsql as $body$
        declare
            version bigint;
        begin
            if tg_op = 'UPDATE' then
                if row(%3$s) is not distinct from row(%4$s) then
                    return null;
                end if;
            end if;
            version := gpusize.next_version();
            if tg_op <> 'INSERT' then
                if old.from_version < version then
                    insert into %2$s (%5$s, from_version, to_version) values (%3$s, old.from_version, version);
                end if;
                if tg_op = 'DELETE' then
                    return old;
                end if;
            end if;
            new.from_version := version;
            new.to_version := null;
            return new;
        end $body$ $make$, archive, kept, old_values, new_values, columns);
    execute format('comment on function %s is %L', archive, 'Trigger of keep_history.');
    execute format('create or replace trigger history_lock before insert or update or delete on %s for each statement
        when (pg_trigger_depth() = 0) execute function gpusize.lock_catalog_first()', kept);
    execute format('create or replace trigger history_insert before insert on %s for each row
        when (new.to_version is null) execute function %s()', kept, archive);
    execute format('create or replace trigger history_change before update or delete on %s for each row
        when (old.to_version is null) execute function %s()', kept, archive);
    execute format('create or replace trigger history_ended before update or delete on %s for each row
        when (old.to_version is not null) execute function gpusize.pass_over()', kept);
    execute format('create or replace trigger history_truncate before truncate on %s for each statement
        execute function gpusize.refuse_truncate()', kept);
    execute format('comment on column %s.from_version is %L', kept, 'Catalog version that brought the row.');
    execute format('comment on column %s.to_version is %L', kept, 'Catalog version that ended it; null: it holds.');
end $$;
comment on procedure gpusize.keep_history is
    'Versions the rows of a table by triggers. To be called again after a column was added.';

create function gpusize.day_of(partial text) returns date language sql immutable as
    $$ select left(nullif(partial, '') || '-01-01', 10)::date $$;
comment on function gpusize.day_of is 'YYYY-MM-DD, YYYY-MM or YYYY (first day) as a date.';

create function gpusize.merge_rows(target regclass, staged regclass, key_columns text[]) returns bigint
    language plpgsql as $$
declare
    merged bigint;
begin
    execute (
        select format('merge into %s t using (select %s from %s) s on t.to_version is null and %s
                       when matched and row(%s) is distinct from row(%s) then update set %s
                       when not matched then insert (%s) values (%s)', target,
                      string_agg(case when t.atttypid = 'date'::regtype then format('gpusize.day_of(%1$I) as %1$I', name)
                                      when t.attnotnull and t.atthasdef and t.atttypid = 'text'::regtype
                                      then format('coalesce(%1$I, '''') as %1$I', name)
                                      when t.attnotnull and t.atthasdef then format('coalesce(%1$I, ''0'')::%2$s as %1$I',
                                           name, format_type(t.atttypid, t.atttypmod))
                                      else format('%1$I::%2$s as %1$I', name, format_type(t.atttypid, t.atttypmod)) end,
                                 ', '), staged,
                      string_agg(format(case when t.attnotnull then 't.%1$I = s.%1$I' -- which can be hashed
                                             else 't.%1$I is not distinct from s.%1$I' end, name), ' and ')
                          filter (where name = any (key_columns)),
                      string_agg(format('t.%I', name), ', '), string_agg(format('s.%I', name), ', '),
                      string_agg(format('%1$I = s.%1$I', name), ', '),
                      string_agg(quote_ident(name), ', '), string_agg(format('s.%I', name), ', '))
          from pg_attribute t, pg_attribute s, lateral (select t.attname::text as name) n
         where t.attrelid = target and s.attrelid = staged and t.attname = s.attname
           and t.attnum > 0 and s.attnum > 0 and not t.attisdropped and not s.attisdropped and t.attgenerated = '');
    get diagnostics merged = row_count;
    return merged;
end $$;
comment on function gpusize.merge_rows is
    'Inserts and changes current rows of a table so that they are those of a table of text with columns of the same '
    'names; returns how many. Rows that it does not name are left alone.';

-- GPUs --------------------------------------------------------------------------------------------------------------

create table gpusize.gpu (
    id gpusize.name_id not null,
    name gpusize.short_text not null,
    family gpusize.name_id not null,
    vendor text not null check (vendor in ('nvidia', 'amd', 'intel', 'google', 'aws', 'apple')),
    architecture gpusize.short_text not null,
    cuda_cc double precision check (cuda_cc between 1 and 99),
    memory_nominal_gb double precision not null check (memory_nominal_gb between 1 and 1e5),
    memory_nvml_mib double precision check (memory_nvml_mib between 1000 and 1e8),
    memory_cuda_mib double precision check (memory_cuda_mib between 1000 and 1e8),
    memory_bandwidth_gb_per_s double precision not null check (memory_bandwidth_gb_per_s between 1 and 1e6),
    l2_cache_mb double precision check (l2_cache_mb between 0.1 and 1e5),
    sm_count double precision check (sm_count between 1 and 1e5),
    peak_fp32_tflops double precision check (peak_fp32_tflops between 0.1 and 1e6),
    peak_tf32_tflops double precision check (peak_tf32_tflops between 0.1 and 1e6),
    peak_fp16_tflops double precision check (peak_fp16_tflops between 0.1 and 1e6),
    peak_fp8_tflops double precision check (peak_fp8_tflops between 0.1 and 1e6),
    peak_int8_tops double precision check (peak_int8_tops between 0.1 and 1e6),
    peak_fp4_tflops double precision check (peak_fp4_tflops between 0.1 and 1e6),
    interconnect gpusize.short_text not null,
    link_gb_per_s double precision check (link_gb_per_s between 0 and 1e5),
    link_domain_gpus integer not null check (link_domain_gpus between 1 and 100000),
    pcie_gb_per_s double precision check (pcie_gb_per_s between 1 and 1e5),
    node_gpus integer not null check (node_gpus between 1 and 1024),
    tdp_watts double precision check (tdp_watts between 1 and 1e5),
    form_factor gpusize.short_text,
    launch_date date,
    source gpusize.short_text not null,
    as_of date not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_id text unique generated always as (case when to_version is null then lower(id) end) stored,
    unique nulls not distinct (to_version, id),
    check (memory_cuda_mib <= memory_nvml_mib)
);
call gpusize.keep_history('gpusize.gpu');
call gpusize.describe('gpusize.gpu', 'Parts, each as its maker sells it.', '{
    "id": "Such as h100-sxm.", "name": "Such as H100 SXM.", "family": "What a family name in a request means: h100.",
    "vendor": "Who makes it.", "architecture": "Key of engine_gpu_support.", "cuda_cc": "CUDA compute capability.",
    "memory_nominal_gb": "The label, 10^9 or 2^30 bytes as the maker likes.",
    "memory_nvml_mib": "What nvidia-smi calls total.",
    "memory_cuda_mib": "Total of cudaMemGetInfo, what an engine sees; null: derived.",
    "memory_bandwidth_gb_per_s": "Of its memory.", "l2_cache_mb": "Second-level cache.",
    "sm_count": "Multiprocessors or compute units.", "peak_fp32_tflops": "Dense.", "peak_tf32_tflops": "Dense.",
    "peak_fp16_tflops": "Dense, FP32 accumulation.", "peak_fp8_tflops": "Dense.", "peak_int8_tops": "Dense.",
    "peak_fp4_tflops": "Dense.", "interconnect": "How GPUs are joined.",
    "link_gb_per_s": "Fast link between GPUs, both directions together; 0: none.",
    "link_domain_gpus": "How many GPUs that link joins: 1, 2 for bridges, 8, 72.",
    "pcie_gb_per_s": "One direction.", "node_gpus": "Most GPUs of one usual host.", "tdp_watts": "Rated power.",
    "form_factor": "Card, module or board.", "launch_date": "When it was announced or sold first.",
    "live_id": "The id in small letters while the row holds."}');

create table gpusize.gpu_alias (
    namespace text not null check (namespace in ('user', 'article', 'skypilot', 'gpuhunt', 'inferencex', 'measured',
                                                 'nvidia-smi', 'vllm')),
    name gpusize.short_text not null,
    target gpusize.name_id not null,
    source gpusize.short_text not null,
    as_of date not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_name text generated always as (case when to_version is null then translate(lower(name), ' _-', '') end) stored,
    live_target text generated always as (case when to_version is null then lower(target) end) stored
        references gpusize.gpu (live_id),
    unique nulls not distinct (to_version, namespace, name, target),
    unique (namespace, live_name, live_target)
);
call gpusize.keep_history('gpusize.gpu_alias');

create table gpusize.model (
    id gpusize.name_id not null,
    family gpusize.short_text not null,
    architecture gpusize.short_text not null,
    parameters bigint not null check (parameters between 1e6 and 1e14),
    active_parameters bigint not null check (active_parameters between 1e6 and 1e14),
    vision_parameters bigint check (vision_parameters between 0 and 1e12),
    layers integer not null check (layers between 1 and 2000),
    hidden_size integer not null check (hidden_size between 16 and 1000000),
    attention_heads integer check (attention_heads between 0 and 4096),
    kv_heads integer check (kv_heads between 0 and 4096),
    head_dim integer check (head_dim between 0 and 65536),
    intermediate_size integer check (intermediate_size between 0 and 10000000),
    vocabulary_size integer not null check (vocabulary_size between 2 and 10000000),
    tied_embeddings boolean not null,
    max_position_tokens integer check (max_position_tokens between 0 and 1000000000),
    attention_kind text not null check (attention_kind in ('unknown', 'mha', 'gqa', 'mqa', 'mla', 'hybrid_swa',
                                                           'hybrid_linear', 'mamba')),
    sliding_window_tokens integer check (sliding_window_tokens between 0 and 1000000000),
    chunked boolean,
    full_attention_layers integer check (full_attention_layers between 0 and 2000),
    sliding_layers integer check (sliding_layers between 0 and 2000),
    linear_layers integer check (linear_layers between 0 and 2000),
    kv_lora_rank integer check (kv_lora_rank between 0 and 65536),
    qk_rope_head_dim integer check (qk_rope_head_dim between 0 and 65536),
    qk_nope_head_dim integer check (qk_nope_head_dim between 0 and 65536),
    v_head_dim integer check (v_head_dim between 0 and 65536),
    q_lora_rank integer check (q_lora_rank between 0 and 65536),
    experts integer check (experts between 0 and 65536),
    experts_per_token integer check (experts_per_token between 0 and 65536),
    shared_experts integer check (shared_experts between 0 and 65536),
    moe_intermediate_size integer check (moe_intermediate_size between 0 and 10000000),
    shared_expert_intermediate_size integer check (shared_expert_intermediate_size between 0 and 10000000),
    dense_layers integer check (dense_layers between 0 and 2000),
    native_dtype text check (native_dtype in ('unknown', 'fp32', 'bf16', 'fp16', 'fp8', 'int8', 'int4', 'mxfp4',
                                              'nvfp4', 'q8_0', 'q6_k', 'q5_k_m', 'q4_k_m')),
    ssm_state_elements bigint check (ssm_state_elements between 0 and 1e12),
    conv_state_elements bigint check (conv_state_elements between 0 and 1e12),
    ssm_state_element_bytes integer check (ssm_state_element_bytes between 0 and 8),
    native_multimodal boolean,
    encoder_only boolean,
    license gpusize.short_text,
    source gpusize.short_text not null,
    note gpusize.short_text,
    as_of date not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_id text unique generated always as (case when to_version is null then lower(id) end) stored,
    unique nulls not distinct (to_version, id),
    check (active_parameters <= parameters),
    check (coalesce(full_attention_layers, 0) + coalesce(sliding_layers, 0) + coalesce(linear_layers, 0) <= layers),
    check (coalesce(sliding_layers, 0) = 0 or coalesce(sliding_window_tokens, 0) > 0),
    check (coalesce(experts_per_token, 0) <= coalesce(experts, 0)),
    check (coalesce(attention_heads, 0) = 0 or coalesce(kv_heads, 0) <= attention_heads)
);
call gpusize.keep_history('gpusize.model');
call gpusize.describe('gpusize.model', 'Architectures of language models; null: it has no such thing.', '{
    "id": "Hugging Face id.", "family": "Such as Llama.", "architecture": "As its config.json names it.",
    "parameters": "Of the text model; embeddings counted once if tied, twice if not.",
    "active_parameters": "The same with experts_per_token routed experts.",
    "vision_parameters": "Of the vision tower that is loaded beside it.", "layers": "Decoder layers of any kind.",
    "hidden_size": "Elements.", "attention_heads": "Query heads.", "kv_heads": "Key and value heads.",
    "head_dim": "Elements.", "intermediate_size": "Of a dense FFN.", "vocabulary_size": "Tokens.",
    "tied_embeddings": "Input and output embeddings are one.", "max_position_tokens": "Null: no limit is stated.",
    "attention_kind": "What its layers see.", "sliding_window_tokens": "Window, or chunk where chunked.",
    "chunked": "Attention inside chunks instead of a window.", "full_attention_layers": "Layers with a full cache.",
    "sliding_layers": "Layers with a window.", "linear_layers": "Layers with a state of constant size.",
    "kv_lora_rank": "MLA.", "qk_rope_head_dim": "MLA.", "qk_nope_head_dim": "MLA.", "v_head_dim": "MLA.",
    "q_lora_rank": "MLA.", "experts": "Routed experts of a layer.", "experts_per_token": "Routed to each token.",
    "shared_experts": "That see every token.", "moe_intermediate_size": "Of one routed expert.",
    "shared_expert_intermediate_size": "Of the shared expert.", "dense_layers": "MoE layers whose FFN is dense.",
    "native_dtype": "Of the weights as published.", "ssm_state_elements": "Per sequence, all layers together.",
    "conv_state_elements": "Per sequence, all layers together.", "ssm_state_element_bytes": "Bytes.",
    "native_multimodal": "The engine profiles a vision encoder at start.",
    "encoder_only": "Embeds or ranks; generates nothing.", "license": "Of the weights.", "note": "For people.",
    "live_id": "The id in small letters while the row holds."}');

create table gpusize.model_alias (
    like gpusize.gpu_alias including constraints including generated,
    foreign key (live_target) references gpusize.model (live_id),
    unique nulls not distinct (to_version, namespace, name, target),
    unique (namespace, live_name, live_target)
);
call gpusize.keep_history('gpusize.model_alias');

-- Engines -----------------------------------------------------------------------------------------------------------

create table gpusize.engine (
    engine gpusize.name_id primary key check (engine = lower(engine))
);
call gpusize.describe('gpusize.engine', 'Serving engines.', '{"engine": "Such as vllm."}');

create table gpusize.engine_alias (
    like gpusize.gpu_alias including constraints including generated,
    foreign key (live_target) references gpusize.engine (engine),
    unique nulls not distinct (to_version, namespace, name, target),
    unique (namespace, live_name, live_target)
);
call gpusize.keep_history('gpusize.engine_alias');

do $$
declare
    kind text;
begin
    foreach kind in array array['gpu', 'model', 'engine'] loop
        call gpusize.describe(format('gpusize.%I', kind || '_alias'), format('Other names of a %s.', kind), '{
            "namespace": "Whose spelling it is; requests see user.", "name": "The other name.",
            "target": "What it means; the same name with several targets is ambiguous.",
            "live_name": "The name as names are compared, while the row holds.",
            "live_target": "The target in small letters while the row holds."}');
    end loop;
end $$;

create table gpusize.engine_profile (
    engine gpusize.name_id not null references gpusize.engine,
    version_from gpusize.name_id not null,
    version_to gpusize.name_id,
    coefficient gpusize.name_id not null,
    value gpusize.short_text not null,
    source gpusize.short_text not null,
    as_of date not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    unique nulls not distinct (to_version, engine, version_from, version_to, coefficient)
);
call gpusize.keep_history('gpusize.engine_profile');
call gpusize.describe('gpusize.engine_profile', 'Coefficients of an engine in a range of versions, one a row.', '{
    "engine": "Whose.", "version_from": "First version of the range.",
    "version_to": "Last version of the range; null: the newest known and all later ones.",
    "coefficient": "Its name, or inherits.", "value": "A number, or the profile that is inherited from."}');

create table gpusize.engine_gpu_support (
    engine gpusize.name_id not null references gpusize.engine,
    architecture gpusize.short_text not null,
    weight_dtypes gpusize.short_text not null,
    fp8_kv boolean not null,
    source gpusize.short_text not null,
    as_of date not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_architecture text generated always as (case when to_version is null then lower(architecture) end) stored,
    unique nulls not distinct (to_version, engine, architecture),
    unique (engine, live_architecture)
);
call gpusize.keep_history('gpusize.engine_gpu_support');
call gpusize.describe('gpusize.engine_gpu_support', 'What runs on which GPU architecture.', '{
    "engine": "Which engine.", "architecture": "gpu.architecture.",
    "weight_dtypes": "Formats of weights that run there, separated by |.",
    "fp8_kv": "Whether a KV cache of 8-bit floats does.",
    "live_architecture": "The architecture in small letters while the row holds."}');

-- Imports -----------------------------------------------------------------------------------------------------------

create table gpusize.import_run (
    id bigint generated always as identity primary key,
    kind text not null,
    source text not null,
    scope text not null default '',
    as_of date,
    complete boolean not null default false,
    file_sha256 text check (file_sha256 ~ '^[0-9a-f]{64}$'),
    accepted_rows bigint not null check (accepted_rows >= 0),
    rejected_rows bigint not null check (rejected_rows >= 0),
    rejections jsonb not null default '[]',
    new_rows bigint not null check (new_rows >= 0),
    changed_rows bigint not null check (changed_rows >= 0),
    gone_rows bigint not null check (gone_rows >= 0),
    catalog_version bigint references gpusize.catalog_version,
    created_at timestamptz not null default now(),
    created_by text not null default session_user
);
call gpusize.describe('gpusize.import_run', 'One row per import that was applied, also of one that changed nothing.', '{
    "id": "Of the run.", "kind": "Format of what was imported.", "source": "File or URL.",
    "scope": "What it is all of, if complete: a provider.", "as_of": "Day of the prices.",
    "complete": "Offers of the scope that it does not name are gone.", "file_sha256": "Of the bytes that were read.",
    "accepted_rows": "Rows that are offers.", "rejected_rows": "Rows that are not.",
    "rejections": "The first of them: line and reason.", "new_rows": "Offers that were not there.",
    "changed_rows": "Offers whose price or description changed.", "gone_rows": "Offers that ended.",
    "catalog_version": "The version that it made; null: nothing changed.", "created_at": "When.",
    "created_by": "Role that ran it."}');

create table gpusize.fx_rate (
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    day date not null,
    usd_per_unit numeric not null check (usd_per_unit > 0),
    source gpusize.short_text not null,
    primary key (currency, day)
);
call gpusize.describe('gpusize.fx_rate', 'What imports convert other currencies with.', '{
    "currency": "ISO 4217.", "day": "From this day on.", "usd_per_unit": "USD for one unit."}');

-- Prices ------------------------------------------------------------------------------------------------------------

create table gpusize.provider (
    provider gpusize.name_id primary key
);
create unique index provider_any_case on gpusize.provider (lower(provider));
call gpusize.describe('gpusize.provider', 'Who rents out instances.', '{"provider": "Such as aws."}');

create table gpusize.provider_region (
    provider gpusize.name_id not null references gpusize.provider,
    region gpusize.name_id not null,
    country text check (country ~ '^[a-z]{2}$'),
    continent text check (continent in ('eu', 'na', 'sa', 'as', 'oc', 'af', 'me')),
    source gpusize.short_text not null,
    as_of date not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_region text generated always as (case when to_version is null then lower(region) end) stored,
    unique nulls not distinct (to_version, provider, region),
    unique (provider, live_region)
);
call gpusize.keep_history('gpusize.provider_region');
call gpusize.describe('gpusize.provider_region', 'Where a provider''s regions are.', '{
    "provider": "Whose.", "region": "As the provider names it.", "country": "ISO 3166-1 alpha-2, small letters.",
    "continent": "Continent, or me for the Middle East.",
    "live_region": "The region in small letters while the row holds."}');

create table gpusize.offer (
    id bigint generated by default as identity,
    provider gpusize.name_id not null references gpusize.provider,
    instance_type gpusize.name_id not null,
    region text not null default '' check (region !~ '[^A-Za-z0-9._/-]' and length(region) <= 200),
    zone text not null default '' check (zone !~ '[^A-Za-z0-9._/-]' and length(zone) <= 200),
    gpu_id gpusize.name_id not null,
    gpu_count integer not null check (gpu_count between 1 and 1024),
    purchase text not null check (purchase in ('on_demand', 'spot', 'reserved')),
    term_months integer not null default 0 check (term_months between 0 and 120),
    vcpus double precision check (vcpus between 0.25 and 1e5),
    host_memory_gib double precision check (host_memory_gib between 0.25 and 1e6),
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_id bigint unique generated always as (case when to_version is null then id end) stored,
    live_region text generated always as (case when to_version is null and region <> '' then lower(region) end) stored,
    live_gpu_id text generated always as (case when to_version is null then lower(gpu_id) end) stored
        references gpusize.gpu (live_id),
    foreign key (provider, live_region) references gpusize.provider_region (provider, live_region),
    unique nulls not distinct (to_version, id),
    check ((purchase = 'reserved') = (term_months > 0))
);
create unique index offer_key on gpusize.offer (provider, lower(instance_type), lower(region), lower(zone),
    lower(gpu_id), gpu_count, purchase, term_months) where to_version is null;
comment on index gpusize.offer_key is 'What makes two rows the same offer.';
create index offer_gpu on gpusize.offer (live_gpu_id) where live_gpu_id is not null;
create index offer_region on gpusize.offer (provider, live_region) where live_region is not null;
call gpusize.keep_history('gpusize.offer');
call gpusize.describe('gpusize.offer', 'What can be rented, without its price.', '{
    "id": "Stays the same through all versions.", "provider": "Who rents it out.",
    "instance_type": "As the provider names it.", "region": "Empty: the provider names none.",
    "zone": "Empty: the price holds in the whole region.", "gpu_id": "gpu.id.", "gpu_count": "GPUs of one instance.",
    "purchase": "How it is paid for.", "term_months": "Of a reservation; 0 otherwise.",
    "vcpus": "Of the instance.", "host_memory_gib": "Of the instance.",
    "live_id": "The id while the row holds.", "live_region": "The region in small letters while the row holds.",
    "live_gpu_id": "The GPU in small letters while the row holds."}');

create table gpusize.offer_price (
    offer_id bigint not null,
    usd_per_hour gpusize.usd not null check (usd_per_hour between 0.001 and 1e6),
    price_basis text not null check (price_basis in ('instance_total', 'instance_total_derived',
                                                     'instance_total_marketplace', 'per_gpu')),
    valid_from timestamptz not null default now(),
    as_of date not null,
    source gpusize.short_text not null,
    url gpusize.short_text,
    notes gpusize.short_text,
    import_run_id bigint references gpusize.import_run,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_offer_id bigint unique generated always as (case when to_version is null then offer_id end) stored
        references gpusize.offer (live_id) on delete cascade,
    unique nulls not distinct (to_version, offer_id)
);
create index offer_price_history on gpusize.offer_price (offer_id, from_version);
call gpusize.keep_history('gpusize.offer_price');
call gpusize.describe('gpusize.offer_price', 'The price of an offer; its former prices are the rows that have ended.', '{
    "offer_id": "Whose.", "usd_per_hour": "Of the whole instance, whatever the source states.",
    "price_basis": "How the source states it.", "valid_from": "Since when it has been asked.",
    "as_of": "Day on which it was seen first.", "url": "Where it can be checked.", "notes": "For people.",
    "import_run_id": "The import that brought it; null: somebody else did.",
    "live_offer_id": "The offer while the row holds: one price at a time."}');

create table gpusize.purchase_price (
    gpu_id gpusize.name_id not null,
    usd gpusize.usd not null check (usd between 1 and 1e7),
    kind text not null check (kind in ('contract', 'list', 'web_estimate', 'listing', 'msrp')),
    as_of date not null,
    source gpusize.short_text not null,
    notes gpusize.short_text,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_gpu_id text generated always as (case when to_version is null then lower(gpu_id) end) stored
        references gpusize.gpu (live_id),
    unique nulls not distinct (to_version, gpu_id, kind, as_of),
    unique (live_gpu_id, kind, as_of)
);
call gpusize.keep_history('gpusize.purchase_price');
call gpusize.describe('gpusize.purchase_price', 'What one part costs to buy, without a host.', '{
    "gpu_id": "gpu.id.", "usd": "Of one part.", "kind": "Believed in the order contract, list, web_estimate, listing, msrp.",
    "notes": "For people.", "live_gpu_id": "The GPU in small letters while the row holds."}');

create table gpusize.operating_cost (
    key gpusize.name_id not null,
    scope gpusize.name_id not null,
    value double precision not null check (value between 0 and 1e9),
    unit gpusize.short_text not null,
    as_of date not null,
    source gpusize.short_text not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_key text generated always as (case when to_version is null then lower(key) end) stored,
    live_scope text generated always as (case when to_version is null then lower(scope) end) stored,
    unique nulls not distinct (to_version, key, scope),
    unique (live_key, live_scope)
);
call gpusize.keep_history('gpusize.operating_cost');
call gpusize.describe('gpusize.operating_cost', 'What owning costs besides the parts, and figures to compare with.', '{
    "key": "Such as electricity_usd_per_kwh.", "scope": "A GPU, a provider, or all.", "value": "In its unit.",
    "unit": "Of the value.", "live_key": "The key in small letters while the row holds.",
    "live_scope": "The scope in small letters while the row holds."}');

create table gpusize.api_price (
    provider gpusize.name_id not null,
    model_id gpusize.name_id not null,
    usd_per_million_input_tokens gpusize.usd not null check (usd_per_million_input_tokens between 0.0001 and 1e4),
    usd_per_million_output_tokens gpusize.usd not null check (usd_per_million_output_tokens between 0.0001 and 1e4),
    as_of date not null,
    source gpusize.short_text not null,
    from_version bigint not null,
    to_version bigint check (to_version > from_version),
    live_provider text generated always as (case when to_version is null then lower(provider) end) stored,
    live_model_id text generated always as (case when to_version is null then lower(model_id) end) stored,
    unique nulls not distinct (to_version, provider, model_id),
    unique (live_provider, live_model_id)
);
call gpusize.keep_history('gpusize.api_price');
call gpusize.describe('gpusize.api_price', 'Hosted models, by the token.', '{
    "provider": "Who hosts it; need not rent out instances.", "model_id": "Hugging Face id; need not be in model.",
    "usd_per_million_input_tokens": "USD.", "usd_per_million_output_tokens": "USD.",
    "live_provider": "The provider in small letters while the row holds.",
    "live_model_id": "The model in small letters while the row holds."}');
