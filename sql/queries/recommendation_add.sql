insert into gpusize.recommendation
    (id, operation, question, question_form, asked_on, catalog_version, estimator_version, answer, answer_hash, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing
