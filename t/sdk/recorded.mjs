// recorded.mjs - what the SDK makes of real providers' answers, played by the
// mock: all that are known, and with tools the next turn as well.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { ask, client, drain, failure } from './client.mjs';
import { anthropic, does, gemini, providers, read, recordings, saw } from './mock.mjs';
import { skip, test } from './tap.mjs';

// How the SDK is told of an end, by what the provider called it; Gemini's end
// of calls has no name of its own. What OpenAI dialects say passes as it is.
const finishes = {
    anthropic: { end_turn: 'stop', stop_sequence: 'stop', pause_turn: 'stop',
                 tool_use: 'tool_calls', max_tokens: 'length', refusal: 'content_filter' },
    gemini: { STOP: 'stop', 1: 'stop', UNEXPECTED_TOOL_CALL: 'stop', MAX_TOKENS: 'length',
              SAFETY: 'content_filter', MODEL_ARMOR: 'content_filter', '': 'content_filter' },
};
const stopsWithCalls = ['STOP', 1, 'UNEXPECTED_TOOL_CALL'];

function finishOf(p, want) {
    const said = want.finish_reason ?? '';
    return stopsWithCalls.includes(said) && want.tool_calls?.length ? 'tool_calls'
        : finishes[p.dialect]?.[said] ?? want.finish_reason;
}

function sameCalls(got, want) {
    const calls = (got ?? []).map((c) => ({ name: c.function.name,
        args: JSON.parse(c.function.arguments || '{}') }));
    assert.deepEqual(calls, want.map((c) => ({ name: c.name, args: c.arguments ?? {} })));
    assert.deepEqual((got ?? []).map((c, i) => (want[i].id ? c.id : null)),
                     want.map((c) => c.id || null));
}

function sameUsage(p, got, want) {
    const translated = p.dialect !== 'openai';
    if (!want || (!got && !translated)) {
        return;
    }
    assert.equal(got.prompt_tokens, (translated ? want.input_total : want.input) ?? 0);
    assert.equal(got.completion_tokens, (translated ? want.output_total : want.output) ?? 0);
    if (translated && want.cached) {
        assert.equal(got.prompt_tokens_details.cached_tokens, want.cached);
    }
    if (translated && want.reasoning) {
        assert.equal(got.completion_tokens_details.reasoning_tokens, want.reasoning);
    }
}

// Servers that are only almost compatible send what passes untouched: content
// in parts, functions of old. That is between them and their clients.
function plain(message) {
    return typeof (message.content ?? '') === 'string' && !message.function_call
        && (message.tool_calls ?? []).every((c) => c.function);
}

function compare(p, answer, want) {
    const { message, finish_reason: finish } = answer.choices[0];
    if (plain(message)) {
        assert.equal(message.content ?? '', want.text ?? '');
        sameCalls(message.tool_calls, want.tool_calls ?? []);
    }
    assert.equal(finish ?? null, finishOf(p, want) ?? null);
    assert.equal(message.role, 'assistant');
    assert.equal(message.refusal ?? '', want.refusal ?? '');
    if (p.dialect !== 'openai') {
        assert.equal(message.reasoning_content ?? '', want.reasoning ?? '');
    }
    sameUsage(p, answer.usage, want.usage);
}

// ---- one turn

async function played(p, streamed, recording) {
    const { want } = recording;
    const body = ask(p, 'go on', want.thinking_signatures ? { reasoning_effort: 'low' } : {});
    await does({ file: recording.file });
    if (want.stream_error || want.complete === false) {
        const error = await failure(gather(p, body));
        assert.ok(error instanceof OpenAI.APIError, error.message);
        return;
    }
    const answer = streamed ? await gather(p, body)
                            : await client.chat.completions.create(body);
    compare(p, answer, want);
    if (want.tool_calls?.length && plain(answer.choices[0].message)) {
        await nextTurn(p, body, answer.choices[0].message, recording, streamed);
    }
}

// The SDK's stream() wants chunks exactly as OpenAI makes them, and we make them
// so; those of compatible servers pass as they came, and are put together here.
async function gather(p, body) {
    const counted = { ...body, stream: true, stream_options: { include_usage: true } };
    if (p.folder !== 'openai-compat') {
        return collected(client.chat.completions.stream(counted));
    }
    const { chunks, text, finish } = await drain(await client.chat.completions.create(counted));
    const deltas = chunks.map((c) => c.choices?.[0]?.delta).filter(Boolean);
    const calls = new Map();
    for (const { index = 0, id, function: said } of deltas.flatMap((d) => d.tool_calls ?? [])) {
        const call = calls.get(index) ?? { id, type: 'function', function: { arguments: '' } };
        call.function.name ??= said?.name;
        call.function.arguments += said?.arguments ?? '';
        calls.set(index, call);
    }
    const parts = deltas.find((d) => Array.isArray(d.content))?.content;
    return { usage: chunks.map((c) => c.usage).filter(Boolean).pop(),
        choices: [{ finish_reason: finish, message: { role: 'assistant', content: parts ?? text,
            ...(calls.size && { tool_calls: [...calls.values()] }) } }] };
}

// Reasoning is unknown to stream(): it would keep the last delta only.
async function collected(stream) {
    let reasoning = '';
    stream.on('chunk', (chunk) => {
        reasoning += chunk.choices[0]?.delta?.reasoning_content ?? '';
    });
    const answer = await stream.finalChatCompletion();
    const { message } = answer.choices[0];
    return reasoning ? { ...answer, choices: [{ ...answer.choices[0],
        message: { ...message, reasoning_content: reasoning } }] } : answer;
}

// ---- the next one: the message goes back as the SDK holds it

async function nextTurn(p, body, message, { path, want }, streamed) {
    await does({});
    await client.chat.completions.create({ ...body,
        tools: [...new Set(want.tool_calls.map((c) => c.name))].map((name) =>
            ({ type: 'function', function: { name, parameters: { type: 'object' } } })),
        messages: [...body.messages, message, ...message.tool_calls.map((c) =>
            ({ role: 'tool', tool_call_id: c.id, content: `done ${c.function.name}` }))] });
    const [request] = await saw();
    const got = read(p, request);
    assert.deepEqual(got.calls.map((c) => [c.name, c.args]),
                     want.tool_calls.map((c) => [c.name, c.arguments ?? {}]));
    assert.deepEqual(got.results, want.tool_calls.map((c) => `done ${c.name}`));
    if (p === anthropic) {
        sameSignatures(request, path, streamed);
    } else if (p === gemini) {
        sameCallSignatures(request, path);
    }
}

// Of a stream the SDK keeps the last one only.
function sameSignatures(request, path, streamed) {
    const said = [...readFileSync(path, 'utf8').matchAll(/"signature":\s*("(?:[^"\\]|\\.)+")/g)]
        .map(([, text]) => JSON.parse(text));
    const turn = request.json.messages.find((m) => m.role === 'assistant').content;
    const sent = turn.filter((b) => b.type === 'thinking').map((b) => b.signature);
    assert.deepEqual(sent, streamed ? said.slice(-1) : said);
    assert.ok(!said.length || /thinking/.test(turn[0].type), 'thinking comes first');
}

function sameCallSignatures(request, path) {
    const text = readFileSync(path, 'utf8');
    const documents = /^\s*[[{]/.test(text) ? [text]
        : [...text.matchAll(/^data: ?(.*)/gm)].map(([, data]) => data);
    const said = documents.flatMap((document) => JSON.parse(document).candidates ?? [])
        .flatMap((c) => c.content?.parts ?? []).filter((part) => part.functionCall?.name);
    const sent = request.json.contents.find((c) => c.role === 'model').parts
        .filter((part) => part.functionCall);
    for (const [i, part] of said.entries()) {
        if (part.thoughtSignature) {
            assert.equal(sent[i].thoughtSignature, part.thoughtSignature);
        }
    }
}

// ---- structured output, as it was really written

async function structured(p, recording) {
    await does({ file: recording.file });
    const { choices: [{ message }] } = await client.chat.completions.create(ask(p, 'go on', {
        response_format: { type: 'json_schema',
            json_schema: { name: 'x', schema: { type: 'object', properties: {} } } } }));
    assert.equal(typeof JSON.parse(message.content), 'object');
}

// ---- refusals of requests

const kinds = { 400: OpenAI.BadRequestError, 404: OpenAI.NotFoundError, 413: OpenAI.APIError,
                429: OpenAI.RateLimitError };

// What a provider says of our credentials is not for the client. Google says
// 400 to a bad key.
async function refused(p, { file, want }) {
    // The operator's project is nobody else's affair.
    const message = want.error.message.replace(/projects\/[\w-]+/g, 'projects/***');
    const { param } = want.error;
    const ours = [401, 403].includes(want.http_status) || /api key not valid/i.test(message);
    await does({ file, retry_after: 30 });
    const error = await failure(client.chat.completions.create(ask(p), { maxRetries: 0 }));
    assert.ok(error instanceof (ours ? OpenAI.InternalServerError : kinds[want.http_status]),
              `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, ours ? 502 : want.http_status);
    assert.equal(error.message.includes(message), !ours);
    assert.equal(error.param ?? '', ours ? '' : param ?? '');
    await saw();
}

// ---- all of them

// What each provider must have been recorded with, or the corpus is not one.
const features = ['tool-call', 'parallel-tools', 'thinking-signature', 'structured-output'];

async function complete() {
    for (const p of [anthropic, gemini]) {
        for (const feature of features) {
            assert.ok((await recordings(p, false, [feature])).length, `${p.name}: ${feature}`);
        }
    }
}

export async function recordedCases() {
    let count = 0;
    for (const p of providers.filter((each) => each.folder)) {
        for (const streamed of [false, true]) {
            const list = await recordings(p, streamed);
            const form = streamed ? 'streams' : 'whole answers';
            if (!list.length) {
                skip(`${p.name}: recorded ${form}`, 'no recordings');
            }
            for (const recording of list) {
                count++;
                await test(`${p.name}: ${recording.file}`,
                           () => played(p, streamed, recording));
            }
        }
        for (const recording of await recordings(p, false, ['error'])) {
            await test(`${p.name}: ${recording.file}`, () => refused(p, recording));
        }
        for (const recording of await recordings(p, false, ['structured-output'])) {
            await test(`${p.name}: structured, ${recording.file}`,
                       () => structured(p, recording));
        }
    }
    if (count) {
        await test('the recordings have what matters', complete);
    }
}
