select pg_advisory_xact_lock(7301001, 3)
