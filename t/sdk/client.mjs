// client.mjs - the client as its users make it, and what they ask with it.
import OpenAI from 'openai';

export const url = process.env.LLMUX_URL;

export function clientAt(path, options = {}) {
    return new OpenAI({ baseURL: `${url}${path}`, apiKey: process.env.LLMUX_KEY, ...options });
}

// Nothing else is set anywhere in these cases than what differs here.
export const client = clientAt('/v1');

export function ask(provider, content = 'one two three', more = {}) {
    return { model: provider.model, messages: [{ role: 'user', content }], ...more };
}

// All of a stream: its chunks, the text, the reason it ended for.
export async function drain(stream) {
    const chunks = [];
    let text = '';
    let finish = null;
    for await (const chunk of stream) {
        chunks.push(chunk);
        text += chunk.choices?.[0]?.delta?.content ?? '';
        finish = chunk.choices?.[0]?.finish_reason ?? finish;
    }
    return { chunks, text, finish };
}

// The error that a promise is rejected with.
export async function failure(promise) {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    throw new Error('nothing was thrown');
}
