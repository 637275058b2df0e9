// ai.mjs - Vercel's AI SDK against a running gateway: each of its packages, with
// nothing changed but base URL and key, before a provider of each vendor.
// t/58-sdk-ai.t starts it.
import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embed, embedMany, generateObject, generateText, Output, stepCountIs,
         streamObject, streamText, tool } from 'ai';
import { z } from 'zod';
import { calls, clock, failure, key, late, letGo, neverEnds, pixel, said, sentPixel,
         trip, url, weather, words, work } from './doors.mjs';
import { anthropic, compatible, does, gemini, native, openai, read, saw, says } from './mock.mjs';
import { plan, test } from './tap.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

// ---- packages and providers

function packagesAt(path, apiKey) {
    const at = (version) => ({ baseURL: `${url}${path}${version}`, apiKey });
    return {
        openai: createOpenAI(at('/v1')),
        anthropic: createAnthropic(at('/v1')),
        google: createGoogleGenerativeAI(at('/v1beta')),
        // It gives signatures back if this is its name.
        compatible: createOpenAICompatible({ name: 'google', includeUsage: true,
            supportsStructuredOutputs: true, ...at('/v1') }),
    };
}

const packages = packagesAt('', key);

const doors = [
    { name: '@ai-sdk/openai, chat', of: (all, model) => all.openai.chat(model),
      providers: [anthropic, gemini, compatible, openai] },
    { name: '@ai-sdk/openai, responses', of: (all, model) => all.openai(model),
      providers: [anthropic, gemini, compatible, native] },
    { name: '@ai-sdk/anthropic', of: (all, model) => all.anthropic(model),
      providers: [openai, gemini, compatible, anthropic] },
    { name: '@ai-sdk/google', of: (all, model) => all.google(model),
      providers: [openai, anthropic, compatible, gemini] },
    { name: '@ai-sdk/openai-compatible', of: (all, model) => all.compatible(model),
      providers: [anthropic, gemini, openai, compatible] },
];
const [chat, responses, claude, google, plain] = doors;

// What all calls have. Nothing is tried again unless a case says so; nothing is
// kept here, which one of the packages must be told.
function ask(door, p, more = {}) {
    return { model: door.of(packages, p.model), maxRetries: 0,
             providerOptions: { openai: { store: false } },
             ...(!more.messages && { prompt: words }), ...more };
}

// What a stream says; what goes wrong in it is thrown.
async function parts(result) {
    const all = [];
    for await (const part of result.fullStream) {
        if (part.type === 'error') {
            throw Object.assign(part.error, { before: all });
        }
        all.push(part);
    }
    return all;
}

function stream(options) {
    return streamText({ onError() {}, ...options });
}

// Both ways to the same: {text, steps, totalUsage, ...}.
const ways = {
    whole: (options) => generateText(options),
    async streamed(options) {
        const result = stream(options);
        await parts(result);
        const names = ['text', 'steps', 'totalUsage', 'finishReason', 'reasoningText', 'response',
                       'toolCalls'];
        const values = await Promise.all(names.map((name) => result[name]));
        return Object.fromEntries(names.map((name, i) => [name, values[i]]));
    },
};

// ---- words

function isUsage(usage) {
    assert.deepEqual([usage.inputTokens, usage.outputTokens, usage.totalTokens], [10, 3, 13]);
}

async function talks(door, p, way) {
    await does({});
    const result = await ways[way](ask(door, p, { system: 'Be brief.', temperature: 0.5,
                                                 maxOutputTokens: 100 }));
    assert.equal(result.text, words);
    assert.equal(result.finishReason, 'stop');
    isUsage(result.totalUsage);
    assert.ok(result.response.id);
    const [request] = await saw();
    assert.match(JSON.stringify(request.json), /Be brief\./);
    assert.match(JSON.stringify(request.json), /100/);
    assert.ok(!JSON.stringify(request).includes(key));
}

async function deltas(door, p) {
    await does({});
    const all = await parts(stream(ask(door, p)));
    const texts = all.filter((part) => part.type === 'text-delta');
    assert.ok(texts.length >= 3);
    assert.equal(texts.map((part) => part.text).join(''), words);
    assert.equal(new Set(texts.map((part) => part.id)).size, 1);
    const order = all.map((part) => part.type).filter((type) => type !== 'text-delta');
    assert.deepEqual(order.filter((type) => type !== 'raw'),
        ['start', 'start-step', 'text-start', 'text-end', 'finish-step', 'finish']);
}

// ---- structure and pictures

const plannedTrip = z.object({ city: z.string(), days: z.array(z.int()) });

const planners = {
    generateObject: async (options) => (await generateObject(options)).object,
    async streamObject(options) {
        const { schema, ...rest } = options;
        const result = streamObject({ schema, onError() {}, ...rest });
        let last;
        for await (const partial of result.partialObjectStream) {
            last = partial;
        }
        assert.deepEqual(last, trip);
        return result.object;
    },
    async 'Output.object'({ schema, ...rest }) {
        return (await generateText({ ...rest, output: Output.object({ schema }) })).output;
    },
};

async function plans(door, p, name, more) {
    await does({ text: JSON.stringify(trip) });
    assert.deepEqual(await planners[name](ask(door, p, { schema: plannedTrip, ...more })), trip);
    // Google's own clients have a way of their own to say a schema.
    const [{ json }] = await saw();
    const own = json.generationConfig?.responseSchema;
    isSchema(own ?? read(p, { json }).schema);
}

// For models that it does not know, Anthropic's package has a tool of this name.
async function plansByTool(door, p, name) {
    await does(says(p, name === 'streamObject', { call: { id: 'call_a1', name: 'json',
                                                          args: trip } }));
    assert.deepEqual(await planners[name](ask(door, p, { schema: plannedTrip })), trip);
    const [{ json }] = await saw();
    const [sent] = json.tools;
    isSchema(sent.function?.parameters ?? sent.functionDeclarations[0].parametersJsonSchema);
    assert.match(JSON.stringify(json), /"tool_choice":(?:"required"|\{)|"mode":"ANY"/);
}

const asFormat = { providerOptions: { anthropic: { structuredOutputMode: 'outputFormat' } } };

function isSchema(sent) {
    assert.equal(sent.type.toLowerCase(), 'object');
    assert.deepEqual(sent.required, ['city', 'days']);
    assert.deepEqual(Object.keys(sent.properties), ['city', 'days']);
}

async function looks(door, p) {
    await does({});
    const { text } = await generateText(ask(door, p, { messages: [{ role: 'user', content: [
        { type: 'text', text: words },
        { type: 'image', image: Buffer.from(pixel, 'base64'), mediaType: 'image/png' }] }] }));
    assert.equal(text, words);
    await sentPixel(p);
}

// A file, which not everybody who is compatible takes.
const page = Buffer.from('%PDF-1.4\n%%EOF\n').toString('base64');

async function reads(door, p) {
    await does({});
    const { text } = await generateText(ask(door, p, { messages: [{ role: 'user', content: [
        { type: 'text', text: words },
        { type: 'file', data: Buffer.from(page, 'base64'), mediaType: 'application/pdf',
          filename: 'page.pdf' }] }] }));
    assert.equal(text, words);
    assert.ok(JSON.stringify((await saw())[0].json).includes(page));
}

// ---- tools

const tools = {
    weather: tool({ description: weather.description, inputSchema: z.object({ city: z.string() }),
                    execute: (args) => work('weather', args) }),
    clock: tool({ description: clock.description, inputSchema: z.object({}),
                  execute: (args) => work('clock', args) }),
};
const again = { id: 'call_b1', name: 'weather', args: { city: 'Bergen' } };
const results = [...calls, again].map((call) => work(call.name, call.args));

function isCall(part, call) {
    assert.deepEqual([part.toolName, part.input], [call.name, call.args]);
}

// Three calls at once, then one more, then an answer: each step is sent again.
async function works(door, p, way) {
    const streaming = way === 'streamed';
    await does(says(p, streaming, { text: 'Let me see.' }, ...said),
               says(p, streaming, { call: again }),
               says(p, streaming, { text: 'Take an umbrella.' }));
    const result = await ways[way](ask(door, p, { tools, stopWhen: stepCountIs(5) }));
    assert.equal(result.text, 'Take an umbrella.');
    assert.deepEqual(result.steps.map((step) => step.finishReason),
                     ['tool-calls', 'tool-calls', 'stop']);
    const [first, second] = result.steps;
    assert.equal(first.text, 'Let me see.');
    assert.equal(first.toolCalls.length, calls.length);
    first.toolCalls.forEach((part, i) => isCall(part, calls[i]));
    assert.equal(new Set(first.toolCalls.map((part) => part.toolCallId)).size, calls.length);
    isCall(second.toolCalls[0], again);
    assert.deepEqual([result.totalUsage.inputTokens, result.totalUsage.outputTokens], [33, 21]);
    await carried(p);
}

// What the provider saw of two steps when the third was asked.
async function carried(p) {
    const [, , third] = await saw(3);
    third.json.contents?.flatMap((c) => c.parts).forEach(({ functionResponse: said }) => {
        if (said) {
            said.response.output ??= said.response.content;
        }
    });
    const { calls: got, results: back } = read(p, third);
    assert.deepEqual(got.map(({ name, args }) => ({ name, args })),
                     [...calls, again].map(({ name, args }) => ({ name, args })));
    assert.deepEqual(back.map(inWords), results);
}

// Google's package puts each result into an object that has the tool's name, too.
function inWords(result) {
    return /^\{"name"/.test(result) ? JSON.parse(result).content : result;
}

async function toolDeltas(door, p) {
    await does(says(p, true, ...said));
    const all = await parts(stream(ask(door, p, { tools: noWork })));
    const of = (type) => all.filter((part) => part.type === type);
    const inputs = of('tool-input-start').map(({ id }) => of('tool-input-delta')
        .filter((part) => part.id === id).map((part) => part.delta).join(''));
    assert.deepEqual(inputs.map((text) => JSON.parse(text || '{}')), calls.map((c) => c.args));
    assert.equal(of('tool-input-end').length, calls.length);
    assert.deepEqual(of('tool-call').map((part) => part.toolCallId),
                     of('tool-input-start').map((part) => part.id));
    assert.equal(all.at(-1).finishReason, 'tool-calls');
}

// Tools that somebody else does the work of.
const noWork = Object.fromEntries(Object.entries(tools).map(([name, { execute, ...rest }]) =>
    [name, rest]));

async function chooses(door, p) {
    await does(says(p, false, said[1]));
    const { toolCalls } = await generateText(ask(door, p, { tools: noWork,
        toolChoice: { type: 'tool', toolName: 'weather' } }));
    assert.equal(toolCalls.length, 1);
    isCall(toolCalls[0], calls[1]);
    assert.match(JSON.stringify((await saw())[0].json),
        /"allowedFunctionNames":\["weather"\]|"tool_choice":\{.*"name":"weather"/);
}

// ---- reasoning

const signature = `Eq+/${'QUJD'.repeat(200)}==`;
const options = {
    anthropic: { thinking: { type: 'enabled', budgetTokens: 2000 } },
    openai: { reasoningEffort: 'low', reasoningSummary: 'auto', store: false,
              include: ['reasoning.encrypted_content'], forceReasoning: true },
    google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2000 },
              reasoningEffort: 'low' },
};

// A thought, a call and its result: the second step brings the thought back.
// `keeps`: does the package keep what it needs for that?
async function thinks(door, p, way, keeps, ...thought) {
    const streaming = way === 'streamed';
    await does(says(p, streaming, ...thought),
               says(p, streaming, { text: 'Rain.' }));
    const result = await ways[way](ask(door, p, { tools, stopWhen: stepCountIs(3),
                                                  providerOptions: options }));
    assert.equal(result.text, 'Rain.');
    assert.equal(result.steps[0].reasoningText, 'Hm, rain?');
    const [, second] = await saw(2);
    if (keeps) {
        hasThought[p.dialect](second.json);
    }
    else {
        assert.ok(!JSON.stringify(second.json).includes(signature));
    }
}

const hasThought = {
    anthropic({ messages }) {
        const { content } = messages.find((m) => m.role === 'assistant');
        assert.deepEqual(content[0], { type: 'thinking', thinking: 'Hm, rain?', signature });
    },
    gemini({ contents }) {
        const call = contents.flatMap((c) => c.parts).find((part) => part.functionCall);
        assert.equal(call.thoughtSignature, signature);
    },
};

const thoughts = [
    [anthropic, [{ thought: 'Hm, rain?', signature }, said[1]]],
    [gemini, [{ thought: 'Hm, rain?' }, { ...said[1], signature }]],
];

// Chats have no word for reasoning, or none that says who signed it, but for
// Gemini's calls.
const keepers = { [responses.name]: ['anthropic', 'gemini'], [claude.name]: ['anthropic', 'gemini'],
                  [google.name]: ['anthropic', 'gemini'], [plain.name]: ['gemini'] };

// ---- errors

// [what the provider does, the status that is shown]: its opinion of our key is
// not the client's business.
const answers = [
    [{ status: 400 }, 400],
    [{ status: 401 }, 502],
    [{ status: 404 }, 404],
    [{ status: 429, retry_after: 30 }, 429],
    [{ status: 500 }, 500],
];

// Who has a status of his own for it.
const overloaded = { [claude.name]: 529 };

const callers = {
    whole: (asked) => generateText(asked),
    streamed: (asked) => parts(stream(asked)),
};

function isError(error, status) {
    assert.ok(APICallError.isInstance(error), `${error.constructor.name}: ${error.message}`);
    assert.equal(error.statusCode, status);
    assert.equal(error.isRetryable, status === 429 || status >= 500);
    assert.ok(error.message.length > 10);
    assert.ok(error.data, 'the package knows the form of the error');
}

async function fails(door, p, way, behaviour, status) {
    await does(behaviour);
    const error = await failure(callers[way](ask(door, p)));
    isError(error, status);
    assert.equal(error.message.includes(`mock says ${behaviour.status}`), status !== 502);
    assert.equal(error.responseHeaders['retry-after'],
                 behaviour.retry_after ? String(behaviour.retry_after) : undefined);
}

async function wrongKey(door, way) {
    const model = door.of(packagesAt('', 'sk-wrong'), anthropic.model);
    isError(await failure(callers[way]({ model, maxRetries: 0, prompt: 'x' })), 401);
}

async function nobody(door, way) {
    isError(await failure(callers[way](ask(door, { model: 'nobody' }))), 404);
}

// Google's API has no 413.
async function tooLarge(door) {
    const model = door.of(packagesAt('/small', key), openai.model);
    isError(await failure(generateText({ model, maxRetries: 0, prompt: 'x'.repeat(5000) })),
            door === google ? 400 : 413);
}

// What it thinks is kept, it sends by its name alone.
async function keepsNothing(way) {
    await does(says(anthropic, way === 'streamed', { text: 'Let me see.' }, said[1]));
    const error = await failure(ways[way](ask(responses, anthropic, { tools,
        stopWhen: stepCountIs(2), providerOptions: {} })).then(({ steps }) => {
        throw steps.at(-1);
    }));
    isError(error, 400);
    assert.match(error.message, /not kept here/);
    assert.equal(error.data.error.param, 'input[1]');
}

// But calls are sent whole in any case.
async function keepsCalls(way) {
    const streaming = way === 'streamed';
    await does(says(anthropic, streaming, said[1]), says(anthropic, streaming, { text: 'Rain.' }));
    const result = await ways[way](ask(responses, anthropic, { tools, stopWhen: stepCountIs(2),
                                                              providerOptions: {} }));
    assert.equal(result.text, 'Rain.');
}

// The SDK tries again by itself, and hears when.
async function waits(door, p) {
    const began = Date.now();
    await does({ status: 429, retry_after: 1 }, {});
    const { text } = await generateText(ask(door, p, { maxRetries: 2 }));
    assert.equal(text, words);
    assert.ok(Date.now() - began >= 950);
}

// What was said stays said; the end is an error.
async function breaks(door, p, behaviour) {
    await does(behaviour);
    const error = await failure(parts(stream(ask(door, p,
        { prompt: 'one two three four five' }))));
    assert.match((error.before ?? []).map((part) => part.text ?? '').join(''), /^one two three/);
    assert.ok(error.message || error.error?.message || JSON.stringify(error).length > 10);
}

async function leaves(door, p) {
    await neverEnds(p);
    const gone = new AbortController();
    let left;
    for await (const part of stream(ask(door, p, { abortSignal: gone.signal })).fullStream) {
        if (part.type === 'text-delta' && !left) {
            left = Date.now();
            gone.abort();
        }
    }
    await letGo(left);
}

// ---- vectors

const vectors = [[0.25, -1, 0.5], [0.125, 2, -0.75]];
const values = vectors.map((vector) => ({ values: vector }));

// What each provider says to one text, and to two.
const embedded = {
    openai: (n) => ({ json: { object: 'list', model: 'by-hand',
        data: vectors.slice(0, n).map((embedding, index) =>
            ({ object: 'embedding', index, embedding })),
        usage: { prompt_tokens: 4, total_tokens: 4 } } }),
    gemini: (n) => ({ json: n === 1 ? { embedding: values[0], embeddings: [values[0]] }
                                    : { embeddings: values } }),
};

const embedders = [
    { name: '@ai-sdk/openai', of: (model) => packages.openai.embedding(model),
      providers: [gemini, compatible, openai] },
    { name: '@ai-sdk/google', of: (model) => packages.google.embedding(model),
      providers: [openai, compatible, gemini] },
    { name: '@ai-sdk/openai-compatible', of: (model) => packages.compatible.embeddingModel(model),
      providers: [gemini, openai, compatible] },
];

async function embedsOne(door, p) {
    await does(embedded[p.dialect](1));
    const { embedding } = await embed({ model: door.of(p.model), value: 'a', maxRetries: 0 });
    assert.deepEqual(embedding, vectors[0]);
    await saw();
}

async function embedsMany(door, p) {
    await does(embedded[p.dialect](2));
    const { embeddings, usage } = await embedMany({ model: door.of(p.model), values: ['a', 'b'],
                                                   maxRetries: 0 });
    assert.deepEqual(embeddings, vectors);
    if (p.dialect === 'openai' && door.name !== '@ai-sdk/google') {
        assert.equal(usage.tokens, 4);
    }
    const [request] = await saw();
    assert.match(JSON.stringify(request.json), /"a".*"b"/);
}

async function embedFails(door) {
    await does({ status: 429, retry_after: 30 });
    isError(await failure(embed({ model: door.of(openai.model), value: 'a', maxRetries: 0 })), 429);
}

// ---- texts that go on

async function continues(p, way) {
    await does({});
    const model = packages.openai.completion(p.model);
    const { text } = await ways[way]({ model, prompt: words, maxRetries: 0 });
    assert.ok(text);
}

// ---- all of them

async function casesOf(door, p) {
    const name = `${door.name}, ${p.name}`;
    for (const way of Object.keys(ways)) {
        await test(`${name}: ${way}`, () => talks(door, p, way));
        await test(`${name}: three steps with tools, ${way}`, () => works(door, p, way));
        for (const [behaviour, status] of answers) {
            await test(`${name} says ${behaviour.status}, ${way}`,
                () => fails(door, p, way, behaviour, status));
        }
    }
    await test(`${name}: deltas`, () => deltas(door, p));
    await test(`${name}: deltas of calls`, () => toolDeltas(door, p));
    await test(`${name}: a forced tool`, () => chooses(door, p));
    await test(`${name}: an image`, () => looks(door, p));
    if (p !== compatible) {
        await test(`${name}: a file`, () => reads(door, p));
    }
    for (const planner of Object.keys(planners)) {
        const byTool = door === claude && p !== anthropic;
        await test(`${name}: ${planner}`, () => (byTool ? plansByTool : plans)(door, p, planner));
        if (byTool) {
            await test(`${name}: ${planner} by a format`, () => plans(door, p, planner, asFormat));
        }
    }
    for (const [what, behaviour] of late(p)) {
        await test(`${name}: a stream that ${what}`, () => breaks(door, p, behaviour));
    }
    await test(`${name}: abort() reaches it`, () => leaves(door, p));
}

async function casesOfDoor(door) {
    for (const p of door.providers) {
        await casesOf(door, p);
    }
    for (const way of Object.keys(ways)) {
        await test(`${door.name}: a wrong key, ${way}`, () => wrongKey(door, way));
        await test(`${door.name}: an unknown model, ${way}`, () => nobody(door, way));
        for (const [p, thought] of door === chat ? [] : thoughts) {
            await test(`${door.name}, ${p.name}: reasoning over two turns, ${way}`, () =>
                thinks(door, p, way, keepers[door.name].includes(p.dialect), ...thought));
        }
    }
    await test(`${door.name}: a body over the limit`, () => tooLarge(door));
    await test(`${door.name}: 529 is ${overloaded[door.name] ?? 503}`, () =>
        fails(door, anthropic, 'whole', { status: 529 }, overloaded[door.name] ?? 503));
}

for (const door of doors) {
    await casesOfDoor(door);
}
for (const way of Object.keys(ways)) {
    await test(`what is kept nowhere is missed, ${way}`, () => keepsNothing(way));
    await test(`... but not by calls, ${way}`, () => keepsCalls(way));
}
await test('429 with Retry-After: 1 is waited for', () => waits(chat, openai));
for (const door of embedders) {
    for (const p of door.providers) {
        await test(`${door.name}, ${p.name}: embed()`, () => embedsOne(door, p));
        await test(`${door.name}, ${p.name}: embedMany()`, () => embedsMany(door, p));
    }
    await test(`${door.name}: embed() is refused`, () => embedFails(door));
}
for (const p of [anthropic, gemini, compatible]) {
    for (const way of Object.keys(ways)) {
        await test(`a completion, ${p.name}, ${way}`, () => continues(p, way));
    }
}
plan();
process.exit(0);
