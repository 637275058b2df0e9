// doors.mjs - what the cases of all front doors have in common: who stands
// behind them, what is asked and said, and what is known of providers' errors.
import assert from 'node:assert/strict';
import { does, read, saw, says } from './mock.mjs';
import { patience } from './tap.mjs';

export const url = process.env.LLMUX_URL;
export const key = process.env.LLMUX_KEY;

// It calls the first tool that it is offered, and says what a tool said.
export const demo = { name: 'demo', dialect: 'openai', model: 'caller' };

// The SDKs warn of what is done here on purpose.
console.warn = () => {};

export const words = 'one two three';

// ---- tools

export const weather = { name: 'weather', description: 'Says the weather',
    schema: { type: 'object', required: ['city'], additionalProperties: false,
              properties: { city: { type: 'string' } } } };
export const clock = { name: 'clock', description: 'Says the time',
    schema: { type: 'object', properties: {}, additionalProperties: false } };

export const calls = [{ id: 'call_a1', name: 'weather', args: { city: 'Köln "am Rhein"' } },
                      { id: 'call_a2', name: 'weather', args: { city: 'Oslo' } },
                      { id: 'call_a3', name: 'clock', args: {} }];
export const said = calls.map((call) => ({ call }));
const results = ['rain in Köln "am Rhein"', 'rain in Oslo', 'noon'];

export function work(name, args) {
    return name === 'clock' ? 'noon' : `rain in ${args.city}`;
}

// Two turns: all tools are called at once, then there is an answer.
export async function talks(p, streamed) {
    await does(says(p, streamed, { text: 'Let me see.' }, ...said),
               says(p, streamed, { text: 'Take an umbrella.' }));
}

// What the provider saw of the first turn when the second was asked.
export async function carried(p) {
    const { calls: got, results: back } = read(p, (await saw(2))[1]);
    assert.deepEqual(got.map(({ name, args }) => ({ name, args })),
                     calls.map(({ name, args }) => ({ name, args })));
    assert.deepEqual(back, results);
}

// ---- structure and pictures

export const schema = { type: 'object', additionalProperties: false,
    required: ['city', 'days'],
    properties: { city: { type: 'string' },
                  days: { type: 'array', items: { type: 'integer' } } } };
export const trip = { city: 'Zürich', days: [1, 2] };

export async function sentSchema(p) {
    const sent = read(p, (await saw())[0]).schema;
    assert.equal(sent.type, 'object');
    assert.deepEqual(sent.required, schema.required);
    assert.deepEqual(Object.keys(sent.properties), ['city', 'days']);
}

export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk'
    + '+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export async function sentPixel(p) {
    assert.deepEqual(read(p, (await saw())[0]).images, [`data:image/png;base64,${pixel}`]);
}

// ---- who asked whom

// The path and the signature of the provider; ours is seen by nobody.
export async function addressed(p, more = {}) {
    const [request] = await saw();
    const signed = { ...p.signed, ...more };
    assert.equal(request.path, p.path);
    for (const name of ['authorization', 'x-api-key', 'x-goog-api-key', 'anthropic-version']) {
        assert.equal(request.headers[name] ?? undefined, signed[name], name);
    }
    assert.ok(!JSON.stringify(request).includes(key));
    assert.deepEqual(Object.keys(request.headers).filter((h) =>
        /stainless|x-goog-api-client/.test(h)), []);
}

// ---- errors

// [what the provider does, the status that is shown, how often it is asked]
export const answers = [
    [{ status: 400 }, 400, 1],
    [{ status: 401 }, 502, 1],
    [{ status: 404 }, 404, 1],
    [{ status: 429, retry_after: 30 }, 429, 1],
    [{ status: 500 }, 500, 3],
    [{ status: 529 }, 503, 3],
];

// An answer cut after three words, and an error said instead of the next one.
const three = { openai: 4, anthropic: 6, gemini: 3, responses: 6 };

export function late(p) {
    return [['is cut', { cut: three[p.dialect] }],
            ['says an error', { error_event: three[p.dialect] }]];
}

// A stream that says something and never ends.
export async function neverEnds(p) {
    const after = { openai: 3, anthropic: 5, gemini: 2, responses: 5 };
    await does({ stall_after: [after[p.dialect], 30] });
}

// The provider's connection is gone within 250 ms.
export async function letGo(left) {
    const [request] = await saw(1, true);
    const took = request.ended_at * 1000 - left;
    assert.equal(request.how, 'peer_closed');
    assert.ok(took < patience(250), `it took ${Math.round(took)} ms`);
}

export async function failure(promise) {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    throw new Error('nothing was thrown');
}
