/* pages.h owns the files that the service hands out as they are: the contract and the documentation page. */
#pragma once
#include "catalog/embed.h"

extern const struct embedded_file api_pages[]; /* service/api/pages */
