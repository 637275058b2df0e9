/* statuses.h - the HTTP statuses that are counted apart. */

#ifndef LLMUX_STATUSES_H
#define LLMUX_STATUSES_H

#include "llmux/state.h"

/** Where a status is counted. */
int llmux_status_index(int status);

/** The label of that place: "200", or "other" for the last. */
const char *llmux_status_label(int index);

#endif
