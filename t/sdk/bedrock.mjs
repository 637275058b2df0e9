// bedrock.mjs - Amazon's own client for Bedrock beside the gateway: both say the
// same to the same places, and hear the same. t/59-sdk-bedrock.t starts it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { BedrockRuntimeClient, ConverseCommand,
         ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { key, url } from './doors.mjs';
import { does, saw } from './mock.mjs';
import { order, plan, test } from './tap.mjs';

// Which Node.js it likes is none of our business.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

const { mock, bodies, answers, secret } = await order('files', {});

const commands = { no: ConverseCommand, eventstream: ConverseStreamCommand };
const credentials = { accessKeyId: 'AKIDBEDROCK', secretAccessKey: secret };

function clientOf(handle, more = {}) {
    return new BedrockRuntimeClient({ region: 'us-east-1', endpoint: mock, credentials,
        requestHandler: { handle, metadata: { handlerProtocol: 'http/1.1' } },
        maxAttempts: 1, logger: {}, ...more });
}

// A client whose provider answers with these bytes; what it sent is put into
// `sent`.
function hearing(status, type, bytes, sent = {}) {
    return clientOf(async (rq) => {
        sent.body = Buffer.from(rq.body).toString();
        return { response: { statusCode: status, headers: { 'content-type': type },
                             body: Readable.from([bytes]) } };
    });
}

function lines(file) {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

// ---- where it is said

// Over the wire, which is HTTP/2 unless it is asked.
function overHttp(rq) {
    return new Promise((resolve, reject) => {
        const asked = request({ method: rq.method, host: rq.hostname, port: rq.port,
                                path: rq.path, headers: rq.headers }, (answer) =>
            resolve({ response: { statusCode: answer.statusCode, headers: answer.headers,
                                  body: answer } }));
        asked.on('error', reject);
        asked.end(rq.body);
    });
}

const models = ['anthropic.claude-sonnet-4-5-20250929-v1:0', 'us.amazon.nova-2-lite-v1:0',
    'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama3-3-70b-instruct-v1:0',
    'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6',
    'arn:aws:sagemaker:us-east-1:123456789012:endpoint/my_model~1',
    "what (nobody) has: *!'@$&,;=%41"];

const recorded = { no: 'bedrock/bedrock-converse-text-01.json',
                   eventstream: 'bedrock/bedrock-converse-text-03.eventstream' };

async function fromGateway(provider, model, streaming) {
    const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: `${provider}/${model}`, stream: streaming !== 'no',
                               messages: [{ role: 'user', content: 'Hi' }] }) });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.text();
}

async function fromAmazon(model, streaming, more) {
    const answer = await clientOf(overHttp, more).send(new commands[streaming]({ modelId: model,
        messages: [{ role: 'user', content: [{ text: 'Hi' }] }] }));
    for await (const event of answer.stream ?? []) {
        assert.ok(event);
    }
}

function scope({ headers }) {
    const [, id, place] = headers.authorization.match(
        /^AWS4-HMAC-SHA256 Credential=(\w+)\/\d{8}\/([\w/-]+), SignedHeaders=/);
    return [id, place];
}

async function bothSay(provider, model, streaming, more) {
    await does({ file: recorded[streaming] });
    await fromAmazon(model, streaming, more);
    await fromGateway(provider, model, streaming);
    const [theirs, ours] = await saw(2);
    assert.equal(ours.target, theirs.target);
    assert.deepEqual(ours.json, theirs.json);
    for (const name of ['content-type', 'host']) {
        assert.equal(ours.headers[name], theirs.headers[name], name);
    }
    return [theirs, ours];
}

async function address(model, streaming) {
    const [theirs, ours] = await bothSay('bedrock', model, streaming);
    assert.deepEqual(scope(ours), scope(theirs));
    assert.match(ours.headers['x-amz-date'], /^\d{8}T\d{6}Z$/);
    const signed = ours.headers.authorization.match(/SignedHeaders=([^,]+)/)[1].split(';');
    assert.deepEqual(['host', 'x-amz-date'].filter((name) => !signed.includes(name)), []);
}

async function bearer() {
    const [theirs, ours] = await bothSay('bearer', models[0], 'no', { credentials: undefined,
        token: { token: 'bedrock-api-key' }, authSchemePreference: ['httpBearerAuth'] });
    assert.equal(ours.headers.authorization, theirs.headers.authorization);
}

// ---- what is said

// Bytes where the wire has base64.
function plain(block) {
    for (const kind of ['image', 'document', 'video', 'audio']) {
        if (block[kind]?.source?.bytes !== undefined) {
            block[kind].source.bytes = Buffer.from(block[kind].source.bytes, 'base64');
        }
    }
    if (block.reasoningContent?.redactedContent !== undefined) {
        block.reasoningContent.redactedContent
            = Buffer.from(block.reasoningContent.redactedContent, 'base64');
    }
    block.toolResult?.content.forEach(plain);
}

const silence = Buffer.from('{"output":{"message":{"role":"assistant","content":[]}},'
    + '"stopReason":"end_turn","usage":{},"metrics":{}}');

async function says(texts) {
    const sent = {};
    const client = hearing(200, 'application/json', silence, sent);
    for (const text of texts) {
        const input = { modelId: 'm', ...JSON.parse(text) };
        input.messages.forEach((message) => message.content.forEach(plain));
        await client.send(new ConverseCommand(input));
        assert.deepEqual(JSON.parse(sent.body), JSON.parse(text));
    }
}

// ---- what is heard

// One message, out of its events.
async function gathered(stream) {
    const message = { content: [] };
    const heard = { output: { message } };
    for await (const { contentBlockStart: start, contentBlockDelta: piece, messageStop: stop,
                       metadata } of stream) {
        if (start) {
            message.content[start.contentBlockIndex] = { ...start.start, pieces: [] };
        }
        if (piece) {
            (message.content[piece.contentBlockIndex] ??= { pieces: [] }).pieces.push(piece.delta);
        }
        Object.assign(heard, stop, metadata);
    }
    message.content = message.content.filter(Boolean).map(joined);
    return heard;
}

function joined({ toolUse, pieces }) {
    const all = (pick) => pieces.map(pick).filter((piece) => piece !== undefined);
    const thoughts = all((piece) => piece.reasoningContent);
    if (toolUse) {
        const text = all((piece) => piece.toolUse?.input).join('');
        return { toolUse: { ...toolUse, input: JSON.parse(text || '{}') } };
    }
    return thoughts.length ? { reasoningContent: thought(thoughts) }
                           : { text: all((piece) => piece.text).join('') };
}

function thought(pieces) {
    const [sealed] = pieces.filter((piece) => piece.redactedContent);
    return sealed ?? { reasoningText: {
        text: pieces.map((piece) => piece.text ?? '').join(''),
        signature: pieces.map((piece) => piece.signature ?? '').join('') } };
}

// In the words of our own decoder.
function seen({ output, stopReason, usage = {} }) {
    const blocks = output?.message.content ?? [];
    const thoughts = blocks.flatMap((block) => block.reasoningContent ?? []);
    const counted = Object.fromEntries(Object.entries({ input: usage.inputTokens,
        cache_read: usage.cacheReadInputTokens, cache_write: usage.cacheWriteInputTokens,
        output: usage.outputTokens }).filter(([, n]) => n !== undefined));
    return { text: blocks.map(textOf).join(''), reason: stopReason,
        reasoning: thoughts.map((each) => each.reasoningText?.text ?? '').join(''),
        calls: blocks.flatMap(({ toolUse: call }) => (call
            ? [{ id: call.toolUseId, name: call.name, arguments: call.input }] : [])),
        tokens: thoughts.filter((each) => each.redactedContent
                                          || each.reasoningText?.signature).length,
        usage: counted };
}

// A text with sources is a text.
function textOf({ text, citationsContent: cited }) {
    return text ?? cited?.content?.map((part) => part.text ?? '').join('') ?? '';
}

function ours({ choices: [choice], usage }) {
    return { text: choice.text ?? '', reason: choice.reason, reasoning: choice.reasoning ?? '',
        calls: choice.tool_calls.map(({ id, name, arguments: args }) =>
            ({ id, name, arguments: JSON.parse(args || '{}') })),
        tokens: choice.tokens, usage };
}

async function hears({ path, streaming, decoded }) {
    const type = streaming === 'no' ? 'application/json' : 'application/vnd.amazon.eventstream';
    const answer = await hearing(200, type, readFileSync(path))
        .send(new commands[streaming]({ modelId: 'm', messages: [] }));
    assert.deepEqual(ours(decoded), seen(answer.stream ? await gathered(answer.stream) : answer));
}

async function fails({ path, decoded }) {
    const { status, content_type: type, body } = JSON.parse(readFileSync(path, 'utf8'));
    const error = await hearing(status, type, Buffer.from(JSON.stringify(body)))
        .send(new ConverseCommand({ modelId: 'm', messages: [] })).catch((e) => e);
    assert.ok(error instanceof Error);
    // To us 403 is a key that is not taken; the client of the gateway is not told.
    assert.equal(decoded.error.kind === 'AUTH' ? 403 : decoded.error.status,
                 error.$metadata.httpStatusCode);
    assert.equal(decoded.error.message, error.message);
}

// ---- all of them

for (const model of models) {
    for (const streaming of Object.keys(commands)) {
        await test(`${model}: one address, ${streaming}`, () => address(model, streaming));
    }
}
await test("Bedrock's own keys", bearer);
for (const { file, texts } of lines(bodies)) {
    await test(`${file}: the client would send the same`, () => says(texts));
}
for (const answer of lines(answers)) {
    await test(`${answer.file}: the client hears the same`, () =>
        (answer.decoded.error && !answer.decoded.choices ? fails : hears)(answer));
}
plan();
process.exit(0);
