// responses.mjs - client.responses of the official OpenAI client against a
// running gateway. t/53-sdk-responses.t starts it.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { client, clientAt } from './client.mjs';
import { addressed, answers, calls, carried, clock, demo, failure, late, letGo,
         neverEnds, pixel, said, schema, sentPixel, sentSchema, talks, trip, weather, words,
         work } from './doors.mjs';
import { anthropic, compatible, does, gemini, native, openai, saw, says } from './mock.mjs';
import { plan, test } from './tap.mjs';

// OpenAI has this API itself; who is compatible has the older one only.
const providers = [native, compatible, anthropic, gemini];

function ask(p, input = words, more = {}) {
    return { model: p.model, input, ...more };
}

const tools = [weather, clock].map(({ name, description, schema: parameters }) =>
    ({ type: 'function', name, description, parameters, strict: false }));

function isResponse(response, text) {
    assert.equal(response.object, 'response');
    assert.equal(response.status, 'completed');
    assert.equal(response.error, null);
    assert.equal(response.incomplete_details ?? null, null);
    assert.ok(response.id && response.created_at && response.model);
    assert.equal(response.output_text, text);
    const message = response.output.find((item) => item.type === 'message');
    assert.ok(message.id);
    assert.equal(message.role, 'assistant');
    assert.equal(message.status, 'completed');
    assert.ok(message.content.every((c) => c.type === 'output_text'
                                           && Array.isArray(c.annotations)));
}

function isUsage(usage) {
    assert.equal(usage.input_tokens, 10);
    assert.equal(usage.output_tokens, 3);
    assert.equal(usage.total_tokens, 13);
    assert.equal(usage.input_tokens_details.cached_tokens, 0);
    assert.equal(usage.output_tokens_details.reasoning_tokens, 0);
}

// ---- whole and streamed

async function whole(p) {
    await does({});
    const response = await client.responses.create(ask(p));
    isResponse(response, words);
    isUsage(response.usage);
    assert.ok(response._request_id);
    await addressed(p);
}

async function streamed(p) {
    await does({});
    const events = [];
    for await (const event of await client.responses.create(ask(p, words, { stream: true }))) {
        events.push(event);
    }
    const types = events.map((e) => e.type);
    assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
    assert.equal(types[0], 'response.created');
    assert.equal(types.at(-1), 'response.completed');
    assert.deepEqual(types.filter((t) => /\.(?:added|done)$/.test(t)),
        ['response.output_item.added', 'response.content_part.added', 'response.output_text.done',
         'response.content_part.done', 'response.output_item.done']);
    const deltas = events.filter((e) => e.type === 'response.output_text.delta');
    assert.ok(deltas.length >= 3);
    assert.equal(deltas.map((e) => e.delta).join(''), words);
    assert.equal(new Set(deltas.map((e) => e.item_id)).size, 1);
    isUsage(events.at(-1).response.usage);
}

async function collected(p) {
    await does({});
    const heard = [];
    const stream = client.responses.stream(ask(p));
    stream.on('response.output_text.delta', ({ delta, snapshot }) =>
        heard.push([delta, snapshot]));
    const response = await stream.finalResponse();
    isResponse(response, words);
    isUsage(response.usage);
    assert.equal(heard.map(([delta]) => delta).join(''), words);
    assert.equal(heard.at(-1)[1], words);
}

async function instructed(p) {
    await does({});
    const response = await client.responses.create(ask(p, [
        { role: 'developer', content: 'Be polite.' },
        { role: 'user', content: [{ type: 'input_text', text: words }] }],
        { instructions: 'Be brief.', temperature: 0.5, max_output_tokens: 100, store: false }));
    assert.equal(response.output_text, words);
    const sent = JSON.stringify((await saw())[0].json);
    assert.match(sent, /Be brief\./);
    assert.match(sent, /Be polite\./);
    assert.match(sent, /100/);
}

async function image(p) {
    await does({});
    const response = await client.responses.create(ask(p, [{ role: 'user', content: [
        { type: 'input_text', text: words },
        { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${pixel}` }] }]));
    assert.equal(response.output_text, words);
    await sentPixel(p);
}

async function parsed(p, way) {
    await does({ text: JSON.stringify(trip) });
    const format = { type: 'json_schema', name: 'trip', strict: true, schema };
    Object.defineProperties(format, { $brand: { value: 'auto-parseable-response-format' },
                                      $parseRaw: { value: JSON.parse } });
    const body = ask(p, 'plan', { text: { format } });
    const response = way === 'whole' ? await client.responses.parse(body)
                                     : await client.responses.stream(body).finalResponse();
    assert.deepEqual(response.output_parsed, trip);
    await sentSchema(p);
}

// ---- tools

const ways = {
    whole: (body) => client.responses.create(body),
    streamed: (body) => client.responses.stream(body).finalResponse(),
};

function callsIn(response) {
    return response.output.filter((item) => item.type === 'function_call');
}

// All of the conversation is sent again: nothing is kept here.
async function twoTurns(p, way, body) {
    const input = [{ role: 'user', content: body.input }];
    const first = await ways[way]({ ...body, input });
    const outputs = callsIn(first).map((c) => ({ type: 'function_call_output',
        call_id: c.call_id, output: work(c.name, JSON.parse(c.arguments)) }));
    const second = await ways[way]({ ...body, input: [...input, ...first.output, ...outputs] });
    return { first, second };
}

async function parallel(p, way) {
    await talks(p, way === 'streamed');
    const { first, second } = await twoTurns(p, way, ask(p, 'what now', { tools }));
    assert.equal(first.output_text, 'Let me see.');
    assert.deepEqual(callsIn(first).map((c) => [c.name, JSON.parse(c.arguments), c.status]),
                     calls.map((c) => [c.name, c.args, 'completed']));
    assert.equal(new Set(callsIn(first).map((c) => c.call_id)).size, 3);
    assert.ok(callsIn(first).every((c) => c.id && c.call_id));
    isResponse(second, 'Take an umbrella.');
    await carried(p);
}

async function deltas(p) {
    await does(says(p, true, ...said));
    const got = {};
    const stream = client.responses.stream(ask(p, 'what now', { tools }));
    stream.on('response.function_call_arguments.delta', ({ item_id: id, delta }) => {
        got[id] = (got[id] ?? '') + delta;
    });
    const done = callsIn(await stream.finalResponse());
    assert.deepEqual(done.map((c) => JSON.parse(got[c.id] || '{}')), calls.map((c) => c.args));
}

async function forced(p) {
    await does(says(p, false, said[1]));
    const response = await client.responses.create(ask(p, 'what now', { tools,
        tool_choice: { type: 'function', name: 'weather' }, parallel_tool_calls: false }));
    assert.equal(callsIn(response)[0].name, 'weather');
    assert.match(JSON.stringify((await saw())[0].json),
        /"allowedFunctionNames":\["weather"\]|"tool_choice":\{.*"name":"weather"/);
}

// ---- reasoning

const signature = `Eq+/${'QUJD'.repeat(200)}==`;

async function thinks(way) {
    const streaming = way === 'streamed';
    await does(says(anthropic, streaming, { thought: 'Hm, rain?', signature }, ...said),
               says(anthropic, streaming, { text: 'Rain.' }));
    const { first, second } = await twoTurns(anthropic, way, ask(anthropic, 'what now', { tools,
        reasoning: { effort: 'low', summary: 'auto' }, store: false,
        include: ['reasoning.encrypted_content'] }));
    const [item] = first.output;
    assert.equal(item.type, 'reasoning');
    assert.equal(item.summary.map((s) => s.text).join(''), 'Hm, rain?');
    assert.ok(item.encrypted_content);
    assert.equal(second.output_text, 'Rain.');
    const turn = (await saw(2))[1].json.messages.find((m) => m.role === 'assistant');
    assert.deepEqual(turn.content[0], { type: 'thinking', thinking: 'Hm, rain?', signature });
}

// ---- the demo

async function demoTalks() {
    isResponse(await client.responses.create(ask(demo)), `You said: ${words}`);
    isResponse(await client.responses.stream(ask(demo)).finalResponse(), `You said: ${words}`);
}

async function demoCalls(way) {
    const { first, second } = await twoTurns(demo, way, ask(demo, 'the weather?', { tools }));
    const [call, ...more] = callsIn(first);
    assert.deepEqual([call.name, more], ['weather', []]);
    assert.equal(typeof JSON.parse(call.arguments).city, 'string');
    assert.match(second.output_text, /rain in /);
}

// ---- errors

function isError(error, kind, status, code) {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, status);
    assert.ok(error.message.length > 10);
    assert.ok(error.type);
    assert.ok(error.requestID);
    if (code !== undefined) {
        assert.equal(error.code, code);
    }
}

const mistakes = [
    ['an unknown model', { model: 'nobody' }, OpenAI.NotFoundError, 404, 'model', /nobody/],
    ['no input', { input: undefined }, OpenAI.BadRequestError, 400, 'input', /input/],
    ['an unknown role', { input: [{ role: 'poet', content: 'x' }] }, OpenAI.BadRequestError, 400,
     'input[0].role', /poet|role/],
    ['a temperature in words', { temperature: 'hot' }, OpenAI.BadRequestError, 400,
     'temperature', /number/],
    ['a conversation that is kept nowhere', { previous_response_id: 'resp_1' },
     OpenAI.BadRequestError, 400, 'previous_response_id', /previous_response_id/],
];

async function mistake(more, kind, status, param, message) {
    await does({});
    const error = await failure(client.responses.create(ask(anthropic, 'x', more)));
    isError(error, kind, status);
    assert.match(error.message, message);
    assert.equal(error.param, param);
    await saw(0);
}

async function wrongKey() {
    const other = clientAt('/v1', { apiKey: 'sk-wrong' });
    isError(await failure(other.responses.create(ask(openai))), OpenAI.AuthenticationError, 401,
            'invalid_api_key');
}

async function tooLarge() {
    const error = await failure(clientAt('/small/v1').responses.create(
        ask(openai, 'x'.repeat(5000))));
    isError(error, OpenAI.APIError, 413, 'request_too_large');
}

// What was kept is asked for in vain.
async function retrieve() {
    const error = await failure(client.responses.retrieve('resp_1'));
    assert.ok(error instanceof OpenAI.APIError);
    assert.ok([404, 405].includes(error.status));
}

const kinds = { 400: 'BadRequestError', 404: 'NotFoundError', 429: 'RateLimitError',
                500: 'InternalServerError', 502: 'InternalServerError',
                503: 'InternalServerError' };

async function answer(p, stream, behaviour, status, asked) {
    await does(behaviour);
    const error = await failure(client.responses.create(ask(p, 'x', { stream })));
    isError(error, OpenAI[kinds[status]], status);
    assert.equal(error.message.includes(`mock says ${behaviour.status}`), status !== 502);
    assert.equal(error.headers.get('retry-after'),
                 behaviour.retry_after ? String(behaviour.retry_after) : null);
    await saw(asked);
}

async function waits(p) {
    const began = Date.now();
    await does({ status: 429, retry_after: 1 }, {});
    isResponse(await client.responses.create(ask(p), { maxRetries: 0 }), words);
    assert.ok(Date.now() - began >= 950);
    await saw(2);
}

// The API says it by an event, which the SDK makes an error of or hands on.
async function raises(p, behaviour) {
    await does(behaviour);
    let text = '';
    let last;
    const error = await failure((async () => {
        const stream = await client.responses.create(
            ask(p, 'one two three four five', { stream: true }));
        for await (const event of stream) {
            text += event.type === 'response.output_text.delta' ? event.delta : '';
            last = event;
        }
        assert.match(last.type, /^(?:error|response\.failed)$/);
        throw new OpenAI.APIError(500, last.response?.error ?? last, undefined, new Headers());
    })());
    assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
    assert.ok(!(error instanceof OpenAI.APIConnectionError), 'not a bare cut');
    assert.ok(error.message.length > 10);
    assert.match(text, /^one two three/);
    await saw(1);
}

// The helper must not take what it has for an answer.
async function collectedRaises(p, behaviour) {
    await does(behaviour);
    const outcome = await client.responses.stream(ask(p, 'one two three four five'))
        .finalResponse().catch((error) => error);
    assert.ok(outcome instanceof Error || outcome.status === 'failed', JSON.stringify(outcome));
}

async function aborts(p) {
    await neverEnds(p);
    const stream = client.responses.stream(ask(p));
    let left;
    stream.on('response.output_text.delta', () => {
        left ??= Date.now();
        stream.abort();
    });
    assert.ok(await failure(stream.done()) instanceof OpenAI.APIUserAbortError);
    await letGo(left);
}

async function allCases() {
    for (const p of providers) {
        await test(`${p.name}: create()`, () => whole(p));
        await test(`${p.name}: create() of a stream`, () => streamed(p));
        await test(`${p.name}: stream() and finalResponse()`, () => collected(p));
        await test(`${p.name}: instructions, temperature`, () => instructed(p));
        await test(`${p.name}: an image`, () => image(p));
        await test(`${p.name}: the arguments' deltas`, () => deltas(p));
        await test(`${p.name}: a forced tool`, () => forced(p));
        for (const way of ['whole', 'streamed']) {
            await test(`${p.name}: output_parsed, ${way}`, () => parsed(p, way));
            await test(`${p.name}: parallel tools over two turns, ${way}`,
                       () => parallel(p, way));
        }
        for (const [behaviour, status, asked] of answers) {
            for (const stream of [false, true]) {
                await test(`${p.name} says ${behaviour.status}${stream ? ' to a stream' : ''}: `
                    + `${kinds[status]}, asked ${asked} x`,
                    () => answer(p, stream, behaviour, status, asked));
            }
        }
        for (const [what, behaviour] of late(p)) {
            await test(`${p.name}: a stream that ${what} raises`, () => raises(p, behaviour));
            await test(`${p.name}: a stream that ${what}: no finalResponse()`,
                       () => collectedRaises(p, behaviour));
        }
        await test(`${p.name}: abort() reaches it`, () => aborts(p));
    }
    await test('reasoning and its signature, both turns', () => thinks('whole'));
    await test('the same, streamed', () => thinks('streamed'));
    await test('the demo talks', demoTalks);
    await test('the demo calls a tool', () => demoCalls('whole'));
    await test('... streamed', () => demoCalls('streamed'));
    for (const [what, ...rest] of mistakes) {
        await test(what, () => mistake(...rest));
    }
    await test('a wrong key', wrongKey);
    await test('a body over the limit', tooLarge);
    await test('a response is not kept', retrieve);
    await test('429 with Retry-After: 1 is waited for', () => waits(openai));
}

await allCases();
plan();
process.exit(0);
