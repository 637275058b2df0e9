/* gemini_write.c - a client's request becomes the body of generateContent. */

#include <apr_strings.h>

#include "tap.h"

#include "llmux/dialect.h"

static const struct {
    const char *name, *model, *chat, *want, *warnings;
} cases[] = {
    { "texts, roles, neighbours joined",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"system\",\"content\":\"s1\"},{\"role\":"
      "\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"s2\"}]},{"
      "\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content"
      "\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"a"
      "ssistant\",\"content\":\"\"},{\"role\":\"system\",\"content\":\"la"
      "te\"},{\"role\":\"user\",\"name\":\"Al\",\"content\":\"d\"}]}",
      "{\"systemInstruction\":{\"parts\":[{\"text\":\"s1\"},{\"text\":\"s"
      "2\"}]},\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\""
      "},{\"text\":\"b\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"c"
      "\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"<system>late</syst"
      "em>\"},{\"text\":\"Al: d\"}]}],\"generationConfig\":{}}",
      "approx=name; emulate=messages.role" },
    { "system messages alone",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":"
      "\"system\",\"content\":\"b\"}]}",
      "{\"systemInstruction\":{\"parts\":[{\"text\":\"a\"}]},\"contents\""
      ":[{\"role\":\"user\",\"parts\":[{\"text\":\"b\"}]}],\"generationCo"
      "nfig\":{}}",
      "emulate=messages.role" },
    { "numbers as they were spelled",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"temperatu"
      "re\":0.10,\"top_p\":1e0,\"max_completion_tokens\":5,\"n\":2,\"seed"
      "\":4294967301,\"stop\":[\"a\",\"b\",\"c\",\"d\"],\"presence_penalt"
      "y\":0.5,\"frequency_penalty\":-0.5,\"logprobs\":true,\"top_logprob"
      "s\":3}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"temperature\":0.10,\"topP\":1e0,\"candidat"
      "eCount\":2,\"maxOutputTokens\":5,\"stopSequences\":[\"a\",\"b\",\""
      "c\",\"d\"],\"seed\":5,\"presencePenalty\":0.5,\"frequencyPenalty\""
      ":-0.5,\"responseLogprobs\":true,\"logprobs\":3}}",
      "approx=seed" },
    { "what has no place there",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"logit_bia"
      "s\":{\"1\":2},\"verbosity\":\"low\",\"user\":\"u\",\"metadata\":{"
      "\"a\":\"b\"},\"store\":true,\"prompt_cache_key\":\"k\",\"service_t"
      "ier\":\"scale\",\"odd\":1,\"safety_settings\":[{\"category\":\"X\""
      "}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{},\"safetySettings\":[{\"category\":\"X\"}]}",
      "drop=odd,service_tier,logit_bias,verbosity,user,metadata,store,"
      "prompt_cache_key" },
    { "service tiers",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"service_t"
      "ier\":\"default\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{},\"serviceTier\":\"standard\"}",
      NULL },
    { "a JSON answer by schema",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"response_"
      "format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\""
      ",\"schema\":{\"$schema\":\"x\",\"type\":\"object\",\"properties\":"
      "{\"z\":{\"$ref\":\"#/$defs/A\"},\"a\":{\"enum\":[1,2.0]}},\"$defs"
      "\":{\"A\":{\"type\":\"string\"}}}}}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"responseMimeType\":\"application/json\",\""
      "responseJsonSchema\":{\"type\":\"object\",\"properties\":{\"z\":{"
      "\"$ref\":\"#/$defs/A\"},\"a\":{\"enum\":[1,2.0]}},\"$defs\":{\"A\""
      ":{\"type\":\"string\"}}}}}",
      NULL },
    { "the same for an old model",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"response_"
      "format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\""
      ",\"schema\":{\"$schema\":\"x\",\"type\":\"object\",\"properties\":"
      "{\"z\":{\"$ref\":\"#/$defs/A\"}},\"$defs\":{\"A\":{\"type\":\"stri"
      "ng\"}}}}}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"responseMimeType\":\"application/json\",\""
      "responseSchema\":{\"type\":\"OBJECT\",\"properties\":{\"z\":{\"typ"
      "e\":\"STRING\"}}}}}",
      NULL },
    { "a JSON answer",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"response_"
      "format\":{\"type\":\"json_object\"}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"responseMimeType\":\"application/json\"}}",
      NULL },
    { "tools",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description"
      "\":\"d\",\"parameters\":{\"$schema\":\"x\",\"type\":\"object\",\"p"
      "roperties\":{\"a\":{\"type\":\"string\"}},\"additionalProperties\""
      ":false}}},{\"type\":\"function\",\"function\":{\"name\":\"g\",\"pa"
      "rameters\":{\"type\":\"object\",\"properties\":{}}}}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"descriptio"
      "n\":\"d\",\"parametersJsonSchema\":{\"type\":\"object\",\"properti"
      "es\":{\"a\":{\"type\":\"string\"}},\"additionalProperties\":false}"
      "},{\"name\":\"g\"}]}],\"generationConfig\":{}}",
      NULL },
    { "tools for an old model",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\""
      ":{\"$schema\":\"x\",\"type\":\"object\",\"properties\":{\"a\":{\"t"
      "ype\":\"string\"}},\"additionalProperties\":false},\"strict\":true"
      "}}],\"parallel_tool_calls\":false}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters"
      "\":{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\""
      "}}}}]}],\"generationConfig\":{}}",
      "drop=parallel_tool_calls; approx=tools.function.strict" },
    { "a strict tool is validated",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":tru"
      "e}}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],\"toolCo"
      "nfig\":{\"functionCallingConfig\":{\"mode\":\"VALIDATED\"}},\"gene"
      "rationConfig\":{}}",
      NULL },
    { "a forced strict tool stays forced",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":tru"
      "e}}],\"tool_choice\":\"required\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],\"toolCo"
      "nfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}},\"generation"
      "Config\":{}}",
      NULL },
    { "no tool shall be called",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choi"
      "ce\":\"none\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}],\"toolCo"
      "nfig\":{\"functionCallingConfig\":{\"mode\":\"NONE\"}},\"generatio"
      "nConfig\":{}}",
      NULL },
    { "one tool by name",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\""
      "function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type"
      "\":\"function\",\"function\":{\"name\":\"g\"}}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"},{\"name\":"
      "\"g\"}]}],\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"AN"
      "Y\",\"allowedFunctionNames\":[\"g\"]}},\"generationConfig\":{}}",
      NULL },
    { "some tools, or none",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\""
      "function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type"
      "\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools"
      "\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"},{\"name\":"
      "\"g\"}]}],\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"VA"
      "LIDATED\",\"allowedFunctionNames\":[\"g\"]}},\"generationConfig\":"
      "{}}",
      NULL },
    { "the same for an old model: others are not shown",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\""
      "function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type"
      "\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools"
      "\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"g\"}]}],\"toolCo"
      "nfig\":{\"functionCallingConfig\":{\"mode\":\"AUTO\"}},\"generatio"
      "nConfig\":{}}",
      NULL },
    { "a custom tool and its call",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"custom\",\"cu"
      "stom\":{\"name\":\"x\",\"input\":\"ls \\\"a\\\"\"}}]},{\"role\":\""
      "tool\",\"tool_call_id\":\"c\",\"content\":\"ok\"}],\"tools\":[{\"t"
      "ype\":\"custom\",\"custom\":{\"name\":\"x\",\"description\":\"d\"}"
      "}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"x\",\""
      "args\":{\"input\":\"ls \\\"a\\\"\"}}}]},{\"role\":\"user\",\"parts"
      "\":[{\"functionResponse\":{\"name\":\"x\",\"response\":{\"output\""
      ":\"ok\"}}}]}],\"tools\":[{\"functionDeclarations\":[{\"name\":\"x"
      "\",\"description\":\"d\",\"parametersJsonSchema\":{\"type\":\"obje"
      "ct\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\""
      ":[\"input\"]}}]}],\"generationConfig\":{}}",
      "approx=tools.custom" },
    { "searching the web",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"web_searc"
      "h_options\":{}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"tools\":[{\"googleSearch\":{}}],\"generationConfig\":{}}",
      NULL },
    { "results in the order of the calls, text behind them",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type"
      "\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\""
      "a\\\":1.0}\"}},{\"id\":\"2\",\"type\":\"function\",\"function\":{"
      "\"name\":\"g\",\"arguments\":\"\"}}]},{\"role\":\"tool\",\"tool_ca"
      "ll_id\":\"2\",\"content\":\"two\"},{\"role\":\"user\",\"content\":"
      "\"and\"},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"{"
      "\\\"$ref\\\":\\\"x\\\"}\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\""
      "args\":{\"a\":1.0}}},{\"functionCall\":{\"name\":\"g\",\"args\":{}"
      "}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\""
      ":\"f\",\"response\":{\"output\":\"{\\\"$ref\\\":\\\"x\\\"}\"}}},{"
      "\"functionResponse\":{\"name\":\"g\",\"response\":{\"output\":\"tw"
      "o\"}}},{\"text\":\"and\"}]}],\"generationConfig\":{}}",
      NULL },
    { "a result that is missing, arguments that are no JSON",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type"
      "\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{oops"
      "\"}},{\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\""
      "g\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
      "\"2\",\"content\":\"two\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\""
      "args\":{\"_raw\":\"{oops\"}}},{\"functionCall\":{\"name\":\"g\",\""
      "args\":{}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":"
      "{\"name\":\"f\",\"response\":{\"error\":\"The tool gave no result."
      "\"}}},{\"functionResponse\":{\"name\":\"g\",\"response\":{\"output"
      "\":\"two\"}}}]}],\"generationConfig\":{}}",
      "approx=tool_calls.function.arguments; emulate=tool_calls" },
    { "ids that come again",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type"
      "\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"
      "}]},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"a\"},{"
      "\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\""
      "1\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments"
      "\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content"
      "\":\"b\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\""
      "args\":{}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":"
      "{\"name\":\"f\",\"response\":{\"output\":\"a\"}}}]},{\"role\":\"mo"
      "del\",\"parts\":[{\"functionCall\":{\"name\":\"g\",\"args\":{}}}]}"
      ",{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"g"
      "\",\"response\":{\"output\":\"b\"}}}]}],\"generationConfig\":{}}",
      NULL },
    { "the signature of a call",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type"
      "\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"
      ",\"extra_content\":{\"google\":{\"thought_signature\":\"SIG\"}}},{"
      "\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\""
      "arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\","
      "\"content\":\"a\"},{\"role\":\"tool\",\"tool_call_id\":\"2\",\"con"
      "tent\":\"b\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\""
      "args\":{}},\"thoughtSignature\":\"SIG\"},{\"functionCall\":{\"name"
      "\":\"g\",\"args\":{}}}]},{\"role\":\"user\",\"parts\":[{\"function"
      "Response\":{\"name\":\"f\",\"response\":{\"output\":\"a\"}}},{\"fu"
      "nctionResponse\":{\"name\":\"g\",\"response\":{\"output\":\"b\"}}}"
      "]}],\"generationConfig\":{}}",
      NULL },
    { "a signature that a thought kept",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"reasoning_details\":[{\"type\":\"re"
      "asoning.text\",\"text\":\"hm\",\"signature\":\"T\",\"format\":\"go"
      "ogle-gemini-v1\"}],\"tool_calls\":[{\"id\":\"1\",\"type\":\"functi"
      "on\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role"
      "\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"a\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\""
      "args\":{}},\"thoughtSignature\":\"T\"}]},{\"role\":\"user\",\"part"
      "s\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{\"output"
      "\":\"a\"}}}]}],\"generationConfig\":{}}",
      NULL },
    { "a signature that is lost, or was made by others",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"reasoning_details\":[{\"type\":\"re"
      "asoning.text\",\"text\":\"hm\",\"signature\":\"T\",\"format\":\"an"
      "thropic-claude-v1\"}],\"tool_calls\":[{\"id\":\"1\",\"type\":\"fun"
      "ction\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id"
      "\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"argu"
      "ments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"con"
      "tent\":\"a\"},{\"role\":\"tool\",\"tool_call_id\":\"2\",\"content"
      "\":\"b\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\""
      "args\":{}},\"thoughtSignature\":\"skip_thought_signature_validator"
      "\"},{\"functionCall\":{\"name\":\"g\",\"args\":{}}}]},{\"role\":\""
      "user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response"
      "\":{\"output\":\"a\"}}},{\"functionResponse\":{\"name\":\"g\",\"re"
      "sponse\":{\"output\":\"b\"}}}]}],\"generationConfig\":{}}",
      "drop=reasoning_content" },
    { "a signature on text",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":\"yo\",\"reasoning_details\":[{\"type\":\""
      "reasoning.encrypted\",\"data\":\"T\",\"format\":\"google-gemini-v1"
      "\"}]},{\"role\":\"user\",\"content\":\"x\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"text\":\"yo\",\"thoughtSignature"
      "\":\"T\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}],\"ge"
      "nerationConfig\":{}}",
      NULL },
    { "a signature behind the words, in a message of its own",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":\"yo\",\"reasoning_content\":\"hm\"},{"
      "\"role\":\"assistant\",\"content\":\"\",\"reasoning_details\":[{"
      "\"type\":\"reasoning.encrypted\",\"data\":\"T\",\"format\":\""
      "google-gemini-v1\"}]},{\"role\":\"user\",\"content\":\"x\"}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},{"
      "\"role\":\"model\",\"parts\":[{\"text\":\"yo\",\"thoughtSignature"
      "\":\"T\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}],\"ge"
      "nerationConfig\":{}}",
      NULL },
    { "pictures, sounds and documents",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_u"
      "rl\",\"image_url\":{\"url\":\"data:image/jpg;base64,iVBORw0KGgo=\""
      ",\"detail\":\"high\"}},{\"type\":\"input_audio\",\"input_audio\":{"
      "\"data\":\"AAAA\",\"format\":\"wav\"}},{\"type\":\"file\",\"file\""
      ":{\"file_data\":\"data:application/pdf;base64,JVBERi0=\",\"filenam"
      "e\":\"a.pdf\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"h"
      "ttps://e.x/a.webp?b=c.png\"}},{\"type\":\"image_url\",\"image_url"
      "\":{\"url\":\"gs://b/c.gif\"}}]}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"mi"
      "meType\":\"image/png\",\"data\":\"iVBORw0KGgo=\"},\"mediaResolutio"
      "n\":{\"level\":\"MEDIA_RESOLUTION_HIGH\"}},{\"inlineData\":{\"mime"
      "Type\":\"audio/wav\",\"data\":\"AAAA\"}},{\"inlineData\":{\"mimeTy"
      "pe\":\"application/pdf\",\"data\":\"JVBERi0=\"}},{\"fileData\":{\""
      "mimeType\":\"image/webp\",\"fileUri\":\"https://e.x/a.webp?b=c.png"
      "\"}},{\"fileData\":{\"mimeType\":\"image/gif\",\"fileUri\":\"gs://"
      "b/c.gif\"}}]}],\"generationConfig\":{}}",
      NULL },
    { "places that old models know too",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_u"
      "rl\",\"image_url\":{\"url\":\"https://youtu.be/x\",\"detail\":\"lo"
      "w\"}},{\"type\":\"file\",\"file\":{\"file_id\":\"files/abc\",\"fil"
      "ename\":\"a.pdf\"}}]}]}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"fileData\":{\"mime"
      "Type\":\"video/mp4\",\"fileUri\":\"https://youtu.be/x\"}},{\"fileD"
      "ata\":{\"mimeType\":\"application/pdf\",\"fileUri\":\"https://gene"
      "rativelanguage.googleapis.com/v1beta/files/abc\"}}]}],\"generation"
      "Config\":{}}",
      "drop=image_url.detail" },
    { "effort as a level",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "_effort\":\"medium\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true"
      ",\"thinkingLevel\":\"MEDIUM\"}}}",
      NULL },
    { "a level that is missing",
      "models/gemini-3-pro-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "_effort\":\"none\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":\"LOW"
      "\"}}}",
      "approx=reasoning_effort" },
    { "effort as a budget",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "_effort\":\"low\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true"
      ",\"thinkingBudget\":1024}}}",
      NULL },
    { "no thinking",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "_effort\":\"none\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":0}}}",
      NULL },
    { "no thinking where it cannot be",
      "gemini-2.5-pro",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "_effort\":\"none\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":128}}"
      "}",
      "approx=reasoning_effort" },
    { "a budget of tokens",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "\":{\"max_tokens\":700,\"exclude\":true}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":700}}"
      "}",
      NULL },
    { "a budget as a level",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "\":{\"max_tokens\":700}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true"
      ",\"thinkingLevel\":\"MINIMAL\"}}}",
      NULL },
    { "a model that does not think",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"reasoning"
      "_effort\":\"high\"}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{}}",
      "drop=reasoning_effort" },
    { "an answer that is spoken",
      "gemini-2.5-flash-preview-tts",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"modalitie"
      "s\":[\"text\",\"audio\"],\"audio\":{\"voice\":\"Kore\",\"format\":"
      "\"pcm16\"}}",
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}],"
      "\"generationConfig\":{\"responseModalities\":[\"AUDIO\"],\"speechC"
      "onfig\":{\"voiceConfig\":{\"prebuiltVoiceConfig\":{\"voiceName\":"
      "\"Kore\"}}}}}",
      NULL }
};

static const struct {
    const char *name, *model, *chat;
    llmux_error_e kind;
    const char *param;
} refused[] = {
    { "a result without a call",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type"
      "\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"
      "}]},{\"role\":\"tool\",\"tool_call_id\":\"9\",\"content\":\"a\"}]}",
      LLMUX_ERR_INVALID, "messages[2]" },
    { "a result before its call",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\""
      "tool\",\"tool_call_id\":\"1\",\"content\":\"a\"},{\"role\":\"assis"
      "tant\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"funct"
      "ion\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}",
      LLMUX_ERR_INVALID, "messages[1]" },
    { "an address that an old model does not fetch",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_u"
      "rl\",\"image_url\":{\"url\":\"https://e.x/a.png\"}}]}]}",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "an address without encryption",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_u"
      "rl\",\"image_url\":{\"url\":\"http://e.x/a.png\"}}]}]}",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "a file of somebody else",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\","
      "\"file\":{\"file_id\":\"file-abc\"}}]}]}",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "nothing to say",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}",
      LLMUX_ERR_INVALID, "messages" },
    { "a schema beside tools for an old model",
      "gemini-2.5-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"response_"
      "format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\""
      ",\"schema\":{\"type\":\"object\"}}}}",
      LLMUX_ERR_UNSUPPORTED, "response_format" },
    { "tools beside a search",
      "gemini-3-flash-preview",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"web_searc"
      "h_options\":{}}",
      LLMUX_ERR_UNSUPPORTED, "web_search_options" },
    { "parameters with a $ref to nothing",
      "gemini-2.0-flash",
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":["
      "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\""
      ":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/x\"}}}}}"
      "]}",
      LLMUX_ERR_INVALID, "tools[0].function.parameters" }
};

static llmux_chat_t *read_chat(apr_pool_t *p, const char *body)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_json_t *v = llmux_json_parse(p, llmux_slice(body), 0, NULL);
    const llmux_error_t *err = llmux_dialect_openai.read(chat, v);

    if (err) {
        printf("# not read: %s\n", err->message);
    }
    return err ? NULL : chat;
}

static const llmux_error_t *write_chat(llmux_buf_t *out, llmux_chat_t *chat,
                                       const char *model,
                                       llmux_warnings_t *w, apr_pool_t *p)
{
    llmux_target_t target = { "google", { NULL, 0 }, 0, 0, NULL };

    target.model = llmux_slice(model);
    return llmux_dialect_gemini.write(out, chat, &target, w, p);
}

static void one(apr_pool_t *p, apr_size_t i)
{
    llmux_chat_t *chat = read_chat(p, cases[i].chat);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 20);
    llmux_buf_t *again = llmux_buf_create(p, 1 << 20);
    const llmux_error_t *err;

    if (!ok(chat != NULL, "%s can be read", cases[i].name)) {
        return;
    }
    err = write_chat(out, chat, cases[i].model, w, p);
    is_str(err ? err->message : out->data, cases[i].want, cases[i].name);
    is_str(llmux_warnings_header(p, w), cases[i].warnings, "its warnings");
    write_chat(again, chat, cases[i].model, w, p);
    ok(llmux_slice_equal(llmux_buf_slice(out), llmux_buf_slice(again)),
       "the same again");
    ok(llmux_json_is_object(p, llmux_buf_slice(out)), "it is JSON");
}

static void one_refused(apr_pool_t *p, apr_size_t i)
{
    llmux_chat_t *chat = read_chat(p, refused[i].chat);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 20);
    const llmux_error_t *err;

    if (!ok(chat != NULL, "%s can be read", refused[i].name)) {
        return;
    }
    err = write_chat(out, chat, refused[i].model, llmux_warnings_create(p, 0),
                     p);
    if (ok(err != NULL, "%s is refused", refused[i].name)) {
        is_int(err->kind, refused[i].kind, "its kind");
        is_str(err->param, refused[i].param, "its place");
    }
}

/* ---- Vertex AI ------------------------------------------------------- */

#define HI "{\"role\":\"user\",\"content\":\"hi\"}"
#define SENT "{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}"
#define PICTURE(url) "{\"role\":\"user\",\"content\":[{\"type\":" \
    "\"image_url\",\"image_url\":{\"url\":\"" url "\"}}]}"
#define FETCHED(url) "{\"role\":\"user\",\"parts\":[{\"fileData\":{" \
    "\"mimeType\":\"image/png\",\"fileUri\":\"" url "\"}}]}"
#define FILES "https://generativelanguage.googleapis.com/v1beta/files/a"

/* The content, and members behind it; what becomes of both, or where it is
 * refused. */
static const struct {
    const char *name, *chat, *more, *want, *rest, *warnings;
} vertex[] = {
    { "tiers are not in the body", HI, ",\"service_tier\":\"default\"", SENT,
      "", NULL },
    { "... and lost if they are others", HI, ",\"service_tier\":\"flex\"",
      SENT, "", "drop=service_tier" },
    { "metadata are labels", HI,
      ",\"metadata\":{\"team\":\"a-1_\",\"k\":\"\"}", SENT,
      ",\"labels\":{\"team\":\"a-1_\",\"k\":\"\"}", NULL },
    { "... if they can be", HI, ",\"metadata\":{\"Team\":\"a\",\"1a\":\"a\","
      "\"b\":\"B\",\"\":\"b\",\"c\":\"c d\",\"e\":\"f\"}", SENT,
      ",\"labels\":{\"e\":\"f\"}", "drop=metadata" },
    { "... or there are none", HI, ",\"metadata\":{}", SENT, "", NULL },
    { "a picture by https", PICTURE("https://x.example/a.png"), "",
      FETCHED("https://x.example/a.png"), "", NULL },
    { "a picture in a bucket", PICTURE("gs://b/a.png"), "",
      FETCHED("gs://b/a.png"), "", NULL },
    { "a picture that it cannot see", PICTURE(FILES), "", NULL,
      "messages[0].content[0]", NULL },
    { "a file that it cannot see", "{\"role\":\"user\",\"content\":[{"
      "\"type\":\"file\",\"file\":{\"file_id\":\"files/abc\"}}]}", "",
      NULL, "messages[0].content[0]", NULL },
    { "... however it is named", "{\"role\":\"user\",\"content\":[{"
      "\"type\":\"file\",\"file\":{\"file_id\":\"" FILES "\"}}]}", "",
      NULL, "messages[0].content[0]", NULL }
};

static void test_vertex(apr_pool_t *p, apr_size_t i)
{
    llmux_target_t target = { .name = "Vertex", .vertex = 1 };
    llmux_warnings_t *w = llmux_warnings_create(p, 0);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 16);
    const llmux_error_t *err;

    target.model = llmux_slice("gemini-2.0-flash");
    err = llmux_dialect_gemini.write(
        out, read_chat(p, apr_psprintf(p, "{\"messages\":[%s]%s}",
                                       vertex[i].chat, vertex[i].more)),
        &target, w, p);
    if (!vertex[i].want) {
        is_str(err ? err->param : "(written)", vertex[i].rest,
               vertex[i].name);
        return;
    }
    is_str(out->data, apr_psprintf(p, "{\"contents\":[%s],"
           "\"generationConfig\":{}%s}", vertex[i].want, vertex[i].rest),
           vertex[i].name);
    is_str(llmux_warnings_header(p, w), vertex[i].warnings,
           "  ... its warnings");
}

/* What only other clients than OpenAI's can say. */
static void by_hand(apr_pool_t *p, const char *model, const char *want,
                    const char *name)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_message_t *m = llmux_chat_message(chat, LLMUX_ROLE_ASSISTANT);
    llmux_block_t *b = llmux_message_block(chat, m, LLMUX_BLOCK_CALL);
    llmux_buf_t *out = llmux_buf_create(p, 4096);
    llmux_media_t media = { .kind = LLMUX_MEDIA_IMAGE };
    llmux_call_t call = { .custom = 0 };
    llmux_result_t result = { .is_error = LLMUX_YES };
    llmux_block_t picture = { .kind = LLMUX_BLOCK_MEDIA, .media = &media };
    llmux_block_t second = { .kind = LLMUX_BLOCK_TEXT, .next = &picture };
    llmux_block_t first = { .kind = LLMUX_BLOCK_TEXT, .next = &second };

    call.id = llmux_slice("1");
    call.name = llmux_slice("f");
    b->call = &call;
    m = llmux_chat_message(chat, LLMUX_ROLE_USER);
    b = llmux_message_block(chat, m, LLMUX_BLOCK_RESULT);
    b->result = &result;
    result.call_id = call.id;
    result.blocks = &first;
    first.text = llmux_slice("x");
    second.text = llmux_slice("y");
    media.base64 = llmux_slice("iVBORw0KGgo=");
    media.detail = llmux_slice("high");
    write_chat(out, chat, model, NULL, p);
    is_str(out->data, want, name);
}

int main(void)
{
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one(p, i);
    }
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        one_refused(p, i);
    }
    for (i = 0; i < sizeof(vertex) / sizeof(vertex[0]); i++) {
        test_vertex(p, i);
    }
    by_hand(p, "gemini-3-flash",
            "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"
            "\"Begin.\"}]},"
            "{\"role\":\"model\",\"parts\":[{\"functionCall\":"
            "{\"name\":\"f\",\"args\":{}},\"thoughtSignature\":"
            "\"skip_thought_signature_validator\"}]},{\"role\":\"user\","
            "\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{"
            "\"error\":\"x\\ny\"},\"parts\":[{\"inlineData\":{\"mimeType\":"
            "\"image/png\",\"data\":\"iVBORw0KGgo=\"}}]}}]}],"
            "\"generationConfig\":{}}",
            "a result with a picture, and wrong");
    by_hand(p, "gemini-2.5-flash",
            "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":"
            "\"Begin.\"}]},"
            "{\"role\":\"model\",\"parts\":[{\"functionCall\":"
            "{\"name\":\"f\",\"args\":{}}}]},{\"role\":\"user\","
            "\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{"
            "\"error\":\"x\\ny\"}}},{\"text\":\"What f returned:\"},"
            "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":"
            "\"iVBORw0KGgo=\"}}]}],\"generationConfig\":{}}",
            "the same for an older model");
    apr_pool_destroy(p);
    return tap_done();
}
