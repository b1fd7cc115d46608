select pg_advisory_xact_lock(7301002, hashtext($1))
