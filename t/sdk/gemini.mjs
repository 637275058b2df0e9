// gemini.mjs - the official Google Gen AI client against a running gateway.
// t/52-sdk-gemini.t starts it.
import assert from 'node:assert/strict';
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';
import { addressed, answers, calls, carried, clock, demo, failure, key, late, letGo,
         neverEnds, pixel, said, schema, sentPixel, sentSchema, talks, trip, url, weather, words,
         work } from './doors.mjs';
import { dialects, does, gemini, openai, saw, says } from './mock.mjs';
import { plan, test } from './tap.mjs';

function clientAt(path, options = {}, http = {}) {
    return new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: `${url}${path}`, ...http },
                             ...options });
}

const client = clientAt('');

function ask(p, contents = words, config = {}) {
    return { model: p.model, contents, config };
}

const tools = [{ functionDeclarations: [weather, clock].map(({ name, description, schema: s }) =>
    ({ name, description, parametersJsonSchema: s })) }];

function isAnswer(answer, text) {
    assert.equal(answer.text, text);
    assert.equal(answer.candidates.length, 1);
    assert.equal(answer.candidates[0].content.role, 'model');
    assert.equal(answer.candidates[0].finishReason, 'STOP');
    assert.ok(answer.modelVersion && answer.responseId);
}

function isUsage(usage) {
    assert.equal(usage.promptTokenCount, 10);
    assert.equal(usage.candidatesTokenCount, 3);
    assert.equal(usage.totalTokenCount, 13);
}

// All of a stream: its chunks and what they say together.
async function drain(stream) {
    const chunks = [];
    for await (const chunk of await stream) {
        chunks.push(chunk);
    }
    const parts = chunks.flatMap((c) => c.candidates?.[0]?.content?.parts ?? []);
    return { chunks, parts, text: parts.map((part) => part.text ?? '').join('') };
}

// ---- whole and streamed

async function whole(p) {
    await does({});
    const answer = await client.models.generateContent(ask(p));
    isAnswer(answer, words);
    isUsage(answer.usageMetadata);
    await addressed(p);
}

async function streamed(p) {
    await does({});
    const { chunks, text } = await drain(client.models.generateContentStream(ask(p)));
    assert.equal(text, words);
    assert.ok(chunks.length >= 3);
    const ends = chunks.filter((c) => c.candidates?.[0]?.finishReason);
    assert.deepEqual(ends.map((c) => c.candidates[0].finishReason), ['STOP']);
    isUsage(chunks.at(-1).usageMetadata);
    assert.equal(new Set(chunks.map((c) => c.responseId)).size, 1);
}

// What the SDK remembers of a conversation is what is sent with the next turn.
async function chats(p, way) {
    await does({});
    const chat = client.chats.create({ model: p.model });
    for (const message of ['first words', 'last words']) {
        if (way === 'whole') {
            assert.equal((await chat.sendMessage({ message })).text, message);
        } else {
            assert.equal((await drain(chat.sendMessageStream({ message }))).text, message);
        }
    }
    const [, second] = await saw(2);
    assert.equal(chat.getHistory(true).length, chat.getHistory().length, 'nothing is forgotten');
    const turns = second.json.messages ?? second.json.contents;
    // The SDK sends each chunk as a turn of its own.
    const roles = turns.map((turn) => turn.role).join(' ');
    assert.match(roles, p === gemini ? /^user( model)+ user$/ : /^user assistant user$/);
    assert.equal(turns.slice(1, -1).map(saidIn).join(''), 'first words');
}

function saidIn({ content, parts }) {
    return typeof content === 'string' ? content
        : (content ?? parts).map((part) => part.text).join('');
}

async function instructed(p) {
    await does({});
    await client.models.generateContent(ask(p, words, { systemInstruction: 'Be brief.',
        stopSequences: ['END'], temperature: 0.5, maxOutputTokens: 100 }));
    const sent = JSON.stringify((await saw())[0].json);
    assert.match(sent, /Be brief\./);
    assert.match(sent, /"END"/);
    assert.match(sent, /"temperature":0\.5/);
}

async function image(p) {
    await does({});
    const answer = await client.models.generateContent(ask(p, [{ role: 'user', parts: [
        { text: words }, { inlineData: { mimeType: 'image/png', data: pixel } }] }]));
    assert.equal(answer.text, words);
    await sentPixel(p);
}

async function parsed(p) {
    await does({ text: JSON.stringify(trip) });
    const answer = await client.models.generateContent(ask(p, 'plan',
        { responseMimeType: 'application/json', responseJsonSchema: schema }));
    assert.deepEqual(JSON.parse(answer.text), trip);
    await sentSchema(p);
}

// ---- tools

const ways = {
    async whole(body) {
        const answer = await client.models.generateContent(body);
        const { parts } = answer.candidates[0].content;
        return { parts, text: parts.map((part) => part.text ?? '').join('') };
    },
    streamed: (body) => drain(client.models.generateContentStream(body)),
};

async function twoTurns(p, way, question) {
    const contents = [{ role: 'user', parts: [{ text: question }] }];
    const first = await ways[way](ask(p, contents, { tools }));
    const results = first.parts.filter((part) => part.functionCall).map(({ functionCall: c }) =>
        ({ functionResponse: { ...(c.id && { id: c.id }), name: c.name,
                               response: { output: work(c.name, c.args) } } }));
    const second = await ways[way](ask(p, [...contents, { role: 'model', parts: first.parts },
        { role: 'user', parts: results }], { tools }));
    return { first, second };
}

async function parallel(p, way) {
    await talks(p, way === 'streamed');
    const { first, second } = await twoTurns(p, way, 'what now');
    const uses = first.parts.flatMap((part) => part.functionCall ?? []);
    assert.equal(first.parts.map((part) => part.text ?? '').join(''), 'Let me see.');
    assert.deepEqual(uses.map(({ name, args }) => ({ name, args: args ?? {} })),
                     calls.map(({ name, args }) => ({ name, args })));
    assert.equal(second.text, 'Take an umbrella.');
    await carried(p);
}

async function forced(p) {
    await does(says(p, false, said[1]));
    const answer = await client.models.generateContent(ask(p, 'what now', { tools,
        toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY,
                                               allowedFunctionNames: ['weather'] } } }));
    assert.equal(answer.functionCalls[0].name, 'weather');
    assert.match(JSON.stringify((await saw())[0].json),
        /"allowedFunctionNames":\["weather"\]|"tool_choice":\{.*"name":"weather"/);
}

// The SDK calls the functions itself and asks on until there is an answer.
function callable(called) {
    return [{
        tool: async () => tools[0],
        callTool: async (uses) => {
            called.push(...uses.map(({ name, args }) => [name, args ?? {}]));
            return uses.map(({ id, name, args }) => ({ functionResponse: { id, name,
                response: { output: work(name, args) } } }));
        },
    }];
}

async function runs(p, way) {
    const called = [];
    await talks(p, way === 'streamed');
    const { text } = await ways[way](ask(p, 'what now', { tools: callable(called) }));
    assert.ok(text.endsWith('Take an umbrella.'), text);
    assert.deepEqual(called, calls.map((c) => [c.name, c.args]));
    await carried(p);
}

// ---- thinking

const signature = `${'QUJD'.repeat(200)}`;

async function thinks(way) {
    const streaming = way === 'streamed';
    const [one, ...rest] = said;
    await does(says(gemini, streaming, { thought: 'Hm, rain?' }, { ...one, signature }, ...rest),
               says(gemini, streaming, { text: 'Rain.' }));
    const { first } = await twoTurns(gemini, way, 'what now');
    assert.equal(first.parts[0].text, 'Hm, rain?');
    assert.equal(first.parts[0].thought, true);
    const [, second] = await saw(2);
    const sent = second.json.contents[1].parts.filter((part) => part.functionCall);
    assert.deepEqual(sent.map((part) => part.thoughtSignature ?? null), [signature, null, null]);
}

// ---- the demo

async function demoTalks() {
    isAnswer(await client.models.generateContent(ask(demo)), `You said: ${words}`);
    const { text } = await drain(client.models.generateContentStream(ask(demo)));
    assert.equal(text, `You said: ${words}`);
}

async function demoCalls(way) {
    const { first, second } = await twoTurns(demo, way, 'the weather?');
    const uses = first.parts.flatMap((part) => part.functionCall ?? []);
    assert.deepEqual(uses.map((u) => u.name), ['weather']);
    assert.equal(typeof uses[0].args.city, 'string');
    assert.match(second.text, /rain in /);
}

async function demoRuns() {
    const called = [];
    const answer = await client.models.generateContent(
        ask(demo, 'the weather?', { tools: callable(called) }));
    assert.match(answer.text, /rain in /);
    assert.deepEqual(called.map(([name]) => name), ['weather']);
}

// ---- models

async function models() {
    const list = [];
    for await (const model of await client.models.list()) {
        list.push(model);
    }
    for (const p of [...dialects, demo]) {
        assert.ok(list.some((m) => m.name === `models/${p.model}`), p.model);
    }
    assert.ok(list.every((m) => m.supportedActions.includes('generateContent')));
    assert.equal((await client.models.get({ model: openai.model })).name,
                 `models/${openai.model}`);
}

async function noModel() {
    isError(await failure(client.models.get({ model: 'nobody' })), 404, 'NOT_FOUND');
}

// ---- errors

// The SDK has one kind; the provider's words are its message, as JSON.
function isError(error, status, name) {
    assert.ok(error instanceof ApiError, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, status);
    const { error: told } = JSON.parse(error.message);
    assert.equal(told.status, name);
    assert.ok(told.message.length > 10);
    return told;
}

const mistakes = [
    ['an unknown model', { model: 'nobody' }, 404, 'NOT_FOUND', /nobody/],
    ['an unknown role', { contents: [{ role: 'poet', parts: [{ text: 'x' }] }] }, 400,
     'INVALID_ARGUMENT', /poet|role/],
    ['a temperature in words', { config: { temperature: 'hot' } }, 400, 'INVALID_ARGUMENT',
     /temperature/],
];

async function mistake(more, status, name, message) {
    await does({});
    const error = await failure(client.models.generateContent({ ...ask(openai, 'x'), ...more }));
    assert.match(isError(error, status, name).message, message);
    await saw(0);
}

async function wrongKey() {
    const other = clientAt('', { apiKey: 'sk-wrong' });
    isError(await failure(other.models.generateContent(ask(openai))), 401, 'UNAUTHENTICATED');
}

async function tooLarge() {
    const error = await failure(clientAt('/small').models.generateContent(
        ask(openai, 'x'.repeat(5000))));
    isError(error, 400, 'INVALID_ARGUMENT');
}

const kinds = { 400: 'INVALID_ARGUMENT', 404: 'NOT_FOUND', 429: 'RESOURCE_EXHAUSTED',
                500: 'INTERNAL', 502: 'INTERNAL', 503: 'UNAVAILABLE' };

async function answer(p, way, behaviour, status, asked) {
    await does(behaviour);
    const error = await failure(ways[way](ask(p, 'x')));
    const { message } = isError(error, status, kinds[status]);
    assert.equal(message.includes(`mock says ${behaviour.status}`), status !== 502);
    await saw(asked);
}

// Google's code is the HTTP status, and of a stream's error it is all there is.
async function codes(status, path, question) {
    await does({ status: 401 });
    const error = await failure(clientAt(path).models.generateContent(ask(openai, question)));
    assert.equal(error.status, status);
    assert.equal(JSON.parse(error.message).error.code, status);
}

// The SDK asks again where it is told to, and does not read X-Should-Retry.
async function asksAgain(p) {
    await does({ status: 429, retry_after: 30 }, {});
    const patient = clientAt('', {}, { retryOptions: { attempts: 2, initialDelay: 0.05,
                                                       jitter: 0 } });
    isAnswer(await patient.models.generateContent(ask(p)), words);
    await saw(2);
}

async function waits(p) {
    const began = Date.now();
    await does({ status: 429, retry_after: 1 }, {});
    isAnswer(await client.models.generateContent(ask(p)), words);
    assert.ok(Date.now() - began >= 950);
    await saw(2);
}

async function raises(p, behaviour) {
    await does(behaviour);
    let text = '';
    const error = await failure((async () => {
        const stream = await client.models.generateContentStream(
            ask(p, 'one two three four five'));
        for await (const chunk of stream) {
            text += chunk.text ?? '';
            assert.equal(chunk.candidates?.[0]?.finishReason, undefined);
        }
    })());
    assert.ok(error instanceof ApiError, `${error.constructor.name}: ${error.message}`);
    assert.ok(error.status >= 500);
    // The end of a text waits for what comes after it: the last chunk has text,
    // or the SDK forgets the whole turn.
    assert.match(text, /^one two thre/);
    await saw(1);
}

async function aborts(p) {
    await neverEnds(p);
    const controller = new AbortController();
    let left;
    const error = await failure((async () => {
        const stream = await client.models.generateContentStream(
            ask(p, words, { abortSignal: controller.signal }));
        for await (const chunk of stream) {
            if (chunk.text) {
                left ??= Date.now();
                controller.abort();
            }
        }
    })());
    assert.match(String(error), /abort/i);
    await letGo(left);
}

async function allCases() {
    for (const p of dialects) {
        await test(`${p.name}: generateContent()`, () => whole(p));
        await test(`${p.name}: generateContentStream()`, () => streamed(p));
        await test(`${p.name}: system, stops, temperature`, () => instructed(p));
        await test(`${p.name}: an image`, () => image(p));
        await test(`${p.name}: an answer of a schema`, () => parsed(p));
        await test(`${p.name}: a forced tool`, () => forced(p));
        for (const way of ['whole', 'streamed']) {
            await test(`${p.name}: a chat of two turns, ${way}`, () => chats(p, way));
            await test(`${p.name}: parallel tools over two turns, ${way}`,
                       () => parallel(p, way));
            await test(`${p.name}: a CallableTool to the end, ${way}`, () => runs(p, way));
            for (const [behaviour, status, asked] of answers) {
                await test(`${p.name} says ${behaviour.status}, ${way}: ${kinds[status]}, `
                    + `asked ${asked} x`, () => answer(p, way, behaviour, status, asked));
            }
        }
        for (const [what, behaviour] of late(p)) {
            await test(`${p.name}: a stream that ${what} raises`, () => raises(p, behaviour));
        }
        await test(`${p.name}: abortSignal reaches it`, () => aborts(p));
    }
    await test('thoughts and their signature, both turns', () => thinks('whole'));
    await test('the same, streamed', () => thinks('streamed'));
    await test('the demo talks', demoTalks);
    await test('the demo calls a tool', () => demoCalls('whole'));
    await test('... streamed', () => demoCalls('streamed'));
    await test('... for a CallableTool', demoRuns);
    await test('models', models);
    await test('a model that is not there', noModel);
    for (const [what, ...rest] of mistakes) {
        await test(what, () => mistake(...rest));
    }
    await test('a wrong key', wrongKey);
    await test('a body over the limit', tooLarge);
    await test("an error's code is its status: 502", () => codes(502, '', 'x'));
    await test("an error's code is its status: 400", () => codes(400, '/small', 'x'.repeat(5000)));
    await test('429, and the SDK asks again', () => asksAgain(openai));
    await test('429 with Retry-After: 1 is waited for', () => waits(openai));
}

await allCases();
plan();
process.exit(0);
