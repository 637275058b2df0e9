/**
 * xml.h - takes a few elements out of an XML answer.
 */

#ifndef LLMUX_CREDENTIAL_XML_H
#define LLMUX_CREDENTIAL_XML_H

#include "llmux/core.h"

/* An element that is wanted. */
typedef struct llmux_xml_pick_t {
    const char *path;       /* from the root: "Response/Error/Code" */
    llmux_slice_t text;     /* out: what stands in it, without space around
                             * it; absent if there is no such element */
} llmux_xml_pick_t;

/**
 * Fills in the texts, which point into `doc`. Only what services write is
 * understood: elements, attributes (unread), comments, the declaration.
 * @return 0 if it is anything else: not well-formed, with a DTD or CDATA,
 *         nested deeper than LLMUX_XML_DEPTH_MAX; or if what is wanted comes
 *         twice, has elements or comments inside, or entities. The texts are
 *         then void.
 */
int llmux_xml_pick(llmux_slice_t doc, llmux_xml_pick_t *picks, int count);

#endif
