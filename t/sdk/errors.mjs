// errors.mjs - what goes wrong, as the SDK's own exceptions; that nobody asks
// more often than he should; and clients that do not wait for the end.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { ask, client, clientAt, drain, failure } from './client.mjs';
import { anthropic, dialects, does, openai, saw } from './mock.mjs';
import { patience, sleep, test } from './tap.mjs';

function create(body, options) {
    return client.chat.completions.create(body, options);
}

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

// ---- the client's own mistakes: the provider hears nothing of them

const mistakes = [
    ['an unknown model', { model: 'nobody' }, OpenAI.NotFoundError, 404, 'model', /nobody/],
    ['no messages', { messages: undefined }, OpenAI.BadRequestError, 400, 'messages', /messages/],
    ['a temperature in words', { temperature: 'hot' }, OpenAI.BadRequestError, 400,
     'temperature', /number/],
    ['a message of an unknown role', { messages: [{ role: 'poet', content: 'x' }] },
     OpenAI.BadRequestError, 400, 'messages[0].role', /poet|role/],
    ['a tool result that belongs to nothing',
     { messages: [{ role: 'tool', content: 'x' }] }, OpenAI.BadRequestError, 400,
     'messages[0].tool_call_id', /tool_call_id/],
];

async function mistake(more, kind, status, param, message) {
    await does({});
    const error = await failure(create(ask(anthropic, 'x', more)));
    isError(error, kind, status);
    assert.equal(error.param, param);
    assert.match(error.message, message);
    await saw(0);
}

async function wrongKey(apiKey) {
    await does({});
    const error = await failure(clientAt('/v1', { apiKey }).chat.completions.create(ask(openai)));
    isError(error, OpenAI.AuthenticationError, 401, 'invalid_api_key');
    await saw(0);
}

async function tooLarge() {
    await does({});
    const error = await failure(clientAt('/small/v1').chat.completions.create(
        ask(openai, 'x'.repeat(5000))));
    isError(error, OpenAI.APIError, 413, 'request_too_large');
    await saw(0);
}

async function wrongPath() {
    const error = await failure(clientAt('/v2').chat.completions.create(ask(openai)));
    isError(error, OpenAI.NotFoundError, 404);
}

// ---- the provider's answers

// [what it does, the SDK's exception, status and code that it shows, how often
// the provider is asked: the SDK would do each of them three times over]
const answers = [
    ['400', { status: 400 }, OpenAI.BadRequestError, 400, undefined, 1],
    ['401', { status: 401 }, OpenAI.InternalServerError, 502, 'bad_upstream', 1],
    ['403', { status: 403 }, OpenAI.InternalServerError, 502, 'bad_upstream', 1],
    ['404', { status: 404 }, OpenAI.NotFoundError, 404, undefined, 1],
    ['429, to be asked in 30 s', { status: 429, retry_after: 30 }, OpenAI.RateLimitError, 429,
     'rate_limit_exceeded', 1],
    ['500', { status: 500 }, OpenAI.InternalServerError, 500, undefined, 3],
    ['503', { status: 503 }, OpenAI.InternalServerError, 503, 'overloaded', 3],
    ['529', { status: 529 }, OpenAI.InternalServerError, 503, 'overloaded', 3],
];

async function answer(p, streamed, behaviour, kind, status, code, asked) {
    await does(behaviour);
    const error = await failure(create(ask(p, 'x', { stream: streamed })));
    isError(error, kind, status, code);
    assert.equal(error.message.includes(`mock says ${behaviour.status}`), status !== 502);
    assert.equal(error.headers.get('retry-after'),
                 behaviour.retry_after ? String(behaviour.retry_after) : null);
    if (status === 429 || status >= 500) {
        assert.equal(error.headers.get('x-should-retry'), 'false');
    }
    await saw(asked);
}

async function param() {
    await does({ status: 400, json: { error: { message: 'Too hot.', param: 'temperature',
        type: 'invalid_request_error', code: 'unsupported_value' } } });
    const error = await failure(create(ask(openai)));
    isError(error, OpenAI.BadRequestError, 400, 'unsupported_value');
    assert.equal(error.param, 'temperature');
    assert.match(error.message, /Too hot\./);
}

async function recovers(p, behaviour) {
    await does(behaviour, {});
    const { choices: [choice] } = await create(ask(p), { maxRetries: 0 });
    assert.equal(choice.message.content, 'one two three');
    await saw(2);
}

async function waits() {
    const began = Date.now();
    await recovers(openai, { status: 429, retry_after: 1 });
    assert.ok(Date.now() - began >= 950);
}

async function fallsBack() {
    await does({ status: 429, retry_after: 30 }, {});
    const stream = client.chat.completions.stream(ask({ model: 'gpt-or-claude' }));
    assert.equal(await stream.finalContent(), 'one two three');
    assert.deepEqual((await saw(2)).map((r) => r.path), [openai.path, anthropic.path]);
}

// ---- not waiting for the end

const endless = { openai: { stall_after: [3, 30] }, anthropic: { stall_after: [5, 30] },
                  gemini: { stall_after: [2, 30] } };

// Our connection is gone within 250 ms.
async function letGo(left, requests = 1) {
    for (const request of await saw(requests, true)) {
        assert.equal(request.how, 'peer_closed');
        const took = request.ended_at * 1000 - left;
        assert.ok(took < patience(250), `it took ${Math.round(took)} ms`);
    }
}

async function aborts(p) {
    await does(endless[p.dialect]);
    const stream = await create(ask(p, 'one two three', { stream: true }));
    let left;
    for await (const chunk of stream) {
        if (chunk.choices[0]?.delta?.content) {
            left = Date.now();
            stream.controller.abort();
        }
    }
    await letGo(left);
}

async function breaks(p) {
    await does(endless[p.dialect]);
    for await (const chunk of await create(ask(p, 'one two three', { stream: true }))) {
        if (chunk.choices[0]?.delta?.content) {
            break;
        }
    }
    await letGo(Date.now());
}

async function abortsCollected(p) {
    await does(endless[p.dialect]);
    const stream = client.chat.completions.stream(ask(p));
    let left;
    stream.on('content', () => {
        left ??= Date.now();
        stream.abort();
    });
    const error = await failure(stream.done());
    assert.ok(error instanceof OpenAI.APIUserAbortError);
    await letGo(left);
}

async function abortsEarly(streamed) {
    await does({ stall: 30 });
    const controller = new AbortController();
    const pending = failure(create(ask(anthropic, 'x', { stream: streamed }),
                                   { signal: controller.signal }));
    await saw();
    await sleep(50);
    const left = Date.now();
    controller.abort();
    assert.ok(await pending instanceof OpenAI.APIUserAbortError);
    await letGo(left);
}

// The SDK's own patience ends: it asks again as often as it was told, and we
// hold on to none of them.
async function timesOut(maxRetries) {
    await does({ stall: 30 });
    const error = await failure(create(ask(anthropic), { timeout: 400, maxRetries }));
    const left = Date.now();
    assert.ok(error instanceof OpenAI.APIConnectionTimeoutError);
    await letGo(left, 1 + maxRetries);
}

async function afterwards() {
    await does({});
    assert.equal((await drain(await create(ask(anthropic, 'a b', { stream: true })))).text, 'a b');
}

export async function errorCases() {
    for (const [name, ...rest] of mistakes) {
        await test(`${name}: refused with its place`, () => mistake(...rest));
    }
    await test('a wrong key: AuthenticationError', () => wrongKey('sk-wrong'));
    await test("the provider's own key is none of ours", () => wrongKey('sk-openai'));
    await test('a body over the limit: 413', tooLarge);
    await test('a path that is not there: NotFoundError', wrongPath);
    for (const p of dialects) {
        for (const [name, ...rest] of answers) {
            await test(`${p.name} says ${name}: ${rest[1].name}, asked ${rest[4]} x`,
                       () => answer(p, false, ...rest));
            await test(`${p.name} says ${name} to a stream: the same`,
                       () => answer(p, true, ...rest));
        }
        await test(`${p.name} says 529 once: the client sees nothing of it`,
                   () => recovers(p, { status: 529 }));
    }
    await test("a provider's param and code come through", param);
    await test('429 with Retry-After: 1: waited for', waits);
    await test('429 with Retry-After: 30: the fallback answers', fallsBack);
    for (const p of dialects) {
        await test(`${p.name}: controller.abort() in a stream reaches it`, () => aborts(p));
        await test(`${p.name}: so does leaving the loop`, () => breaks(p));
        await test(`${p.name}: so does abort() of stream()`, () => abortsCollected(p));
    }
    await test('a signal before the head of an answer', () => abortsEarly(false));
    await test('a signal before the head of a stream', () => abortsEarly(true));
    await test("the SDK's timeout", () => timesOut(0));
    await test("the SDK's timeout, and its retry", () => timesOut(1));
    await test('and all is well again', afterwards);
}
