// chats.mjs - what most programs do: ask, whole and streamed; structured
// answers; images; the list of models; headers.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { makeParseableResponseFormat } from 'openai/lib/parser';
import { ask, client, clientAt, drain, failure, url } from './client.mjs';
import { anthropic, dialects, does, gemini, openai, providers, read, saw } from './mock.mjs';
import { test } from './tap.mjs';

const usage = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };

function isUsage(got) {
    for (const name of Object.keys(usage)) {
        assert.equal(got[name], usage[name], name);
    }
}

// ---- whole and streamed

async function whole(p) {
    await does({});
    const answer = await client.chat.completions.create(ask(p));
    assert.equal(answer.object, 'chat.completion');
    assert.ok(answer.id && answer.created && answer.model);
    assert.equal(answer.choices.length, 1);
    assert.equal(answer.choices[0].message.role, 'assistant');
    assert.equal(answer.choices[0].message.content, 'one two three');
    assert.equal(answer.choices[0].finish_reason, 'stop');
    isUsage(answer.usage);
}

// Where it came to, who signed it, and what never gets there.
async function addressed(p) {
    const [request] = await saw();
    assert.equal(request.path, p.path);
    assert.equal(request.query, p.query ?? '');
    assert.equal(request.json.model, p.upstream ?? request.json.model);
    for (const name of ['authorization', 'api-key', 'x-api-key', 'x-goog-api-key',
                        'anthropic-version']) {
        assert.equal(request.headers[name] ?? undefined, p.signed[name], name);
    }
    assert.ok(!JSON.stringify(request).includes(process.env.LLMUX_KEY));
    assert.deepEqual(Object.keys(request.headers).filter((h) => /stainless/.test(h)), []);
}

async function streamed(p) {
    await does({});
    const { chunks, text, finish } = await drain(
        await client.chat.completions.create(ask(p, 'one two three', { stream: true })));
    assert.equal(text, 'one two three');
    assert.equal(finish, 'stop');
    assert.ok(chunks.filter((c) => c.choices[0]?.delta?.content).length >= 3);
    assert.ok(chunks.every((c) => c.object === 'chat.completion.chunk'));
    assert.ok(chunks.every((c) => c.choices.length === 1 && !c.usage));
    assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
}

async function counted(p) {
    const { chunks } = await drain(await client.chat.completions.create(
        ask(p, 'one two three', { stream: true, stream_options: { include_usage: true } })));
    const last = chunks.pop();
    assert.deepEqual(last.choices, []);
    isUsage(last.usage);
    assert.ok(chunks.every((c) => c.usage === null));
}

async function collected(p) {
    const heard = [];
    const stream = client.chat.completions.stream(
        ask(p, 'one two three', { stream_options: { include_usage: true } }));
    stream.on('content', (delta, snapshot) => heard.push([delta, snapshot]));
    const answer = await stream.finalChatCompletion();
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.choices[0].message.content, 'one two three');
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(heard.at(-1)[1], 'one two three');
    assert.equal(heard.map(([delta]) => delta).join(''), 'one two three');
    isUsage(await stream.totalUsage());
}

// ---- structured output, by the SDK's own parsers

const schema = { type: 'object', additionalProperties: false, required: ['city', 'days'],
                 properties: { city: { type: 'string' },
                               days: { type: 'array', items: { type: 'integer' } } } };
const format = makeParseableResponseFormat(
    { type: 'json_schema', json_schema: { name: 'trip', strict: true, schema } }, JSON.parse);
const trip = { city: 'Zürich', days: [1, 2] };

async function parsed(p) {
    await does({ text: JSON.stringify(trip) });
    const answer = await client.chat.completions.parse(
        ask(p, 'plan', { response_format: format }));
    assert.deepEqual(answer.choices[0].message.parsed, trip);
    await sentSchema(p);
}

async function parsedStream(p) {
    await does({ text: JSON.stringify(trip) });
    const stream = client.chat.completions.stream(ask(p, 'plan', { response_format: format }));
    const answer = await stream.finalChatCompletion();
    assert.deepEqual(answer.choices[0].message.parsed, trip);
    await sentSchema(p);
}

async function sentSchema(p) {
    const [request] = await saw();
    const sent = read(p, request).schema;
    assert.equal(sent.type, 'object');
    assert.deepEqual(sent.required, schema.required);
    assert.deepEqual(Object.keys(sent.properties), ['city', 'days']);
}

// ---- images

const pixel = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk'
    + '+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const picture = 'https://images.example.com/cat.png';

function look(address) {
    return [{ type: 'text', text: 'what is it' },
            { type: 'image_url', image_url: { url: address } }];
}

async function image(p, address) {
    await does({});
    const answer = await client.chat.completions.create(ask(p, look(address)));
    assert.equal(answer.choices[0].message.content, 'what is it');
    assert.deepEqual(read(p, (await saw())[0]).images, [address]);
}

// ---- once for all

async function models() {
    const list = [];
    for await (const model of client.models.list()) {
        list.push(model);
    }
    const ids = list.map((m) => m.id);
    for (const p of providers) {
        assert.ok(ids.includes(p.model), p.model);
    }
    assert.ok(list.every((m) => m.object === 'model' && m.created > 0 && m.owned_by));
}

async function model() {
    const one = await client.models.retrieve('claude-sonnet-4-5');
    assert.equal(one.id, 'claude-sonnet-4-5');
    assert.equal(one.owned_by, 'anthropic');
}

async function noModel() {
    const error = await failure(client.models.retrieve('nobody'));
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, 'model_not_found');
}

async function headers() {
    await does({});
    const { data, response, request_id } = await client.chat.completions.create(
        ask(anthropic, 'x', { seed: 7 }), { headers: { 'X-Request-ID': 'mine-1' } }).withResponse();
    assert.equal(request_id, 'mine-1');
    assert.equal(data._request_id, 'mine-1');
    assert.match(response.headers.get('x-upstream-request-id'), /^req_mock/);
    assert.match(response.headers.get('x-llmux-warnings'), /drop=seed/);
    assert.equal((await saw())[0].headers['x-request-id'], 'mine-1');
}

async function ownId() {
    const first = await client.chat.completions.create(ask(openai));
    const second = await client.chat.completions.create(ask(openai));
    assert.ok(first._request_id);
    assert.notEqual(first._request_id, second._request_id);
}

async function ratesPass() {
    await does({ headers: { 'x-ratelimit-remaining-requests': '59' } });
    const response = await client.chat.completions.create(ask(openai)).asResponse();
    assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '59');
    assert.equal((await response.json()).choices[0].message.content, 'one two three');
}

async function refused() {
    await does({});
    const refusing = clientAt('/refusing/v1');
    const error = await failure(refusing.chat.completions.create(
        ask(anthropic, 'x', { seed: 7 })));
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, 'unsupported_parameter');
    assert.equal(error.param, 'seed');
    await saw(0);
}

// A stream that is read as a browser would get it from a server.
async function piped(p) {
    await does({});
    const stream = await client.chat.completions.create(ask(p, 'a b', { stream: true }));
    const [left, right] = stream.tee();
    assert.equal((await drain(left)).text, 'a b');
    assert.equal((await drain(right)).text, 'a b');
}

async function environment() {
    await does({});
    Object.assign(process.env, { OPENAI_BASE_URL: `${url}/v1`,
                                 OPENAI_API_KEY: process.env.LLMUX_KEY });
    const answer = await new OpenAI().chat.completions.create(ask(gemini));
    assert.equal(answer.choices[0].message.content, 'one two three');
}

async function atOnce() {
    await does({ gap: 0.05 });
    const texts = await Promise.all(providers.flatMap((p) => [1, 2].map(async (n) => {
        const words = `${p.name} ${n} a b c`;
        const stream = await client.chat.completions.create(ask(p, words, { stream: true }));
        return (await drain(stream)).text === words;
    })));
    assert.deepEqual(texts, providers.flatMap(() => [true, true]));
}

export async function chatCases() {
    for (const p of providers) {
        await test(`${p.name}: whole`, () => whole(p));
        await test(`${p.name}: addressed and signed as it wants`, () => addressed(p));
        await test(`${p.name}: streamed, for await`, () => streamed(p));
        await test(`${p.name}: streamed with usage`, () => counted(p));
        await test(`${p.name}: streamed, finalChatCompletion()`, () => collected(p));
        await test(`${p.name}: structured, parse()`, () => parsed(p));
        await test(`${p.name}: structured and streamed`, () => parsedStream(p));
        await test(`${p.name}: an image as data URL`, () => image(p, pixel));
        await test(`${p.name}: an image by https`, () => image(p, picture));
    }
    for (const p of dialects) {
        await test(`${p.name}: a stream read twice, tee()`, () => piped(p));
    }
    await test('models.list()', models);
    await test('models.retrieve()', model);
    await test('models.retrieve() of nobody', noModel);
    await test('withResponse(): headers and request id', headers);
    await test('_request_id is there without asking, and is new each time', ownId);
    await test('asResponse(): rate limits of an OpenAI provider', ratesPass);
    await test('LLMuxUnsupported refuse: BadRequestError with param', refused);
    await test('configured by OPENAI_BASE_URL and OPENAI_API_KEY', environment);
    await test('twelve streams at the same time', atOnce);
}
