/* judge.h owns the figures of a device: which members of a report they are, and whether they can be believed. */
#pragma once
#include "catalog/calibration.h"
#include "wire/members.h"

/* Without any figure. */
struct calibration calibration_empty(void);

/* Sets the figures that the device's fit has, or else its results. Returns which, as bits for judge_calibration; 0:
 * none that answers use. */
uint32_t figures_read(struct reading *reading, const char *path, const json_t *item, struct calibration *calibration);
/* Why a device has no figure, for people: constant text. */
const char *figures_why_none(const json_t *item);

struct judging {
    struct reading *reading;
    const char *path;
    const json_t *item;
    const struct calibration *usual; /* the published one of the GPU; NULL: there is none */
    uint32_t figures;                /* of figures_read */
    bool slice;                      /* of a multi-instance GPU */
    double memory_distance;          /* |ln| of the memory over that of the catalog's GPU; UNKNOWN */
};
/* Adds a problem for each figure that is beyond what the part can do. Returns why the others are suspect, "": they are
 * not. */
const char *judge_calibration(const struct judging *judging, struct calibration *calibration);
