// azure.mjs - AzureOpenAI of the official OpenAI client against a running
// gateway: what its users see. t/60-sdk-azure.t starts it.
import assert from 'node:assert/strict';
import OpenAI, { AzureOpenAI } from 'openai';
import { makeParseableResponseFormat } from 'openai/lib/parser';
import { ask, drain } from './client.mjs';
import { answers, calls, carried, clock, failure, key, late, letGo, neverEnds, pixel, said,
         schema, sentPixel, sentSchema, talks, trip, url, weather, words,
         work } from './doors.mjs';
import { anthropic, compatible, does, gemini, native, openai, providers as all, read, saw,
         says } from './mock.mjs';
import { plan, test } from './tap.mjs';

const azure = all.find((p) => p.name === 'Azure');
const providers = [azure, openai, compatible, anthropic, gemini];

const apiVersion = '2025-04-01-preview';

function clientOf(options = {}) {
    return new AzureOpenAI({ endpoint: url, apiKey: key, apiVersion, ...options });
}

const client = clientOf();

const usage = { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 };

function isUsage(got) {
    for (const name of Object.keys(usage)) {
        assert.equal(got[name], usage[name], name);
    }
}

// ---- who asked whom

// The provider's own path and version, and his key: nothing of the client's.
async function addressed(p) {
    const [request] = await saw();
    assert.equal(request.path, p.path);
    assert.equal(request.query, p.query ?? '');
    assert.equal(request.json.model, p.upstream ?? request.json.model);
    for (const name of ['authorization', 'api-key', 'x-api-key', 'x-goog-api-key']) {
        assert.equal(request.headers[name] ?? undefined, p.signed[name], name);
    }
    assert.ok(!JSON.stringify(request).includes(key));
}

// Each is how somebody may have made his client: all of them ask Azure.
const made = [
    ['a model that is the deployment', () => clientOf(), azure.model],
    ['a deployment beside another model', () => clientOf({ deployment: azure.model }), 'gpt-4o'],
    ['a deployment with a slash in its name', () => clientOf({ deployment: `team/${azure.model}` }),
     'gpt-4o'],
    ['a deployment, and no model', () => clientOf({ deployment: azure.model }), undefined],
    ['a base URL with the deployment in it',
     () => clientOf({ endpoint: undefined,
                      baseURL: `${url}/openai/deployments/${azure.model}` }), 'gpt-4o'],
    ['an endpoint that ends in slashes', () => clientOf({ endpoint: `${url}//` }), azure.model],
    ['an endpoint below the server', () => clientOf({ endpoint: `${url}/small` }), azure.model],
    ["a token of Entra's for a key",
     () => clientOf({ apiKey: undefined, azureADTokenProvider: async () => key }), azure.model],
    ['an environment', byEnvironment, azure.model],
];

function byEnvironment() {
    const told = { AZURE_OPENAI_ENDPOINT: url, AZURE_OPENAI_API_KEY: key,
                   OPENAI_API_VERSION: apiVersion };
    Object.assign(process.env, told);
    try {
        return new AzureOpenAI();
    } finally {
        Object.keys(told).forEach((name) => delete process.env[name]);
    }
}

async function makes(make, model) {
    await does({});
    const answer = await make().chat.completions.create({ ...ask(azure), model });
    assert.equal(answer.choices[0].message.content, words);
    await addressed(azure);
}

// Azure's newer paths name no version: the ordinary client is used for them.
async function version1() {
    await does({});
    const plain = new OpenAI({ baseURL: `${url}/openai/v1/`, apiKey: 'unused',
                               defaultHeaders: { 'api-key': key, Authorization: null } });
    const answer = await plain.chat.completions.create(ask(azure));
    assert.equal(answer.choices[0].message.content, words);
    await addressed(azure);
    assert.equal((await plain.models.retrieve(azure.model)).id, azure.model);
}

// ---- chats

async function whole(p) {
    await does({});
    const answer = await client.chat.completions.create(ask(p));
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.choices[0].message.content, words);
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.ok(answer._request_id);
    isUsage(answer.usage);
    await addressed(p);
}

async function streamed(p) {
    await does({});
    const { chunks, text, finish } = await drain(await client.chat.completions.create(
        ask(p, words, { stream: true, stream_options: { include_usage: true } })));
    assert.equal(text, words);
    assert.equal(finish, 'stop');
    assert.ok(chunks.filter((c) => c.choices[0]?.delta?.content).length >= 3);
    isUsage(chunks.at(-1).usage);
}

async function collected(p) {
    await does({});
    const answer = await client.chat.completions.stream(ask(p)).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, words);
    assert.equal(answer.choices[0].finish_reason, 'stop');
}

async function image(p) {
    await does({});
    const answer = await client.chat.completions.create(ask(p, [{ type: 'text', text: words },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } }]));
    assert.equal(answer.choices[0].message.content, words);
    await sentPixel(p);
}

async function parsed(p) {
    const format = makeParseableResponseFormat({ type: 'json_schema',
        json_schema: { name: 'trip', strict: true, schema } }, JSON.parse);
    await does({ text: JSON.stringify(trip) });
    const answer = await client.chat.completions.parse(
        ask(p, 'plan', { response_format: format }));
    assert.deepEqual(answer.choices[0].message.parsed, trip);
    await sentSchema(p);
}

// ---- tools

const tools = [weather, clock].map(({ name, description, schema: parameters }) =>
    ({ type: 'function', function: { name, description, parameters } }));

const ways = {
    whole: async (body) => (await client.chat.completions.create(body)).choices[0],
    streamed: async (body) =>
        (await client.chat.completions.stream(body).finalChatCompletion()).choices[0],
};

async function parallel(p, way) {
    await talks(p, way === 'streamed');
    const body = ask(p, 'what now', { tools });
    const { message: first, finish_reason: reason } = await ways[way](body);
    assert.equal(reason, 'tool_calls');
    assert.equal(first.content, 'Let me see.');
    assert.deepEqual(first.tool_calls.map((c) => JSON.parse(c.function.arguments)),
                     calls.map((c) => c.args));
    const results = first.tool_calls.map(({ id, function: f }) => ({ role: 'tool',
        tool_call_id: id, content: work(f.name, JSON.parse(f.arguments)) }));
    const { message: second } = await ways[way](
        { ...body, messages: [...body.messages, first, ...results] });
    assert.equal(second.content, 'Take an umbrella.');
    await carried(p);
}

// The SDK calls the functions itself, and asks on at the same path.
async function runs(p, stream) {
    const called = [];
    const runnable = tools.map(({ function: f }) => ({ type: 'function', function: { ...f,
        parse: JSON.parse, function: (args) => {
            called.push(f.name);
            return work(f.name, args);
        } } }));
    await does(says(p, stream, ...said), says(p, stream, { text: 'Take an umbrella.' }));
    const runner = client.chat.completions.runTools(
        ask(p, 'what now', { tools: runnable, stream }));
    assert.equal(await runner.finalContent(), 'Take an umbrella.');
    assert.deepEqual(called, calls.map((c) => c.name));
    await carried(p);
}

// ---- responses, which have no deployment in the path

function callsIn(response) {
    return response.output.filter((item) => item.type === 'function_call');
}

const responders = [native, compatible, anthropic, gemini];

// Google has another path for a stream.
function streamedBy(p) {
    return p !== gemini ? p : { ...p, query: 'alt=sse',
        path: p.path.replace(':generate', ':streamGenerate') };
}

async function response(p, way) {
    await does({});
    const body = { model: p.model, input: words };
    const got = way === 'whole' ? await client.responses.create(body)
                                : await client.responses.stream(body).finalResponse();
    assert.equal(got.status, 'completed');
    assert.equal(got.output_text, words);
    assert.equal(got.usage.input_tokens, 10);
    assert.equal(got.usage.output_tokens, 3);
    await addressed(way === 'whole' ? p : streamedBy(p));
}

async function responseCalls(p, way) {
    const create = (input) => {
        const body = { model: p.model, input, store: false, tools: tools.map((t) =>
            ({ type: 'function', strict: false, ...t.function })) };
        return way === 'whole' ? client.responses.create(body)
                               : client.responses.stream(body).finalResponse();
    };
    await talks(p, way === 'streamed');
    const input = [{ role: 'user', content: 'what now' }];
    const first = await create(input);
    assert.deepEqual(callsIn(first).map((c) => JSON.parse(c.arguments)),
                     calls.map((c) => c.args));
    const second = await create([...input, ...first.output, ...callsIn(first).map((c) =>
        ({ type: 'function_call_output', call_id: c.call_id,
           output: work(c.name, JSON.parse(c.arguments)) }))]);
    assert.equal(second.output_text, 'Take an umbrella.');
    await carried(p);
}

// Azure has this API itself, without a deployment in the path there, too.
async function responseOfAzure() {
    await does({});
    const got = await client.responses.create({ model: azure.model, input: words });
    assert.equal(got.output_text, words);
    const [request] = await saw();
    assert.equal(request.path, '/openai/v1/responses');
    assert.equal(request.json.model, 'my-gpt');
    assert.equal(request.headers['api-key'], 'sk-azure');
}

async function notKept() {
    const error = await failure(client.responses.retrieve('resp_1'));
    assert.ok(error instanceof OpenAI.NotFoundError);
}

async function counted() {
    await does({});
    const { input_tokens: n } = await client.responses.inputTokens.count(
        { model: anthropic.model, input: words });
    assert.equal(n, 10);
    assert.equal((await saw())[0].path, '/v1/messages/count_tokens');
}

// ---- texts that go on

async function continued(p) {
    await does({});
    const text = await client.completions.create({ model: p.model, prompt: words });
    assert.equal(text.object, 'text_completion');
    assert.equal(text.choices[0].text, words);
    assert.equal(text.choices[0].finish_reason, 'stop');
    isUsage(text.usage);
}

async function continuedStream(p) {
    await does({});
    let text = '';
    for await (const chunk of await client.completions.create(
        { model: p.model, prompt: words, stream: true })) {
        text += chunk.choices[0]?.text ?? '';
    }
    assert.equal(text, words);
}

async function continuedNative() {
    await does({ json: { id: 'cmpl-1', object: 'text_completion', created: 1, model: 'm',
        choices: [{ text: ' and on', index: 0, logprobs: null, finish_reason: 'length' }] } });
    const text = await client.completions.create(
        { model: 'gpt-3.5-turbo-instruct', prompt: words });
    assert.equal(text.choices[0].text, ' and on');
    assert.equal((await saw())[0].path,
                 '/openai/deployments/gpt-3.5-turbo-instruct/completions');
}

// ---- vectors: the SDK asks for base64 unless it is told otherwise

const vectors = [[0.25, -0.5, 1], [1, 0, -2]];

const embedded = {
    openai: () => ({ object: 'list', model: 'm', usage: { prompt_tokens: 4, total_tokens: 4 },
        data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })) }),
    gemini: () => ({ embeddings: vectors.map((values) => ({ values })) }),
};
const embedders = [[azure, '/openai/deployments/my-gpt/embeddings'],
                   [openai, '/v1/embeddings'], [compatible, '/local/v1/embeddings'],
                   [gemini, '/v1beta/models/gemini-2.5-flash:batchEmbedContents']];

async function vectorsOf(p, path, more = {}) {
    await does({ json: embedded[p.dialect]() });
    const { data, object } = await client.embeddings.create(
        { model: p.model, input: ['a', 'b'], ...more });
    assert.equal(object, 'list');
    assert.deepEqual(data.map((d) => d.index), [0, 1]);
    assert.deepEqual(data.map((d) => Array.from(d.embedding)), vectors);
    assert.equal((await saw())[0].path, path);
}

// Azure itself knows the word: then its bytes are the client's.
async function vectorsAsBytes() {
    const floats = new Float32Array(vectors[0]);
    await does({ json: { ...embedded.openai(), data: [{ object: 'embedding', index: 0,
        embedding: Buffer.from(floats.buffer).toString('base64') }] } });
    const { data } = await client.embeddings.create({ model: azure.model, input: 'a' });
    assert.deepEqual(Array.from(data[0].embedding), vectors[0]);
    assert.equal((await saw())[0].json.encoding_format, 'base64');
}

async function noVectors() {
    await does({});
    const error = await failure(client.embeddings.create({ model: anthropic.model, input: 'a' }));
    isError(error, OpenAI.BadRequestError, 400);
    assert.match(error.message, /does not offer/);
    await saw(0);
}

// ---- models

async function models() {
    const ids = [];
    for await (const model of client.models.list()) {
        assert.equal(model.object, 'model');
        ids.push(model.id);
    }
    for (const p of providers) {
        assert.ok(ids.includes(p.model), p.model);
    }
    assert.equal((await client.models.retrieve(azure.model)).id, azure.model);
    assert.ok(await failure(client.models.retrieve('nobody')) instanceof OpenAI.NotFoundError);
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

const chatOf = (model, more) => (c) =>
    c.chat.completions.create(ask({ model }, words, more));

// [what, how, the exception, status, code, words, options]: nobody is asked.
const mistakes = [
    ['a deployment that is none', chatOf('nobody'), OpenAI.NotFoundError, 404,
     'model_not_found', /nobody/],
    ['no messages', chatOf(azure.model, { messages: undefined }), OpenAI.BadRequestError, 400,
     undefined, /messages/],
    ['a temperature in words', chatOf(anthropic.model, { temperature: 'hot' }),
     OpenAI.BadRequestError, 400, undefined, /number/],
    ['a wrong key', chatOf(azure.model), OpenAI.AuthenticationError, 401, 'invalid_api_key', /key/,
     { apiKey: 'sk-azure' }],
    ["a wrong token of Entra's", chatOf(azure.model), OpenAI.AuthenticationError, 401,
     'invalid_api_key', /key/,
     { apiKey: undefined, azureADTokenProvider: async () => 'eyJ.eyJ.x' }],
    ['a body over the limit', (c) => c.chat.completions.create(ask(azure, 'x'.repeat(5000))),
     OpenAI.APIError, 413, 'request_too_large', /bytes/, { endpoint: `${url}/small` }],
    ['an operation that is not here', (c) => c.images.generate({ model: azure.model,
        prompt: 'x' }), OpenAI.NotFoundError, 404, undefined, /images/],
    ['no model, and no deployment', (c) => c.chat.completions.create({ messages: [] }),
     OpenAI.NotFoundError, 404, undefined, /chat\/completions/],
];

async function mistake(how, kind, status, code, message, options = {}) {
    await does({});
    const error = await failure(how(clientOf(options)));
    isError(error, kind, status, code);
    assert.match(error.message, message);
    await saw(0);
}

const kinds = { 400: 'BadRequestError', 404: 'NotFoundError', 429: 'RateLimitError',
                500: 'InternalServerError', 502: 'InternalServerError',
                503: 'InternalServerError' };

async function answer(p, stream, behaviour, status, asked) {
    await does(behaviour);
    const error = await failure(client.chat.completions.create(ask(p, 'x', { stream })));
    isError(error, OpenAI[kinds[status]], status);
    assert.equal(error.message.includes(`mock says ${behaviour.status}`), status !== 502);
    assert.equal(error.headers.get('retry-after'),
                 behaviour.retry_after ? String(behaviour.retry_after) : null);
    await saw(asked);
}

// Azure's filter says what it took offence at, beside what OpenAI says.
async function filtered() {
    const verdict = { hate: { filtered: true, severity: 'high' } };
    await does({ status: 400, json: { error: { code: 'content_filter', status: 400, type: null,
        param: 'prompt', message: "The response was filtered due to Azure's policy.",
        innererror: { code: 'ResponsibleAIPolicyViolation',
                      content_filter_result: verdict } } } });
    const error = await failure(client.chat.completions.create(ask(azure)));
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, 'content_filter');
    assert.equal(error.param, 'prompt');
    assert.match(error.message, /filtered due to/);
    await saw(1);
}

async function raises(p, behaviour) {
    await does(behaviour);
    let text = '';
    const error = await failure((async () => {
        for await (const chunk of await client.chat.completions.create(
            ask(p, 'one two three four five', { stream: true }))) {
            text += chunk.choices[0]?.delta?.content ?? '';
        }
    })());
    assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
    assert.ok(error.message.length > 10);
    assert.match(text, /^one two three/);
    await saw(1);
}

async function aborts(p) {
    await neverEnds(p);
    const stream = await client.chat.completions.create(ask(p, words, { stream: true }));
    let left;
    for await (const chunk of stream) {
        if (chunk.choices[0]?.delta?.content) {
            left = Date.now();
            stream.controller.abort();
        }
    }
    await letGo(left);
}

// What Azure adds to an answer is not lost on its way.
async function annotated() {
    const [filter, more] = [{ hate: { filtered: false, severity: 'safe' } },
                            { system_fingerprint: 'fp_1' }];
    const { json } = says(azure, false, { text: words });
    json.choices[0].content_filter_results = filter;
    await does({ json: { ...json, ...more, prompt_filter_results: [{ prompt_index: 0,
        content_filter_results: filter }] } });
    const got = await client.chat.completions.create(ask(azure));
    assert.deepEqual(got.choices[0].content_filter_results, filter);
    assert.deepEqual(got.prompt_filter_results[0].content_filter_results, filter);
    assert.equal(got.system_fingerprint, 'fp_1');
}

// ----------------------------------------------------------------------

async function chatCases(p) {
    await test(`${p.name}: create()`, () => whole(p));
    await test(`${p.name}: create() of a stream, with usage`, () => streamed(p));
    await test(`${p.name}: stream() and finalChatCompletion()`, () => collected(p));
    await test(`${p.name}: structured, parse()`, () => parsed(p));
    await test(`${p.name}: an image`, () => image(p));
    for (const way of ['whole', 'streamed']) {
        await test(`${p.name}: parallel tools over two turns, ${way}`, () => parallel(p, way));
        await test(`${p.name}: runTools(), ${way}`, () => runs(p, way === 'streamed'));
    }
    await test(`${p.name}: completions.create()`, () => continued(p));
    await test(`${p.name}: completions.create() of a stream`, () => continuedStream(p));
}

async function errorCases(p) {
    for (const [behaviour, status, asked] of answers) {
        for (const stream of [false, true]) {
            await test(`${p.name} says ${behaviour.status}${stream ? ' to a stream' : ''}: `
                + `${kinds[status]}, asked ${asked} x`,
                () => answer(p, stream, behaviour, status, asked));
        }
    }
    for (const [what, behaviour] of late(p)) {
        await test(`${p.name}: a stream that ${what} raises`, () => raises(p, behaviour));
    }
    await test(`${p.name}: abort() reaches it`, () => aborts(p));
}

async function allCases() {
    for (const [what, make, model] of made) {
        await test(`made of ${what}`, () => makes(make, model));
    }
    await test('the ordinary client at /openai/v1', version1);
    for (const p of providers) {
        await chatCases(p);
    }
    await test("what Azure adds is its users'", annotated);
    for (const p of responders) {
        for (const way of ['whole', 'streamed']) {
            await test(`${p.name}: responses, ${way}`, () => response(p, way));
            await test(`${p.name}: responses with tools, ${way}`, () => responseCalls(p, way));
        }
    }
    await test('Azure: responses', responseOfAzure);
    await test('responses.retrieve(): nothing is kept', notKept);
    await test('responses.inputTokens.count()', counted);
    await test('completions.create() of a model that has them', continuedNative);
    for (const [p, path] of embedders) {
        await test(`${p.name}: embeddings.create()`, () => vectorsOf(p, path));
        await test(`${p.name}: embeddings.create() as numbers`,
                   () => vectorsOf(p, path, { encoding_format: 'float' }));
    }
    await test('Azure: embeddings.create(), sent as bytes', vectorsAsBytes);
    await test('Anthropic: embeddings.create() is refused', noVectors);
    await test('models.list() and models.retrieve()', models);
    for (const [what, ...rest] of mistakes) {
        await test(what, () => mistake(...rest));
    }
    for (const p of [azure, anthropic, gemini]) {
        await errorCases(p);
    }
    await test('Azure: what its filter says', filtered);
}

await allCases();
plan();
process.exit(0);
