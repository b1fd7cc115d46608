select currval(pg_get_serial_sequence('gpusize.offer', 'id')) as id
