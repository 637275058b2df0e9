// tools.mjs - tools over two turns to the end, and reasoning whose signature
// must come back as it was.
import assert from 'node:assert/strict';
import { client, ask, drain } from './client.mjs';
import { anthropic, does, gemini, providers, read, saw, says } from './mock.mjs';
import { test } from './tap.mjs';

const weather = { type: 'function', function: { name: 'weather',
    description: 'Says the weather', parameters: { type: 'object', required: ['city'],
        properties: { city: { type: 'string' } } } } };
const clock = { type: 'function', function: { name: 'clock',
    parameters: { type: 'object', properties: {} } } };
const tools = [weather, clock];

const calls = [{ id: 'call_a1', name: 'weather', args: { city: 'Köln "am Rhein"' } },
               { id: 'call_a2', name: 'weather', args: { city: 'Oslo' } },
               { id: 'call_a3', name: 'clock', args: {} }];
const said = calls.map((call) => ({ call }));
const again = { ...calls[1], id: 'call_b1' };
const results = ['rain in Köln "am Rhein"', 'rain in Oslo', 'noon'];

function work({ name, arguments: text }) {
    const { city } = JSON.parse(text);
    return name === 'clock' ? 'noon' : `rain in ${city}`;
}

// Both ways to an assistant's message: one answer, or put together by the
// SDK from a stream.
const ways = {
    whole: async (body) => (await client.chat.completions.create(body)).choices[0],
    streamed: async (body) =>
        (await client.chat.completions.stream(body).finalChatCompletion()).choices[0],
};

function answersTo(message) {
    return message.tool_calls.map((call) =>
        ({ role: 'tool', tool_call_id: call.id, content: work(call.function) }));
}

// The first turn, the message sent back as it is, the second turn.
async function twoTurns(p, way, body) {
    const first = await ways[way](body);
    assert.equal(first.finish_reason, 'tool_calls');
    const second = await ways[way]({ ...body,
        messages: [...body.messages, first.message, ...answersTo(first.message)] });
    return { first, second, requests: await saw(2) };
}

function sameCalls(p, request, wanted = calls) {
    const got = read(p, request).calls;
    // Gemini's have no ids on the wire.
    assert.deepEqual(got, wanted.map(({ id, ...rest }) =>
        (got[0] && 'id' in got[0] ? { id, ...rest } : rest)));
}

async function parallel(p, way) {
    const streamed = way === 'streamed';
    await does(says(p, streamed, { text: 'Let me see.' }, ...said),
               says(p, streamed, { text: 'Take an umbrella.' }));
    const { first, second, requests } = await twoTurns(p, way, ask(p, 'what now', { tools }));
    assert.equal(first.message.content, 'Let me see.');
    assert.deepEqual(first.message.tool_calls.map((c) => JSON.parse(c.function.arguments)),
                     calls.map((c) => c.args));
    assert.equal(new Set(first.message.tool_calls.map((c) => c.id)).size, 3);
    assert.equal(second.message.content, 'Take an umbrella.');
    assert.equal(second.finish_reason, 'stop');
    sameCalls(p, requests[1]);
    assert.deepEqual(read(p, requests[1]).results, results);
}

// The deltas themselves: each call has its index, one beginning, and its id.
async function deltas(p) {
    await does(says(p, true, ...said));
    const { chunks, finish } = await drain(await client.chat.completions.create(
        ask(p, 'what now', { tools, stream: true })));
    const fragments = chunks.flatMap((c) => c.choices[0]?.delta?.tool_calls ?? []);
    assert.equal(finish, 'tool_calls');
    for (const [index, call] of calls.entries()) {
        const own = fragments.filter((f) => f.index === index);
        assert.equal(own.filter((f) => f.id).length, 1);
        assert.ok(own[0].id);
        assert.equal(own[0].type, 'function');
        assert.equal(own[0].function.name, call.name);
        assert.deepEqual(JSON.parse(own.map((f) => f.function?.arguments ?? '').join('')),
                         call.args);
    }
}

// The SDK calls the functions itself and asks on until there is an answer.
async function runs(p, stream) {
    const called = [];
    const runnable = tools.map(({ function: f }) => ({ type: 'function', function: { ...f,
        function: (args) => {
            called.push([f.name, args]);
            return work({ name: f.name, arguments: JSON.stringify(args) });
        },
        parse: JSON.parse } }));
    await does(says(p, stream, ...said), says(p, stream, { call: again }),
               says(p, stream, { text: 'Take an umbrella.' }));
    const runner = client.chat.completions.runTools(
        ask(p, 'what now', { tools: runnable, stream }));
    assert.equal(await runner.finalContent(), 'Take an umbrella.');
    assert.deepEqual(called, [...calls, again].map((c) => [c.name, c.args]));
    const requests = await saw(3);
    sameCalls(p, requests[2], [...calls, again]);
    assert.deepEqual(read(p, requests[2]).results, [...results, results[1]]);
}

async function forced(p) {
    await does(says(p, false, { call: calls[1] }));
    const { choices: [choice] } = await client.chat.completions.create(ask(p, 'what now', { tools,
        tool_choice: { type: 'function', function: { name: 'weather' } },
        parallel_tool_calls: false }));
    assert.equal(choice.message.tool_calls[0].function.name, 'weather');
    assert.equal(choice.message.content, null);
    const body = JSON.stringify((await saw())[0].json);
    assert.match(body, p === gemini ? /"allowedFunctionNames":\["weather"\]/
        : /"tool_choice":\{.*"name":"weather"/);
}

// ---- reasoning

const signature = `Eq+/${'QUJD'.repeat(200)}==`;
const thoughts = { anthropic: [{ thought: 'Hm, rain?', signature }],
                   gemini: [{ thought: 'Hm, rain?' }] };

function thinking(p) {
    return ask(p, 'what now', { tools, reasoning_effort: 'low' });
}

async function anthropicTurns(way, parts, wanted) {
    const streamed = way === 'streamed';
    await does(says(anthropic, streamed, ...parts, ...said),
               says(anthropic, streamed, { text: 'Rain.' }));
    const { first, requests } = await twoTurns(anthropic, way, thinking(anthropic));
    assert.equal(requests[0].json.thinking.type, 'enabled');
    assert.equal(requests[1].json.thinking.type, 'enabled');
    const turn = requests[1].json.messages.find((m) => m.role === 'assistant');
    assert.deepEqual(turn.content.slice(0, wanted.length), wanted);
    assert.deepEqual(turn.content.slice(wanted.length).map((b) => b.type),
                     calls.map(() => 'tool_use'));
    return first.message;
}

async function thoughtWhole() {
    const message = await anthropicTurns('whole', thoughts.anthropic,
        [{ type: 'thinking', thinking: 'Hm, rain?', signature }]);
    assert.equal(message.reasoning_content, 'Hm, rain?');
}

async function redacted() {
    await anthropicTurns('whole', [...thoughts.anthropic, { redacted: 'c2VhbGVk' }],
        [{ type: 'thinking', thinking: 'Hm, rain?', signature },
         { type: 'redacted_thinking', data: 'c2VhbGVk' }]);
}

// The SDK keeps of unknown members the last delta only: here the signature,
// which is what Anthropic checks; its text may be empty.
async function thoughtStreamed() {
    await anthropicTurns('streamed', thoughts.anthropic,
        [{ type: 'thinking', thinking: '', signature }]);
}

// A program that puts the deltas together itself has all of it.
async function thoughtDeltas() {
    await does(says(anthropic, true, ...thoughts.anthropic, ...said));
    const { chunks } = await drain(await client.chat.completions.create(
        { ...thinking(anthropic), stream: true }));
    const all = chunks.flatMap((c) => c.choices[0]?.delta ?? []);
    const details = all.flatMap((d) => d.reasoning_details ?? []);
    assert.equal(all.map((d) => d.reasoning_content ?? '').join(''), 'Hm, rain?');
    assert.equal(details.map((d) => d.text ?? '').join(''), 'Hm, rain?');
    // Under the gateway's seal: good to the provider who made it, nobody else.
    const signatures = details.map((d) => d.signature).filter(Boolean);
    assert.equal(signatures.length, 1);
    assert.match(signatures[0], /^gw2\.\w+\.[\w-]+$/);
}

// runTools() sends back only what OpenAI knows: without the thinking before
// them, calls may not stand in a request that wants thinking.
async function forgotten() {
    const runnable = tools.map(({ function: f }) => ({ type: 'function', function: { ...f,
        parse: JSON.parse, function: () => 'rain' } }));
    await does(says(anthropic, false, ...thoughts.anthropic, { call: calls[1] }),
               says(anthropic, false, { text: 'Rain.' }));
    const runner = client.chat.completions.runTools(
        { ...thinking(anthropic), tools: runnable });
    assert.equal(await runner.finalContent(), 'Rain.');
    const [first, second] = await saw(2);
    assert.equal(first.json.thinking.type, 'enabled');
    assert.notEqual(second.json.thinking?.type, 'enabled');
    assert.ok(!JSON.stringify(second.json.messages).includes('"thinking"'));
}

async function geminiTurns(way) {
    const streamed = way === 'streamed';
    const [one, ...rest] = said;
    await does(says(gemini, streamed, ...thoughts.gemini, { ...one, signature }, ...rest),
               says(gemini, streamed, { text: 'Rain.' }));
    const { requests } = await twoTurns(gemini, way, thinking(gemini));
    assert.ok(requests[0].json.generationConfig.thinkingConfig);
    const parts = requests[1].json.contents.find((c) => c.role === 'model').parts;
    const sent = parts.filter((part) => part.functionCall);
    assert.deepEqual(sent.map((part) => part.thoughtSignature ?? null),
                     [signature, null, null]);
    sameCalls(gemini, requests[1]);
}

export async function toolCases() {
    for (const p of providers) {
        await test(`${p.name}: parallel tools over two turns`, () => parallel(p, 'whole'));
        await test(`${p.name}: the same, streamed`, () => parallel(p, 'streamed'));
        await test(`${p.name}: each call's deltas`, () => deltas(p));
        await test(`${p.name}: runTools() to the end`, () => runs(p, false));
        await test(`${p.name}: runTools(), streamed`, () => runs(p, true));
        await test(`${p.name}: a forced tool`, () => forced(p));
    }
    await test('Anthropic: thinking comes back first, with its signature', thoughtWhole);
    await test('Anthropic: redacted thinking comes back, too', redacted);
    await test('Anthropic: streamed, the signature survives the SDK', thoughtStreamed);
    await test('Anthropic: streamed, the deltas have all of it', thoughtDeltas);
    await test('Anthropic: runTools() loses thinking, so none is asked for', forgotten);
    await test('Gemini: the signature stands on its call again', () => geminiTurns('whole'));
    await test('Gemini: streamed, it does as well', () => geminiTurns('streamed'));
}
