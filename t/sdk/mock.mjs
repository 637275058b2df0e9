// mock.mjs - the providers behind the gateway: who they are, what they are to
// say in each dialect, and what they saw.
import { order } from './tap.mjs';

// One for each way in which a provider is addressed and signed.
export const providers = [
    { name: 'OpenAI', dialect: 'openai', folder: 'openai-chat', model: 'gpt-4o',
      upstream: 'gpt-4o', path: '/v1/chat/completions',
      signed: { authorization: 'Bearer sk-openai' } },
    { name: 'Anthropic', dialect: 'anthropic', folder: 'anthropic-messages',
      model: 'claude-sonnet-4-5', upstream: 'claude-sonnet-4-5', path: '/v1/messages',
      signed: { 'x-api-key': 'sk-anthropic', 'anthropic-version': '2023-06-01' } },
    { name: 'Gemini', dialect: 'gemini', folder: 'gemini', model: 'gemini-2.5-flash',
      path: '/v1beta/models/gemini-2.5-flash:generateContent',
      signed: { 'x-goog-api-key': 'sk-gemini' } },
    { name: 'Azure', dialect: 'openai', folder: 'azure', model: 'azure-gpt',
      path: '/openai/deployments/my-gpt/chat/completions', query: 'api-version=2024-10-21',
      signed: { 'api-key': 'sk-azure' } },
    { name: 'Azure v1', dialect: 'openai', model: 'azure-v1-gpt', upstream: 'my-gpt',
      path: '/openai/v1/chat/completions', signed: { 'api-key': 'sk-azure-v1' } },
    { name: 'compatible', dialect: 'openai', folder: 'openai-compat', model: 'llama-3.3-70b',
      upstream: 'llama-3.3-70b', path: '/local/v1/chat/completions', signed: {} },
];

// OpenAI's other API, to which clients of the same API are passed on.
export const native = { name: 'OpenAI', dialect: 'responses', model: 'gpt-4o', upstream: 'gpt-4o',
                        path: '/v1/responses', signed: providers[0].signed };

// The first ones of each dialect.
export const [openai, anthropic, gemini] = providers;
export const dialects = [openai, anthropic, gemini];
export const compatible = providers.at(-1);

// ---- what it is to do

let from = 0;

// One behaviour for all requests from now on, or one after the other.
export async function does(...behaviours) {
    const last = behaviours.length - 1;
    from = await order('rules', behaviours.map((behaviour, i) =>
        ({ do: behaviour, ...(i < last && { times: 1 }) })));
}

// The requests since then: so many, or between [least, most]. `ended`: they are
// waited for to be over.
export async function saw(count = 1, ended = false) {
    const [least, most] = [count, count].flat().slice(0, 2);
    const requests = await order('requests', { from, count: least, ended });
    if (requests.length < least || requests.length > most) {
        throw new Error(`the provider saw ${requests.length} requests, not ${count}`);
    }
    return requests;
}

export async function recordings(provider, streamed, tags = []) {
    return order('recordings', { dialect: provider.folder, streaming: streamed ? 'sse' : 'no',
                                 tags });
}

// ---- answers by hand, of 11 tokens in and 7 out
//
// A part is { text }, { thought, signature }, { redacted } or
// { call: { id, name, args }, signature }.

const wholes = {
    openai(parts) {
        const calls = parts.filter((p) => p.call);
        return { id: 'chatcmpl-hand', object: 'chat.completion', created: 1700000000,
            model: 'by-hand', choices: [{ index: 0, logprobs: null,
                finish_reason: calls.length ? 'tool_calls' : 'stop',
                message: { role: 'assistant', refusal: null,
                    content: parts.map((p) => p.text ?? '').join('') || null,
                    ...(calls.length && { tool_calls: calls.map(openaiCall) }) } }],
            usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } };
    },
    anthropic(parts) {
        return { id: 'msg_hand', type: 'message', role: 'assistant', model: 'by-hand',
            content: parts.map(anthropicBlock), stop_sequence: null,
            stop_reason: anthropicStop(parts),
            usage: { input_tokens: 11, output_tokens: 7 } };
    },
    gemini(parts) {
        return geminiChunk(parts.map(geminiPart), true);
    },
    responses(parts) {
        return { id: 'resp_hand', object: 'response', created_at: 1700000000, model: 'by-hand',
            status: 'completed', error: null, incomplete_details: null,
            output: parts.map(responsesItem),
            usage: { input_tokens: 11, input_tokens_details: { cached_tokens: 0 },
                     output_tokens: 7, output_tokens_details: { reasoning_tokens: 0 },
                     total_tokens: 18 } };
    },
};

function responsesItem({ text, call }, n) {
    return call
        ? { type: 'function_call', id: `fc_${n}`, call_id: call.id, name: call.name,
            arguments: JSON.stringify(call.args), status: 'completed' }
        : { type: 'message', id: `msg_${n}`, role: 'assistant', status: 'completed',
            content: [{ type: 'output_text', text, annotations: [] }] };
}

function openaiCall({ call }) {
    return { id: call.id, type: 'function',
             function: { name: call.name, arguments: JSON.stringify(call.args) } };
}

function anthropicStop(parts) {
    return parts.some((p) => p.call) ? 'tool_use' : 'end_turn';
}

function anthropicBlock({ text, thought, signature, redacted, call }) {
    if (call) {
        return { type: 'tool_use', id: call.id, name: call.name, input: call.args };
    }
    if (redacted) {
        return { type: 'redacted_thinking', data: redacted };
    }
    return text === undefined ? { type: 'thinking', thinking: thought, signature }
                              : { type: 'text', text };
}

function geminiPart({ text, thought, signature, call }) {
    return { ...(call ? { functionCall: { name: call.name, args: call.args } }
                      : { text: text ?? thought }),
             ...(thought !== undefined && { thought: true }),
             ...(signature && { thoughtSignature: signature }) };
}

function geminiChunk(parts, over) {
    return { modelVersion: 'by-hand', responseId: 'hand',
        candidates: [{ index: 0, content: { role: 'model', parts },
                       ...(over && { finishReason: 'STOP' }) }],
        usageMetadata: { promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 } };
}

const streams = {
    openai(parts) {
        const { choices: [choice], usage, ...head } = wholes.openai(parts);
        const chunk = (delta, reason = null) => ({ ...head, object: 'chat.completion.chunk',
            choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }] });
        const calls = (choice.message.tool_calls ?? []).flatMap((call, index) => [
            chunk({ tool_calls: [{ index, ...call,
                function: { name: call.function.name, arguments: '' } }] }),
            ...halves(call.function.arguments).map((half) =>
                chunk({ tool_calls: [{ index, function: { arguments: half } }] }))]);
        return [chunk({ role: 'assistant', content: '' }),
            ...halves(choice.message.content ?? '').map((content) => chunk({ content })),
            ...calls, chunk({}, choice.finish_reason),
            { ...head, object: 'chat.completion.chunk', choices: [], usage }, '[DONE]'];
    },
    anthropic(parts) {
        const message = wholes.anthropic(parts);
        const events = [
            { type: 'message_start', message: { ...message, content: [], stop_reason: null,
                usage: { input_tokens: 11, output_tokens: 1 } } },
            ...message.content.flatMap(anthropicEvents),
            { type: 'message_delta', usage: { output_tokens: 7 },
              delta: { stop_reason: message.stop_reason, stop_sequence: null } },
            { type: 'message_stop' }];
        return events.map((event) => [event.type, event]);
    },
    gemini(parts) {
        return [...parts.map((part) => geminiChunk([geminiPart(part)])), geminiChunk([], true)];
    },
    responses(parts) {
        const response = wholes.responses(parts);
        const events = [
            { type: 'response.created',
              response: { ...response, status: 'in_progress', output: [], usage: null } },
            ...response.output.flatMap(responsesEvents),
            { type: 'response.completed', response }];
        return events.map((event, n) => [event.type, { ...event, sequence_number: n }]);
    },
};

function responsesEvents(item, index) {
    const at = { output_index: index, item_id: item.id };
    const added = (empty) => ({ type: 'response.output_item.added', output_index: index,
                                item: { ...item, status: 'in_progress', ...empty } });
    const done = { type: 'response.output_item.done', output_index: index, item };
    if (item.type === 'function_call') {
        return [added({ arguments: '' }),
            ...halves(item.arguments).map((delta) =>
                ({ type: 'response.function_call_arguments.delta', ...at, delta })),
            { type: 'response.function_call_arguments.done', ...at, arguments: item.arguments },
            done];
    }
    const part = { ...at, content_index: 0 };
    return [added({ content: [] }),
        { type: 'response.content_part.added', ...part, part: { ...item.content[0], text: '' } },
        ...halves(item.content[0].text).map((delta) =>
            ({ type: 'response.output_text.delta', ...part, delta, logprobs: [] })),
        { type: 'response.output_text.done', ...part, text: item.content[0].text },
        { type: 'response.content_part.done', ...part, part: item.content[0] },
        done];
}

function anthropicEvents(block, index) {
    const begins = { tool_use: { ...block, input: {} }, redacted_thinking: block,
                     text: { type: 'text', text: '' },
                     thinking: { type: 'thinking', thinking: '', signature: '' } };
    const deltas = {
        tool_use: () => halves(JSON.stringify(block.input)).map((partial_json) =>
            ({ type: 'input_json_delta', partial_json })),
        redacted_thinking: () => [],
        text: () => halves(block.text).map((text) => ({ type: 'text_delta', text })),
        thinking: () => [
            ...halves(block.thinking).map((thinking) => ({ type: 'thinking_delta', thinking })),
            { type: 'signature_delta', signature: block.signature }],
    };
    return [{ type: 'content_block_start', index, content_block: begins[block.type] },
            ...deltas[block.type]().map((delta) =>
                ({ type: 'content_block_delta', index, delta })),
            { type: 'content_block_stop', index }];
}

function halves(text) {
    const middle = text.length >> 1;
    return [text.slice(0, middle), text.slice(middle)].filter((half) => half);
}

// A behaviour that says these parts in this provider's words.
export function says(provider, streamed, ...parts) {
    return streamed ? { sse: streams[provider.dialect](parts) }
                    : { json: wholes[provider.dialect](parts) };
}

// ---- what it was sent: turns of a conversation, whatever the dialect

const readers = {
    openai({ messages, response_format: format }) {
        return {
            calls: messages.flatMap((m) => m.tool_calls ?? []).map((c) =>
                ({ id: c.id, name: c.function.name,
                   args: JSON.parse(c.function.arguments || '{}') })),
            results: messages.filter((m) => m.role === 'tool').map((m) => m.content),
            schema: format?.json_schema?.schema,
            images: messages.flatMap((m) => (Array.isArray(m.content) ? m.content : []))
                .filter((p) => p.type === 'image_url').map((p) => p.image_url.url),
        };
    },
    anthropic({ messages, output_config: config }) {
        const blocks = messages.flatMap((m) => (Array.isArray(m.content) ? m.content : []));
        return {
            calls: blocks.filter((b) => b.type === 'tool_use').map((b) =>
                ({ id: b.id, name: b.name, args: b.input })),
            results: blocks.filter((b) => b.type === 'tool_result').map((b) =>
                textOf(b.content)),
            schema: config?.format?.schema,
            images: blocks.filter((b) => b.type === 'image').map(({ source: s }) =>
                s.url ?? `data:${s.media_type};base64,${s.data}`),
        };
    },
    responses({ input: said, text }) {
        const input = Array.isArray(said) ? said : [];
        const parts = input.flatMap((m) => (Array.isArray(m.content) ? m.content : []));
        return {
            calls: input.filter((m) => m.type === 'function_call').map((c) =>
                ({ id: c.call_id, name: c.name, args: JSON.parse(c.arguments) })),
            results: input.filter((m) => m.type === 'function_call_output').map((m) => m.output),
            schema: text?.format?.schema,
            images: parts.filter((p) => p.type === 'input_image').map((p) => p.image_url),
        };
    },
    gemini({ contents, generationConfig: config }) {
        const parts = contents.flatMap((c) => c.parts);
        return {
            calls: parts.filter((p) => p.functionCall).map(({ functionCall: c }) =>
                ({ name: c.name, args: c.args ?? {} })),
            results: parts.filter((p) => p.functionResponse).map((p) =>
                textOf(p.functionResponse.response.output)),
            schema: config?.responseJsonSchema,
            images: parts.filter((p) => p.inlineData || p.fileData).map((p) =>
                p.fileData?.fileUri
                ?? `data:${p.inlineData.mimeType};base64,${p.inlineData.data}`),
        };
    },
};

function textOf(content) {
    return Array.isArray(content) ? content.map((c) => c.text).join('') : content;
}

export function read(provider, request) {
    return readers[provider.dialect](request.json);
}
