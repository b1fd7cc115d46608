/* fleet.h owns what the operations about whole fleets share: the fields of a struct recommend_request, its
 * resolution, and how an option is written. */
#pragma once
#include "api/common.h"
#include "sizing/recommend.h"

extern const struct field fleet_fields[];
enum { FLEET_FIELD_COUNT = 63 };

struct fleet_answer {
    struct recommend_request request;
    struct api_model model;
    struct recommendation recommendation;
};

/* Decodes, resolves, recommends and sets the id. `alternatives` is used where the request says nothing. */
enum status fleet_answer(struct call *call, const struct operation *operation, int64_t alternatives,
                         struct fleet_answer *ret_answer) MUST_CHECK;

void fleet_put_option(struct out *out, const char *key, const struct call *call, const struct fleet_answer *answer,
                      const struct option *option);
void fleet_put_rejections(struct out *out, const struct call *call, const struct recommendation *recommendation);
void fleet_put_relaxations(struct out *out, const struct recommendation *recommendation);
