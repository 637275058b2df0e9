// cross-doors.mjs - the vendors' own clients, each asking a server for one
// answer, whole or streamed, and what it hands to its user in one form:
// {model, choices: [{text, refusal, reasoning, calls, finish, stop}], usage}.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { ApiError, GoogleGenAI } from '@google/genai';
import Before from 'anthropic-before';
import OpenAI from 'openai';

const messages = [{ role: 'user', content: 'go on' }];
const apiKey = 'x';
const none = { input: 0, output: 0, cached: 0, reasoning: 0, written: 0 };

function joined(list, member) {
    return list.map((each) => each[member] ?? '').join('');
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

function isId(id) {
    assert.ok(typeof id === 'string' && id, `an id: ${JSON.stringify(id)}`);
}

// ---- chat completions

function chatCall({ id, type, function: named, custom }) {
    isId(id);
    assert.equal(type, custom ? 'custom' : 'function');
    return custom ? { id, name: custom.name, args: custom.input }
                  : { id, name: named.name, args: parsed(named.arguments) };
}

function chatChoice({ index, message, finish_reason: finish }, i) {
    assert.equal(index, i);
    assert.equal(message.role, 'assistant');
    assert.ok(message.content === null || typeof message.content === 'string');
    return { text: message.content ?? '', refusal: message.refusal ?? '', finish, stop: null,
             reasoning: message.reasoning_content ?? '',
             calls: (message.tool_calls ?? []).map(chatCall) };
}

function chatUsage(usage) {
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    return { input: usage.prompt_tokens, output: usage.completion_tokens,
             cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
             written: usage.prompt_tokens_details?.cache_write_tokens ?? 0,
             reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0 };
}

function chatAnswer(completion) {
    assert.equal(completion.object, 'chat.completion');
    isId(completion.id);
    assert.ok(completion.created > 0);
    return { model: completion.model, choices: completion.choices.map(chatChoice),
             usage: completion.usage ? chatUsage(completion.usage) : null };
}

// What stream() does not put together: reasoning, of which it would keep the
// last delta only, and calls of custom tools, at which it gives up.
function hear(stream) {
    const heard = { reasoning: [], custom: [] };
    stream.on('chunk', (chunk, snapshot) => {
        heard.snapshot = snapshot;
        for (const { index, delta } of chunk.choices) {
            heard.reasoning[index] ??= '';
            heard.reasoning[index] += delta.reasoning_content ?? '';
            for (const call of delta.tool_calls ?? []) {
                hearCall(heard.custom[index] ??= [], call);
            }
        }
    });
    return heard;
}

function hearCall(calls, { index, type, custom }) {
    if (type === 'custom') {
        calls[index] = { ...custom };
    } else if (custom) {
        calls[index].input += custom.input;
    }
}

async function finalOf(stream, heard) {
    try {
        return await stream.finalChatCompletion();
    } catch (error) {
        if (!heard.custom.flat().length) {
            throw error;
        }
        return { ...heard.snapshot, object: 'chat.completion' };
    }
}

async function chatStream(client, body) {
    const stream = client.chat.completions.stream(
        { ...body, stream_options: { include_usage: true } });
    const heard = hear(stream);
    const completion = await finalOf(stream, heard);
    return { ...completion, choices: completion.choices.map((choice, i) =>
        ({ ...choice, message: { content: null, ...choice.message,
            reasoning_content: heard.reasoning[i],
            tool_calls: choice.message.tool_calls?.map((call, k) =>
                (call.type === 'custom' ? { ...call, custom: heard.custom[i][k] } : call)) } })) };
}

async function chat(url, streamed) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    const body = { model: 'm', messages };
    return chatAnswer(streamed ? await chatStream(client, body)
                               : await client.chat.completions.create(body));
}

// ---- legacy completions

// The pieces of one choice.
function completionChoice(list) {
    const finish = list.map((piece) => piece.finish_reason).filter(Boolean);
    assert.equal(finish.length, 1, 'one reason to end');
    assert.ok(list.every(({ text }) => typeof text === 'string'));
    return { text: joined(list, 'text'), refusal: '', reasoning: '', calls: [],
             finish: finish[0], stop: null };
}

function completionAnswer(chunks) {
    const usage = chunks.map((chunk) => chunk.usage).filter(Boolean).pop();
    const all = chunks.flatMap(({ choices }) => choices);
    const count = Math.max(...all.map(({ index }) => index)) + 1;
    assert.ok(chunks.every(({ object, id }) => object === 'text_completion' && id));
    return { model: chunks[0].model, usage: usage ? chatUsage(usage) : null,
        choices: Array.from({ length: count }, (_, i) =>
            completionChoice(all.filter(({ index }) => index === i))) };
}

async function complete(url, streamed) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    const body = { model: 'm', prompt: 'go on' };
    if (!streamed) {
        return completionAnswer([await client.completions.create(body)]);
    }
    const chunks = [];
    for await (const chunk of await client.completions.create(
        { ...body, stream: true, stream_options: { include_usage: true } })) {
        chunks.push(chunk);
    }
    return completionAnswer(chunks);
}

// ---- responses

function itemsOf(response, ...types) {
    return response.output.filter(({ type }) => types.includes(type));
}

function responseCall(item) {
    isId(item.id);
    isId(item.call_id);
    return { id: item.call_id, name: item.name,
             args: item.type === 'custom_tool_call' ? item.input : parsed(item.arguments) };
}

// A thought's parts are a paragraph each.
function thoughts(item) {
    return [...item.summary, ...item.content ?? []].map(({ text }) => text).join('\n\n');
}

function responseUsage(usage) {
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    return { input: usage.input_tokens, output: usage.output_tokens,
             cached: usage.input_tokens_details.cached_tokens,
             written: usage.input_tokens_details.cache_write_tokens,
             reasoning: usage.output_tokens_details.reasoning_tokens };
}

function responseAnswer(response) {
    const parts = itemsOf(response, 'message').flatMap(({ content }) => content);
    assert.equal(response.object, 'response');
    isId(response.id);
    assert.equal(response.output_text,
                 joined(parts.filter(({ type }) => type === 'output_text'), 'text'));
    return { model: response.model, usage: response.usage ? responseUsage(response.usage) : null,
        choices: [{ text: response.output_text, refusal: joined(parts, 'refusal'),
            reasoning: itemsOf(response, 'reasoning').map(thoughts).join(''),
            calls: itemsOf(response, 'function_call', 'custom_tool_call').map(responseCall),
            finish: response.incomplete_details?.reason ?? response.status, stop: null }] };
}

async function responses(url, streamed) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    const body = { model: 'm', input: 'go on' };
    return responseAnswer(streamed ? await client.responses.stream(body).finalResponse()
                                   : await client.responses.create(body));
}

// ---- messages

function blocksOf(message, type) {
    return message.content.filter((block) => block.type === type);
}

function toolUse({ id, name, input }) {
    isId(id);
    assert.ok(input && typeof input === 'object');
    return { id, name, args: input };
}

// The API counts always: what nobody counted is nothing.
function messageUsage(usage) {
    const cached = usage.cache_read_input_tokens ?? 0;
    const written = usage.cache_creation_input_tokens ?? 0;
    const counts = { cached, written, output: usage.output_tokens,
        input: usage.input_tokens + cached + written,
        reasoning: usage.output_tokens_details?.thinking_tokens ?? 0 };
    assert.deepEqual(Object.values(counts).filter((n) => !Number.isInteger(n)), []);
    return counts;
}

function messageAnswer(message) {
    assert.equal(message.type, 'message');
    assert.equal(message.role, 'assistant');
    isId(message.id);
    return { model: message.model, usage: messageUsage(message.usage),
        choices: [{ text: joined(blocksOf(message, 'text'), 'text'), refusal: '',
            reasoning: joined(blocksOf(message, 'thinking'), 'thinking'),
            calls: blocksOf(message, 'tool_use').map(toolUse), finish: message.stop_reason,
            stop: message.stop_sequence }] };
}

async function messageOf(SDK, url, streamed) {
    const client = new SDK({ baseURL: url, apiKey, maxRetries: 0 });
    const body = { model: 'm', max_tokens: 100, messages };
    return messageAnswer(streamed ? await client.messages.stream(body).finalMessage()
                                  : await client.messages.create(body));
}

// In both majors, which see the same.
async function message(url, streamed) {
    const answer = await messageOf(Anthropic, url, streamed);
    assert.deepEqual(await messageOf(Before, url, streamed), answer);
    return answer;
}

// ---- generateContent

// The pieces of all answers of a stream, or of the only one.
function candidateAnswer(list) {
    const parts = list.flatMap(({ content }) => content?.parts ?? []);
    const finish = list.map(({ finishReason }) => finishReason).filter(Boolean);
    assert.equal(finish.length, 1, 'one reason to end');
    return { text: joined(parts.filter(({ thought }) => !thought), 'text'), refusal: '',
        reasoning: joined(parts.filter(({ thought }) => thought), 'text'),
        finish: finish[0], stop: null,
        calls: parts.map(({ functionCall }) => functionCall).filter(Boolean)
            .map(({ id, name, args }) => ({ id, name, args })) };
}

function geminiUsage(usage) {
    const counts = { input: (usage.promptTokenCount ?? 0) + (usage.toolUsePromptTokenCount ?? 0),
        output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
        cached: usage.cachedContentTokenCount ?? 0, reasoning: usage.thoughtsTokenCount ?? 0,
        written: 0 };
    assert.equal(usage.totalTokenCount, counts.input + counts.output);
    return counts;
}

function blocked({ blockReason }) {
    return { text: '', refusal: '', reasoning: '', calls: [], stop: null,
             finish: `blocked: ${blockReason}` };
}

function geminiAnswer(chunks) {
    const usage = chunks.map((chunk) => chunk.usageMetadata).filter(Boolean).pop();
    const feedback = chunks.map((chunk) => chunk.promptFeedback).find(Boolean);
    const all = chunks.flatMap(({ candidates }) => candidates ?? []);
    const count = Math.max(...all.map(({ index }) => index ?? 0)) + 1;
    assert.ok(chunks.length);
    return { model: chunks[0].modelVersion, usage: usage ? geminiUsage(usage) : null,
        choices: feedback ? [blocked(feedback)] : Array.from({ length: count }, (_, i) =>
            candidateAnswer(all.filter(({ index }) => (index ?? 0) === i))) };
}

// A conversation goes on only from answers that the client finds whole: each
// has parts, and none of them is empty.
async function talk(client) {
    const chat = client.chats.create({ model: 'm' });
    const chunks = [];
    for await (const chunk of await chat.sendMessageStream({ message: 'go on' })) {
        chunks.push(chunk);
    }
    const said = chunks.some(({ candidates }) => candidates?.[0]?.content?.parts?.length);
    assert.equal(chat.getHistory(true).length > 0, said, 'it goes into the history');
    return chunks;
}

async function gemini(url, streamed) {
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
    return geminiAnswer(streamed ? await talk(client)
        : [await client.models.generateContent({ model: 'm', contents: 'go on' })]);
}

// ---- vectors

// Numbers, or what the client makes of base64.
async function embeddings(url, base64) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    const { object, model, data, usage } = await client.embeddings.create(
        { model: 'm', input: ['go on'], ...(base64 ? {} : { encoding_format: 'float' }) });
    assert.equal(object, 'list');
    assert.deepEqual(data.map(({ index }) => index), data.map((_, i) => i));
    assert.equal(usage.total_tokens, usage.prompt_tokens);
    return { model, input: usage.prompt_tokens, vectors: data.map(({ embedding }) => embedding) };
}

async function batchEmbed(url) {
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
    const answer = await client.models.embedContent({ model: 'm', contents: ['go on'] });
    return { vectors: answer.embeddings.map(({ values }) => values) };
}

// ---- counts

async function messageCount(url) {
    const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
    const answer = await client.messages.countTokens({ model: 'm', messages });
    return { input: answer.input_tokens };
}

async function responseCount(url) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    const answer = await client.responses.inputTokens.count({ model: 'm', input: 'go on' });
    assert.equal(answer.object, 'response.input_tokens');
    return { input: answer.input_tokens };
}

async function geminiCount(url) {
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
    const answer = await client.models.countTokens({ model: 'm', contents: 'go on' });
    return { input: answer.totalTokens };
}

// ---- the doors

// What each client is, what its errors are, and what it says of an answer that
// nobody counted.
export const doors = {
    openai: { ask: chat, fault: OpenAI.APIError, uncounted: null },
    responses: { ask: responses, fault: OpenAI.APIError, uncounted: null },
    anthropic: { ask: message, fault: Anthropic.APIError, uncounted: none },
    gemini: { ask: gemini, fault: ApiError, uncounted: null },
    completions: { ask: complete, fault: OpenAI.APIError, uncounted: null },
    embeddings: { ask: embeddings, fault: OpenAI.APIError },
    'gemini-batch-embed': { ask: batchEmbed, fault: ApiError },
    'anthropic-count': { ask: messageCount, fault: Anthropic.APIError },
    'responses-count': { ask: responseCount, fault: OpenAI.APIError },
    'gemini-count': { ask: geminiCount, fault: ApiError },
};
