/* article.h owns the arithmetic of the article that the service grew out of, to the digit: "estimator": "article".
 * Why it is wrong as an estimate: docs/article.md. Private to sizing except article_memory_gib. */
#pragma once
#include "sizing/recommend.h"

/* calculate_model_memory of the article. */
double article_memory_gib(double parameters, double bits);

/* calculate_deployment_cost and recommend_configuration, with the relaxations that the article lacks. */
enum status article_recommend(const struct recommend_context *context, struct recommend_request *request,
                              struct arena *arena, struct problems *problems,
                              struct recommendation *ret_answer) MUST_CHECK;
