// responses-recorded.mjs - the official OpenAI client takes streams of Responses
// that were made of recordings, by its own helper and its own rules. A line of
// standard input is one of them: {name, events, response}.
// t/54-sdk-responses-recorded.t starts it.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';

// A client whose provider answers with these bytes, some at a time.
function clientOf(bytes) {
    const pieces = new ReadableStream({
        start(controller) {
            for (let at = 0; at < bytes.length; at += 1000) {
                controller.enqueue(bytes.subarray(at, at + 1000));
            }
            controller.close();
        },
    });
    const headers = { 'content-type': 'text/event-stream' };
    return new OpenAI({ apiKey: 'x', maxRetries: 0, fetch: async () => new Response(pieces, { headers }) });
}

// Without what the client adds for its users.
function plain(response) {
    const { output_parsed, output_text, ...rest } = response;
    const output = rest.output.map(({ parsed_arguments, ...item }) => (
        item.type === 'message'
            ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item));
    return { ...rest, output };
}

// All deltas of a kind, joined.
function joined(events, type) {
    return events.filter((event) => event.type === type).map((event) => event.delta).join('');
}

async function follow({ events, response }) {
    const seen = [];
    const stream = clientOf(Buffer.from(events)).responses.stream({ model: 'm', input: 'hi' });
    stream.on('event', (event) => seen.push(event));
    const final = await stream.finalResponse();
    assert.deepEqual(plain(final), response);
    assert.equal(joined(seen, 'response.output_text.delta'), final.output_text);
    seen.forEach((event, i) => assert.equal(event.sequence_number, i));
}

// One that failed on the way is an error, as it is from OpenAI itself.
async function fail({ events, response }) {
    const stream = clientOf(Buffer.from(events)).responses.stream({ model: 'm', input: 'hi' });
    const error = await stream.finalResponse().then(() => null, (e) => e);
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.equal(error.error.message, response.error.message);
}

let shown = 0;
for await (const line of createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    shown++;
    try {
        await (job.events.includes('event: error\n') ? fail : follow)(job);
        console.log(`ok - ${job.name}`);
    } catch (error) {
        console.log(`not ok - ${job.name}`);
        String(error.stack).slice(0, 2000).split('\n').forEach((text) => console.log(`#   ${text}`));
    }
}
console.log(`1..${shown}`);
