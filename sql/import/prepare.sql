-- prepare.sql owns what is refused by looking at all lines together, and which line of an offer counts: the newest.
select gpusize.lock_catalog();
analyze import_row;

update import_row r
   set field = 'usd_per_hour', reason = 'lines ' || twice.lines || ' give it different prices on one day'
  from (select key, as_of, array_to_string((array_agg(line order by line))[1:5], ', ') as lines
          from import_row where reason is null group by key, as_of having min(usd) <> max(usd)) twice
 where r.reason is null and r.key = twice.key and r.as_of = twice.as_of;

create temporary table import_new on commit drop as
select distinct on (key) * from import_row where reason is null order by key, as_of desc, line;
create index on import_new (key);
analyze import_new;
