// ai-recorded.mjs - every recorded answer, said in every dialect, as the packages
// of Vercel's AI SDK take it. t/58-sdk-ai-recorded.t starts it with two files, line
// by line in step: what the recordings are, {file, from, error, want}, and what
// became of them, {dialect: {whole, stream}}. A line of standard output is one
// answer to one package: {file, to, form, wrong: [[field, got, want]]}.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText, wrapLanguageModel } from 'ai';
import { failed, failure, wanted } from './cross-want.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
console.warn = () => {};

const piece = 4096;

// ---- packages

// Where the whole answer comes from.
function fetching({ form, status, bytes }) {
    const type = form === 'stream' && status === 200 ? 'text/event-stream' : 'application/json';
    return async () => new Response(new ReadableStream({
        start(controller) {
            for (let at = 0; at < bytes.length; at += piece) {
                controller.enqueue(bytes.subarray(at, at + piece));
            }
            controller.close();
        },
    }), { status: status || 500, headers: { 'content-type': type } });
}

// What each takes, its word for each of the dialect's for an end, what it calls
// a refusal and whether it hands on what that says, and what it is told of
// tokens that nobody counted.
const openai = { stop: 'stop', length: 'length', tool_calls: 'tool-calls',
                 content_filter: 'content-filter' };
const packages = {
    '@ai-sdk/openai, chat': { dialect: 'openai', ends: openai, refusal: 'content-filter',
        model: (more) => createOpenAI(more).chat('m') },
    '@ai-sdk/openai-compatible': { dialect: 'openai', thoughts: true, ends: openai,
        model: (more) => createOpenAICompatible({ name: 'us', includeUsage: true,
                                                  baseURL: 'http://us/v1', ...more })('m') },
    '@ai-sdk/openai': { dialect: 'responses', thoughts: true, refusal: 'content-filter',
        ends: { completed: 'stop', max_output_tokens: 'length', content_filter: 'content-filter',
                failed: 'error' },
        model: (more) => createOpenAI(more)('m') },
    '@ai-sdk/anthropic': { dialect: 'anthropic', thoughts: true, uncounted: 0,
        ends: { end_turn: 'stop', stop_sequence: 'stop', pause_turn: 'stop', tool_use: 'tool-calls',
                max_tokens: 'length', refusal: 'content-filter' },
        model: (more) => createAnthropic(more)('m') },
    '@ai-sdk/google': { dialect: 'gemini', thoughts: true,
        ends: { STOP: 'stop', MAX_TOKENS: 'length', SAFETY: 'content-filter',
                MALFORMED_FUNCTION_CALL: 'error', UNEXPECTED_TOOL_CALL: 'other',
                MODEL_ARMOR: 'other' },
        model: (more) => createGoogleGenerativeAI(more)('m') },
};

// Ids that we make are made without chance here, and so are all the same; calls
// of one id would be one call.
const middleware = {
    specificationVersion: 'v3',
    async wrapGenerate({ doGenerate }) {
        const result = await doGenerate();
        result.content.forEach((part, i) => {
            if (part.type === 'tool-call' && !part.providerExecuted) {
                part.toolCallId += i;
            }
        });
        return result;
    },
};

async function whole(options) {
    const { text, reasoningText, toolCalls, finishReason, usage } = await generateText(options);
    return { text, reasoning: reasoningText ?? '', calls: toolCalls, finish: finishReason, usage };
}

async function streamed(options) {
    const got = { text: '', reasoning: '', calls: [] };
    const takes = {
        'text-delta': (part) => { got.text += part.text; },
        'reasoning-delta': (part) => { got.reasoning += part.text; },
        'tool-call': (part) => { got.calls.push(part); },
        finish: (part) => { got.finish = part.finishReason; got.usage = part.totalUsage; },
        error: (part) => { throw part.error; },
    };
    for await (const part of streamText({ ...options, onError() {} }).fullStream) {
        takes[part.type]?.(part);
    }
    return got;
}

// ---- comparing

function differ(field, got, want) {
    return isDeepStrictEqual(got, want) ? [] : [[field, got, want]];
}

// Between messages and between the paragraphs of a thought there are empty
// lines, or none.
function squeezed(text) {
    return text.replace(/\n+/g, '');
}

// Calls make an end of their own where the dialect has no word for it.
function endOf({ ends, dialect, refusal: refused }, { finish, calls, refusal }) {
    const plain = refusal && refused || ends[finish] || finish;
    return plain === 'stop' && calls.length && ['responses', 'gemini'].includes(dialect)
        ? 'tool-calls' : plain;
}

function textOf({ refusal: refused }, { text, refusal }) {
    return refused ? text + refusal : text;
}

// Google's package leaves the tokens out that its tools have read.
function tokensOf({ dialect, uncounted }, usage, raw) {
    const read = dialect === 'gemini' ? raw?.toolUsePromptTokenCount ?? 0 : 0;
    return usage ? [usage.input - read, usage.output] : [uncounted, uncounted];
}

// Calls that the provider has answered itself are not for the client.
function callsOf(calls) {
    return calls.filter((call) => !call.providerExecuted)
        .map(({ toolName, input }) => [toolName, input]);
}

function answerDiffers({ from, to, want }, got) {
    const { dialect, thoughts } = packages[to];
    const { choices: [said], usage } = wanted(from, dialect, want);
    return [
        ...differ('text', squeezed(got.text), squeezed(textOf(packages[to], said))),
        ...differ('reasoning', squeezed(got.reasoning), thoughts ? squeezed(said.reasoning) : ''),
        ...differ('calls', callsOf(got.calls), said.calls.map(({ name, args }) => [name, args])),
        ...differ('finish', got.finish, endOf(packages[to], said)),
        ...differ('usage', [got.usage.inputTokens, got.usage.outputTokens],
                  tokensOf(packages[to], usage, want.usage_raw)),
    ];
}

// It raises its own error, with the provider's words in it.
function failureDiffers({ want, status }, error) {
    const words = failure(want);
    const text = error.message ?? error.error?.message ?? JSON.stringify(error);
    if (status === 200) {
        return words ? differ('message', text.includes(words) || text, true) : [];
    }
    return [
        ...differ('error', APICallError.isInstance(error) || text, true),
        ...differ('status', error.statusCode, status),
        ...(words ? differ('message', text.includes(words) || text, true) : [])];
}

async function tried(cell) {
    const { form, to, fails } = cell;
    const model = wrapLanguageModel({ middleware,
        model: packages[to].model({ apiKey: 'x', fetch: fetching(cell) }) });
    try {
        const got = await (form === 'whole' ? whole : streamed)(
            { model, prompt: 'go on', maxRetries: 0 });
        return fails ? [['error', got, 'an error']] : answerDiffers(cell, got);
    } catch (error) {
        return fails ? failureDiffers(cell, error)
                     : [['client', String(error.stack ?? JSON.stringify(error)).slice(0, 800),
                         'takes it']];
    }
}

// ---- all of them

async function *lines(path) {
    for await (const line of createInterface({ input: createReadStream(path) })) {
        yield JSON.parse(line);
    }
}

async function takeAll({ file, from, error }, want, said) {
    for (const [to, { dialect }] of Object.entries(packages)) {
        for (const [form, { status, bytes }] of Object.entries(said[dialect])) {
            const wrong = await tried({ from, to, form, want, status, bytes: Buffer.from(bytes),
                                        fails: error || failed(want) });
            console.log(JSON.stringify({ file, to, form, wrong }));
        }
    }
}

const [, , cases, answers] = process.argv;
const said = lines(answers);
for await (const about of lines(cases)) {
    const { value } = await said.next();
    const { want } = about;
    // Nobody asks for several answers by these packages.
    if (!want.choices) {
        await takeAll(about, want, value);
    }
}
