-- 0004_fits.sql owns what rows of one model on one GPU say beside the coefficients of a profile.

alter table gpusize.engine_profile
    add load gpusize.name_id,
    add gpu gpusize.name_id,
    add family gpusize.short_text,
    add weight_dtype gpusize.name_id;
do $$
begin -- the key of 0001, whose name is what the server made of its columns
    execute (select format('alter table gpusize.engine_profile drop constraint %I', conname)
               from pg_constraint where conrelid = 'gpusize.engine_profile'::regclass and contype = 'u');
end $$;
alter table gpusize.engine_profile
    add constraint engine_profile_key unique nulls not distinct (to_version, engine, version_from, version_to,
                                                                 coefficient, load, gpu, family, weight_dtype);
call gpusize.keep_history('gpusize.engine_profile');
call gpusize.describe('gpusize.engine_profile', 'Coefficients of an engine in a range of versions, one a row.', '{
    "coefficient": "Its name, or inherits; of a group of rows: rows, time_ratio, time_factor, ttft_ratio, ttft_factor.",
    "load": "Of a group of rows: served, saturated or static; null: of the profile.",
    "gpu": "Of a group of rows: the GPU that was measured.",
    "family": "Of a group of rows: the family of models.",
    "weight_dtype": "Of a group of rows: the format of the weights."}');
