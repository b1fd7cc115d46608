select operation, question_form, catalog_version, estimator_version, answer_hash, asked_on,
    encode(question, 'hex') as question, encode(answer, 'hex') as answer
from gpusize.recommendation
where id = $1
