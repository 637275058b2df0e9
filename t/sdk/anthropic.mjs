// anthropic.mjs - the official Anthropic client against a running gateway, in
// both majors, each with its own version of the API. t/51-sdk-anthropic.t
// starts it.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import Before from 'anthropic-before';
import { addressed, answers, calls, carried, clock, demo, failure, key, late, letGo,
         neverEnds, pixel, said, schema, sentPixel, sentSchema, talks, trip, url, weather, words,
         work } from './doors.mjs';
import { anthropic, dialects, does, openai, saw, says } from './mock.mjs';
import { plan, test } from './tap.mjs';

// The SDK of these cases, and its client.
let SDK;
let client;

function clientAt(path, options = {}) {
    return new SDK({ baseURL: `${url}${path}`, apiKey: key, ...options });
}

function ask(p, content = words, more = {}) {
    return { model: p.model, max_tokens: 100, messages: [{ role: 'user', content }], ...more };
}

const tools = [weather, clock].map(({ name, description, schema: input_schema }) =>
    ({ name, description, input_schema }));

function textOf(message) {
    return message.content.map((b) => b.text ?? '').join('');
}

function isMessage(message, text) {
    assert.equal(message.type, 'message');
    assert.equal(message.role, 'assistant');
    assert.ok(message.id && message.model);
    assert.deepEqual(message.content.map((b) => b.type), ['text']);
    assert.equal(textOf(message), text);
    assert.equal(message.stop_reason, 'end_turn');
    assert.equal(message.stop_sequence, null);
}

// ---- whole and streamed

async function whole(p) {
    await does({});
    const message = await client.messages.create(ask(p));
    isMessage(message, words);
    assert.equal(message.usage.input_tokens, 10);
    assert.equal(message.usage.output_tokens, 3);
    // The version of the API is the client's own, where the provider knows it.
    const version = SDK === Before ? '2023-06-01' : '2026-10-21';
    await addressed(p, p === anthropic && { 'anthropic-version': version });
}

async function streamed(p) {
    await does({});
    const types = [];
    let text = '';
    for await (const event of await client.messages.create(ask(p, words, { stream: true }))) {
        types.push(event.type);
        text += event.delta?.text ?? '';
    }
    assert.equal(text, words);
    assert.deepEqual(types.filter((t) => !/delta|ping/.test(t)), ['message_start',
        'content_block_start', 'content_block_stop', 'message_stop']);
    assert.deepEqual(types.slice(-3), ['content_block_stop', 'message_delta', 'message_stop']);
    assert.ok(types.filter((t) => t === 'content_block_delta').length >= 3);
}

async function collected(p) {
    await does({});
    const heard = [];
    const stream = client.messages.stream(ask(p));
    stream.on('text', (delta, snapshot) => heard.push([delta, snapshot]));
    const message = await stream.finalMessage();
    isMessage(message, words);
    assert.equal(await stream.finalText(), words);
    assert.equal(heard.map(([delta]) => delta).join(''), words);
    assert.equal(heard.at(-1)[1], words);
    assert.equal(message.usage.input_tokens, 10);
    assert.equal(message.usage.output_tokens, 3);
}

async function instructed(p) {
    await does({});
    await client.messages.create(ask(p, words, { system: [{ type: 'text', text: 'Be brief.' }],
        stop_sequences: ['END'], metadata: { user_id: 'u1' } }));
    const sent = JSON.stringify((await saw())[0].json);
    assert.match(sent, /Be brief\./);
    assert.match(sent, /"END"/);
}

async function image(p) {
    await does({});
    const message = await client.messages.create(ask(p, [
        { type: 'text', text: words },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } }]));
    assert.equal(textOf(message), words);
    await sentPixel(p);
}

async function parsed(p, way) {
    await does({ text: JSON.stringify(trip) });
    const body = ask(p, 'plan', { output_config: { format: jsonSchemaOutputFormat(schema) } });
    const message = way === 'whole' ? await client.messages.parse(body)
                                    : await client.messages.stream(body).finalMessage();
    assert.deepEqual(message.parsed_output, trip);
    await sentSchema(p);
}

// ---- tools

const ways = {
    whole: (body) => client.messages.create(body),
    streamed: (body) => client.messages.stream(body).finalMessage(),
};

function resultsOf(message) {
    return message.content.filter((b) => b.type === 'tool_use').map((b) =>
        ({ type: 'tool_result', tool_use_id: b.id, content: work(b.name, b.input) }));
}

async function twoTurns(p, way, body) {
    const first = await ways[way](body);
    assert.equal(first.stop_reason, 'tool_use');
    const second = await ways[way]({ ...body, messages: [...body.messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: resultsOf(first) }] });
    return { first, second };
}

async function parallel(p, way) {
    await talks(p, way === 'streamed');
    const { first, second } = await twoTurns(p, way, ask(p, 'what now', { tools }));
    const [text, ...uses] = first.content;
    assert.equal(text.text, 'Let me see.');
    assert.deepEqual(uses.map(({ type, name, input }) => ({ type, name, input })),
                     calls.map(({ name, args }) => ({ type: 'tool_use', name, input: args })));
    assert.equal(new Set(uses.map((u) => u.id)).size, 3);
    isMessage(second, 'Take an umbrella.');
    await carried(p);
}

async function inputs(p) {
    await does(says(p, true, ...said));
    const heard = [];
    const blocks = [];
    const stream = client.messages.stream(ask(p, 'what now', { tools }));
    stream.on('inputJson', (delta) => heard.push(delta));
    stream.on('contentBlock', (block) => blocks.push(block));
    await stream.done();
    assert.deepEqual(blocks.map((b) => b.input), calls.map((c) => c.args));
    assert.match(heard.join(''), /^\{"city":\s?"K/);
}

async function forced(p) {
    await does(says(p, false, said[1]));
    const message = await client.messages.create(ask(p, 'what now', { tools,
        tool_choice: { type: 'tool', name: 'weather', disable_parallel_tool_use: true } }));
    assert.equal(message.content[0].name, 'weather');
    assert.match(JSON.stringify((await saw())[0].json),
        /"allowedFunctionNames":\["weather"\]|"tool_choice":\{.*"name":"weather"/);
}

// The SDK calls the functions itself, by its beta API, which says so in the
// query.
function runnable(called) {
    return [weather, clock].map(({ name, description, schema: inputSchema }) => betaTool({
        name, description, inputSchema, run: (args) => {
            called.push([name, args]);
            return work(name, args);
        } }));
}

async function runs(p, stream) {
    const called = [];
    await talks(p, stream);
    const runner = client.beta.messages.toolRunner(
        ask(p, 'what now', { tools: runnable(called), stream }));
    assert.equal(textOf(await runner.runUntilDone()), 'Take an umbrella.');
    assert.deepEqual(called, calls.map((c) => [c.name, c.args]));
    if (p !== anthropic || SDK === Before) {
        await carried(p);
        return;
    }
    // This provider keeps the conversation itself.
    const [first, second] = await saw(2);
    assert.ok(first.json.thread && second.json.thread);
    assert.match(first.headers['anthropic-beta'], /thread/);
    assert.deepEqual(second.json.messages.flatMap((m) => m.content.map((b) => b.type)),
                     calls.map(() => 'tool_result'));
}

// The whole conversation with each turn.
async function runsUnthreaded(p) {
    const called = [];
    await talks(p, false);
    const message = await client.beta.messages.toolRunner(
        ask(p, 'what now', { tools: runnable(called), thread: false }));
    assert.equal(textOf(message), 'Take an umbrella.');
    await carried(p);
}

// ---- thinking

const signature = `Eq+/${'QUJD'.repeat(200)}==`;

async function thinks(way) {
    const streaming = way === 'streamed';
    const begins = [{ thought: 'Hm, rain?', signature }, { redacted: 'c2VhbGVk' }];
    await does(says(anthropic, streaming, ...begins, ...said),
               says(anthropic, streaming, { text: 'Rain.' }));
    const { first } = await twoTurns(anthropic, way, ask(anthropic, 'what now', { tools,
        max_tokens: 3000, thinking: { type: 'enabled', budget_tokens: 2000 } }));
    const wanted = [{ type: 'thinking', thinking: 'Hm, rain?', signature },
                    { type: 'redacted_thinking', data: 'c2VhbGVk' }];
    assert.deepEqual(first.content.slice(0, 2), wanted);
    const [, second] = await saw(2);
    assert.equal(second.json.thinking.type, 'enabled');
    assert.deepEqual(second.json.messages[1].content.slice(0, 2), wanted);
}

// ---- the demo

async function demoTalks() {
    isMessage(await client.messages.create(ask(demo)), `You said: ${words}`);
    isMessage(await client.messages.stream(ask(demo)).finalMessage(), `You said: ${words}`);
}

async function demoCalls(way) {
    const { first, second } = await twoTurns(demo, way, ask(demo, 'the weather?', { tools }));
    const uses = first.content.filter((b) => b.type === 'tool_use');
    assert.deepEqual(uses.map((u) => u.name), ['weather']);
    assert.equal(typeof uses[0].input.city, 'string');
    assert.match(textOf(second), /rain in /);
}

async function demoRuns() {
    const called = [];
    const runner = client.beta.messages.toolRunner(
        ask(demo, 'the weather?', { tools: runnable(called) }));
    assert.match(textOf(await runner.runUntilDone()), /rain in /);
    assert.deepEqual(called.map(([name]) => name), ['weather']);
}

// ---- models

async function models() {
    const list = [];
    for await (const model of client.models.list()) {
        list.push(model);
    }
    for (const p of [...dialects, demo]) {
        assert.ok(list.some((m) => m.id === p.model), p.model);
    }
    assert.ok(list.every((m) => m.type === 'model' && m.display_name
                                && Date.parse(m.created_at) > 0));
    const one = await client.models.retrieve(openai.model);
    assert.equal(one.id, openai.model);
}

async function noModel() {
    const error = await failure(client.models.retrieve('nobody'));
    isError(error, SDK.NotFoundError, 404, 'not_found_error');
}

// ---- errors

function isError(error, kind, status, type) {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, status);
    assert.equal(error.error.type, 'error');
    assert.equal(error.error.error.type, type);
    assert.ok(error.error.error.message.length > 10);
}

const mistakes = [
    ['an unknown model', { model: 'nobody' }, 'NotFoundError', 404, 'not_found_error', /nobody/],
    ['no messages', { messages: undefined }, 'BadRequestError', 400, 'invalid_request_error',
     /messages/],
    ['an unknown role', { messages: [{ role: 'poet', content: 'x' }] }, 'BadRequestError', 400,
     'invalid_request_error', /poet|role/],
    ['max_tokens in words', { max_tokens: 'many' }, 'BadRequestError', 400,
     'invalid_request_error', /max_tokens/],
];

async function mistake(more, kind, status, type, message) {
    await does({});
    const error = await failure(client.messages.create(ask(openai, 'x', more)));
    isError(error, SDK[kind], status, type);
    assert.match(error.message, message);
    await saw(0);
}

async function wrongKey() {
    const error = await failure(clientAt('', { apiKey: 'sk-wrong' }).messages.create(ask(openai)));
    isError(error, SDK.AuthenticationError, 401, 'authentication_error');
}

async function bearer() {
    await does({});
    const other = clientAt('', { apiKey: null, authToken: key });
    isMessage(await other.messages.create(ask(openai)), words);
}

async function tooLarge() {
    const error = await failure(clientAt('/small').messages.create(ask(openai, 'x'.repeat(5000))));
    isError(error, SDK.APIError, 413, 'request_too_large');
}

const kinds = { 400: ['BadRequestError', 'invalid_request_error'],
                404: ['NotFoundError', 'not_found_error'],
                429: ['RateLimitError', 'rate_limit_error'],
                500: ['InternalServerError', 'api_error'],
                502: ['InternalServerError', 'api_error'],
                529: ['InternalServerError', 'overloaded_error'] };

// This API has a status of its own for who has too much to do.
function asShown(status) {
    return status === 503 ? 529 : status;
}

// The SDK would ask three times over by itself.
async function answer(p, stream, behaviour, status, asked) {
    await does(behaviour);
    const error = await failure(client.messages.create(ask(p, 'x', { stream })));
    isError(error, SDK[kinds[status][0]], status, kinds[status][1]);
    assert.equal(error.message.includes(`mock says ${behaviour.status}`), status !== 502);
    assert.equal(error.headers.get('retry-after'),
                 behaviour.retry_after ? String(behaviour.retry_after) : null);
    await saw(asked);
}

async function waits(p) {
    const began = Date.now();
    await does({ status: 429, retry_after: 1 }, {});
    isMessage(await client.messages.create(ask(p), { maxRetries: 0 }), words);
    assert.ok(Date.now() - began >= 950);
    await saw(2);
}

async function raises(p, behaviour) {
    await does(behaviour);
    let text = '';
    const stream = client.messages.stream(ask(p, 'one two three four five'));
    stream.on('text', (delta) => { text += delta; });
    const error = await failure(stream.finalMessage());
    assert.ok(error instanceof SDK.APIError, `${error.constructor.name}: ${error.message}`);
    assert.ok(!(error instanceof SDK.APIConnectionError), 'not a bare cut');
    assert.equal(error.error.type, 'error');
    assert.ok(error.error.error.type && error.error.error.message);
    assert.match(text, /^one two three/);
    await saw(1);
}

async function aborts(p) {
    await neverEnds(p);
    const stream = client.messages.stream(ask(p));
    let left;
    stream.on('text', () => {
        left ??= Date.now();
        stream.abort();
    });
    assert.ok(await failure(stream.done()) instanceof SDK.APIUserAbortError);
    await letGo(left);
}

// The SDK reads it from request-id, on every answer.
async function identified() {
    await does({});
    const message = await client.messages.create(ask(openai));
    assert.ok(message._request_id, 'of an answer');
    const stream = client.messages.stream(ask(openai));
    await stream.done();
    assert.ok(stream.request_id, 'of a stream');
    const error = await failure(client.messages.create(ask({ model: 'nobody' })));
    assert.ok(error.requestID, 'of an error');
    assert.equal(error.requestID, error.error.request_id);
}

// ---- the two versions of the API

async function sampling() {
    await does({});
    const body = ask(openai, words, { temperature: 0.5 });
    if (SDK === Before) {
        await client.messages.create(body);
        assert.equal((await saw())[0].json.temperature, 0.5);
        return;
    }
    const error = await failure(client.messages.create(body));
    isError(error, SDK.BadRequestError, 400, 'invalid_request_error');
    assert.match(error.message, /temperature/);
    await saw(0);
}

async function allCases(name, kind) {
    SDK = kind;
    client = clientAt('');
    for (const p of dialects) {
        const at = `${name}, ${p.name}`;
        await test(`${at}: create()`, () => whole(p));
        await test(`${at}: create() of a stream`, () => streamed(p));
        await test(`${at}: stream() and finalMessage()`, () => collected(p));
        await test(`${at}: system, stops`, () => instructed(p));
        await test(`${at}: an image`, () => image(p));
        for (const way of ['whole', 'streamed']) {
            await test(`${at}: parsed_output, ${way}`, () => parsed(p, way));
            await test(`${at}: parallel tools over two turns, ${way}`, () => parallel(p, way));
        }
        await test(`${at}: inputs of tools as they come`, () => inputs(p));
        await test(`${at}: a forced tool`, () => forced(p));
        await test(`${at}: toolRunner() to the end`, () => runs(p, false));
        await test(`${at}: toolRunner(), streamed`, () => runs(p, true));
        if (kind === Anthropic) {
            await test(`${at}: toolRunner() without a thread`, () => runsUnthreaded(p));
        }
        for (const [behaviour, common, asked] of answers) {
            const status = asShown(common);
            for (const stream of [false, true]) {
                await test(`${at} says ${behaviour.status}${stream ? ' to a stream' : ''}: `
                    + `${kinds[status][0]}, asked ${asked} x`,
                    () => answer(p, stream, behaviour, status, asked));
            }
        }
        for (const [what, behaviour] of late(p)) {
            await test(`${at}: a stream that ${what} raises`, () => raises(p, behaviour));
        }
        await test(`${at}: abort() reaches it`, () => aborts(p));
    }
    await test(`${name}: thinking and its signature, both turns`, () => thinks('whole'));
    await test(`${name}: the same, streamed`, () => thinks('streamed'));
    await test(`${name}: the demo talks`, demoTalks);
    await test(`${name}: the demo calls a tool`, () => demoCalls('whole'));
    await test(`${name}: ... streamed`, () => demoCalls('streamed'));
    await test(`${name}: ... for toolRunner()`, demoRuns);
    await test(`${name}: models`, models);
    await test(`${name}: a model that is not there`, noModel);
    for (const [what, ...rest] of mistakes) {
        await test(`${name}: ${what}`, () => mistake(...rest));
    }
    await test(`${name}: the request's id`, identified);
    await test(`${name}: a wrong key`, wrongKey);
    await test(`${name}: the key as a bearer's token`, bearer);
    await test(`${name}: a body over the limit`, tooLarge);
    await test(`${name}: temperature, by the version of the API`, sampling);
    await test(`${name}: 429 with Retry-After: 1 is waited for`, () => waits(openai));
}

await allCases('1.x', Anthropic);
await allCases('0.x', Before);
plan();
process.exit(0);
