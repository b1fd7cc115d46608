insert into gpusize.audit_log (action, subject, new, catalog_version)
values ('import', 'catalog', jsonb_build_object('rows', $1::bigint),
        nullif(current_setting('gpusize.version', true), '')::bigint)
