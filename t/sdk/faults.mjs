// faults.mjs - providers that misbehave: the SDK gets the answer, or an error,
// and never an end that only looks like one.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { ask, client, clientAt, drain, failure } from './client.mjs';
import { anthropic, dialects, does, openai, saw } from './mock.mjs';
import { test } from './tap.mjs';

const words = 'one two three four five';

function whole(p, at = client) {
    return at.chat.completions.create(ask(p, words));
}

async function stream(p, at = client) {
    return drain(await at.chat.completions.create(ask(p, words, { stream: true })));
}

// ---- what does no harm

const odd = [
    ['in pieces of 7 bytes', { dribble: [7, 0.0005] }],
    ['gzip, though identity was asked', { gzip: 1 }],
    ['gzip in pieces', { gzip: 1, dribble: [11, 0.0005] }],
    ['by closing instead of a length', { framing: 'eof' }],
    ['in chunks', { framing: 'chunked' }],
];

async function harmless(p, behaviour) {
    await does(behaviour);
    assert.equal((await whole(p)).choices[0].message.content, words);
    const { text, finish } = await stream(p);
    assert.equal(text, words);
    assert.equal(finish, 'stop');
    const requests = await saw(2);
    for (const { headers } of requests) {
        assert.match(headers['accept-encoding'] ?? 'identity', /^identity$/);
    }
}

// ---- before anything was said: the next attempt is unseen

// The last number: how often it is asked at most. A pooled connection that
// dies at once is replaced without counting as an attempt.
const early = [
    ['resets instead of an answer', { reset: 'head' }, 4],
    ['answers with an empty body', { body: '' }],
    ['answers with half a JSON', { body: '{"id": "x", "cho' }],
    ['answers with an HTML page', { html: 1 }],
    ['is cut off in the middle of its answer', { cut: 0 }],
];

async function unseen(p, behaviour) {
    await does(behaviour, {});
    assert.equal((await whole(p)).choices[0].message.content, words);
    await saw(2);
    await does(behaviour, {});
    assert.equal((await stream(p)).text, words);
    await saw(2);
}

async function hopeless(p, behaviour, most = 3) {
    await does(behaviour);
    const error = await failure(whole(p));
    assert.ok(error instanceof OpenAI.InternalServerError, error.message);
    assert.equal(error.status, 502);
    assert.equal(error.type, 'server_error');
    assert.doesNotMatch(error.message, /<html/i);
    assert.equal(error.headers.get('x-should-retry'), 'false');
    await saw([3, most]);
}

// All of a stream may have been said before its length turns out to be a lie,
// but not all of a whole answer.
async function short(p) {
    await does({ length: '+9', close: 1 }, {});
    assert.equal((await whole(p)).choices[0].message.content, words);
    await saw(2);
}

// ---- in the middle: an error, behind all that was said

// How many events until three words are said.
const three = { openai: 4, anthropic: 6, gemini: 3 };

function late(p) {
    const n = three[p.dialect];
    return [
        ['resets', { reset: n }],
        ['is cut in the middle of an event', { cut: n }],
        ['ends properly in the middle of an event', { half: n }],
        ['ends before it has finished', { unfinished: n }],
        ['says all but its end', { unfinished: 'all' }],
        ['says an error', { error_event: n }],
        ['is cut, gzipped', { cut: n, gzip: 1 }],
    ];
}

async function raises(p, behaviour) {
    await does(behaviour);
    let text = '';
    const error = await failure((async () => {
        const chunks = await client.chat.completions.create(ask(p, words, { stream: true }));
        for await (const chunk of chunks) {
            text += chunk.choices[0]?.delta?.content ?? '';
            assert.equal(chunk.choices[0]?.finish_reason ?? null, null);
        }
    })());
    assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
    assert.ok(!(error instanceof OpenAI.APIConnectionError), 'not a bare cut');
    assert.ok(error.type);
    assert.ok(words.startsWith(text) && text.startsWith('one two three'), text);
    if (behaviour.error_event) {
        assert.match(error.message, /mock says 529/);
    }
    await saw(1);
}

async function collectedRaises(p, behaviour) {
    await does(behaviour);
    const error = await failure(
        client.chat.completions.stream(ask(p, words)).finalChatCompletion());
    assert.ok(error instanceof OpenAI.APIError, error.message);
    assert.ok(error.type);
}

// ---- silence

const hasty = { model: 'hasty-claude', dialect: 'anthropic' };

async function silent(streamed) {
    await does({ stall: 30 });
    const error = await failure(streamed ? stream(hasty) : whole(hasty));
    assert.ok(error instanceof OpenAI.InternalServerError);
    assert.equal(error.status, 504);
    assert.equal(error.type, 'timeout');
    assert.equal((await saw(1, true))[0].how, 'peer_closed');
}

async function silentLater() {
    await does({ stall_after: [6, 30] });
    const error = await failure(stream(hasty));
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.type, 'timeout');
    await saw(1, true);
}

// Comments keep the stream alive: the SDK passes over them, also when the
// provider fails after all.
async function comments(p) {
    await does({ stall: 0.35 });
    assert.equal((await stream(p, clientAt('/quick/v1'))).text, words);
}

async function commentsThenError(p) {
    await does({ stall: 0.25, status: 400 });
    const error = await failure(stream(p, clientAt('/quick/v1')));
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.type, 'invalid_request_error');
    assert.match(error.message, /mock says 400/);
}

async function commentsThenRetry() {
    await does({ stall: 0.25, status: 503 }, {});
    assert.equal((await stream(openai, clientAt('/quick/v1'))).text, words);
    await saw(2);
}

export async function faultCases() {
    for (const p of dialects) {
        for (const [name, behaviour] of odd) {
            await test(`${p.name} answers ${name}`, () => harmless(p, behaviour));
        }
        for (const [name, ...rest] of early) {
            await test(`${p.name} ${name}, once`, () => unseen(p, ...rest));
            await test(`${p.name} ${name}, always`, () => hopeless(p, ...rest));
        }
        await test(`${p.name} promises more than it sends, once`, () => short(p));
        for (const [name, behaviour] of late(p)) {
            await test(`${p.name} ${name}: raised`, () => raises(p, behaviour));
            await test(`${p.name} ${name}: by stream(), too`, () => collectedRaises(p, behaviour));
        }
        await test(`${p.name} is silent for a while: comments`, () => comments(p));
        await test(`${p.name} is silent, then fails: raised`, () => commentsThenError(p));
    }
    await test('silent, then 503: the next attempt goes on', commentsThenRetry);
    await test('silent for too long: 504', () => silent(false));
    await test('silent for too long, streamed: 504', () => silent(true));
    await test('silent for too long in the middle: raised', silentLater);
}
