-- 0006_monitor.sql owns what hosts tell of their memory and their GPUs: samples by day, and what each host has come to.
-- The table of 0002 had a row for each GPU and no room for what is not known; no program wrote it.

do $$
begin
    if exists (select from gpusize.monitor_sample) then
        raise exception 'gpusize.monitor_sample has rows that no program wrote'
            using hint = 'keep them elsewhere, delete them, then migrate again';
    end if;
end $$;
drop table gpusize.monitor_sample;

create table gpusize.monitor_host (
    host text primary key check (octet_length(host) between 1 and 253),
    sampled_at timestamptz not null,
    sample jsonb not null check (jsonb_typeof(sample) = 'object'),
    alerts jsonb not null check (jsonb_typeof(alerts) = 'object'),
    alert_count integer not null check (alert_count >= 0),
    received_at timestamptz not null default now()
);
call gpusize.describe('gpusize.monitor_host', 'Hosts that report: the newest sample of each, and its alerts.', '{
    "host": "Its name, as it says itself.", "sampled_at": "When the sample was taken, by the host''s clock.",
    "sample": "As it was sent.", "alerts": "What is not ok, and the clock that it goes by.",
    "alert_count": "How many alerts are not ok.", "received_at": "When the sample came."}');

create table gpusize.monitor_sample (
    host text not null check (octet_length(host) between 1 and 253),
    sampled_at timestamptz not null,
    sample jsonb not null check (jsonb_typeof(sample) = 'object'),
    primary key (host, sampled_at)
) partition by range (sampled_at);
call gpusize.describe('gpusize.monitor_sample', 'What hosts reported, in a partition for each day (UTC).', '{
    "host": "monitor_host.host.", "sampled_at": "When, by the host''s clock, to the millisecond.",
    "sample": "As it was sent, without processes."}');

-- Who reports need not own the tables: these two do what only their owner may. A partition is attached, which holds up
-- nobody who reads or writes others.
create function gpusize.monitor_make_days(first date, last date) returns void
    language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    day date := first;
    named text;
begin
    while day <= last loop
        named := 'monitor_sample_' || to_char(day, 'YYYYMMDD');
        if to_regclass('gpusize.' || named) is null then
            perform pg_advisory_xact_lock(7301001, 5);
            if to_regclass('gpusize.' || named) is null then
                execute format('create table gpusize.%I (like gpusize.monitor_sample including all)', named);
                execute format('alter table gpusize.monitor_sample attach partition gpusize.%I for values from (%L) to (%L)',
                               named, day, day + 1);
            end if;
        end if;
        day := day + 1;
    end loop;
end $$;
comment on function gpusize.monitor_make_days is 'Makes the partitions of monitor_sample for days that have none.';

create function gpusize.monitor_keep(days integer) returns integer
    language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    named name;
    dropped integer := 0;
begin
    if days < 1 then
        raise exception 'at least one day is kept';
    end if;
    if not pg_try_advisory_xact_lock(7301001, 4) then
        return 0;
    end if;
    for named in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'gpusize.monitor_sample'::regclass
           and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - days
    loop
        execute format('drop table gpusize.%I', named);
        dropped := dropped + 1;
    end loop;
    delete from gpusize.monitor_host where sampled_at < now() - make_interval(days => days);
    return dropped;
end $$;
comment on function gpusize.monitor_keep is
    'Drops the days of monitor_sample that ended more than so many days ago, and hosts that were silent for as long. '
    'Nothing while another does.';
revoke execute on function gpusize.monitor_make_days, gpusize.monitor_keep from public;
