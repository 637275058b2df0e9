/* words.c - what of a provider's words reaches clients and logs. */

#include "llmux/provider.h"
#include "tap.h"

static const struct {
    const char *said, *told;
} cases[] = {
    { "", "" },
    { "Too many requests", "Too many requests" },
    { "Limit reached in organization org-4bZq81xx on tokens",
      "Limit reached in organization org-*** on tokens" },
    { "(org-4bZq81xx)", "(org-***)" },
    { "proj_0123456789 and sk-proj-abcdef", "proj_*** and sk-***" },
    { "key sk-...wxyz is wrong", "key sk-...wxyz is wrong" },
    { "Consumer 'project_number:123456789'",
      "Consumer 'project_number:***'" },
    { "AIzaSyA-1234567", "AIza***" },
    { "Publisher Model `projects/my-project-1/locations/eu/x` was not found.",
      "Publisher Model `projects/***/locations/eu/x` was not found." },
    { "for arn:aws:bedrock:us-east-1:123456789012:inference-profile/x.y:0.",
      "for arn:aws***." },
    { "no arn:aws: here, nor projects/x", "no arn:aws: here, nor projects/x" },
    { "ya29.a0AfH6-x.y_z was not taken", "ya29.*** was not taken" },
    { "AKIAIOSFODNN7EXAMPLE", "AKIA***" },
    { "the ASIAN projects/ of AKIAs", "the ASIAN projects/ of AKIAs" },
    { "risk-assessment, task-management", "risk-assessment, task-management" },
    { "ends with org-", "ends with org-" },
    { "\xc3\xa9 org-4bZq81xx \xc3\xa9", "\xc3\xa9 org-*** \xc3\xa9" },
};

int main(void)
{
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(llmux_provider_words(p, cases[i].said), cases[i].told,
               cases[i].said);
    }
    apr_pool_destroy(p);
    return tap_done();
}
