// openai.mjs - the official OpenAI client against a running gateway: every
// case, one after the other. t/50-sdk-openai.t starts it.
import { chatCases } from './chats.mjs';
import { errorCases } from './errors.mjs';
import { faultCases } from './faults.mjs';
import { recordedCases } from './recorded.mjs';
import { plan } from './tap.mjs';
import { toolCases } from './tools.mjs';

await chatCases();
await toolCases();
await errorCases();
await faultCases();
await recordedCases();
plan();
process.exit(0);
