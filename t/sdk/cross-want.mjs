// cross-want.mjs - what a client is to see of a recorded answer, by what the
// recording is known to say: in the words of the client's dialect.

// Ours for why an answer ended, by what its provider said. '' is for those
// that say nothing.
const openai = { stop: 'stop', eos: 'stop', length: 'length', tool_calls: 'calls',
                 function_call: 'calls', content_filter: 'filter', '': 'stop' };
const anthropic = { end_turn: 'stop', stop_sequence: 'sequence', max_tokens: 'length',
                    tool_use: 'calls', pause_turn: 'pause', refusal: 'refusal' };
const gemini = { STOP: 'stop', 1: 'stop', MAX_TOKENS: 'length', SAFETY: 'filter',
                 MODEL_ARMOR: 'filter', UNEXPECTED_TOOL_CALL: 'malformed', '': 'filter' };
const responses = { completed: 'stop', complete: 'stop', max_output_tokens: 'length',
                    content_filter: 'filter' };
const bedrock = { end_turn: 'stop', stop_sequence: 'sequence', max_tokens: 'length',
                  tool_use: 'calls', guardrail_intervened: 'filter' };
const said = { openai, anthropic, gemini, responses, bedrock, completions: openai };

// Theirs for ours. What is not listed is the same as an end.
const words = {
    openai: { stop: 'stop', length: 'length', calls: 'tool_calls', filter: 'content_filter',
              refusal: 'content_filter' },
    responses: { stop: 'completed', length: 'max_output_tokens', filter: 'content_filter',
                 refusal: 'content_filter', malformed: 'failed' },
    anthropic: { stop: 'end_turn', sequence: 'stop_sequence', length: 'max_tokens',
                 calls: 'tool_use', filter: 'refusal', refusal: 'refusal', pause: 'pause_turn' },
    gemini: { stop: 'STOP', length: 'MAX_TOKENS', filter: 'SAFETY', refusal: 'SAFETY',
              malformed: 'MALFORMED_FUNCTION_CALL' },
    completions: { stop: 'stop', length: 'length', filter: 'content_filter',
                   refusal: 'content_filter' },
};

// Dialects whose clients know one answer to a question.
const single = ['responses', 'anthropic'];

// Dialects whose refusals are texts, those that have another word for the end
// after one, and the one that knows nothing but texts.
const wordless = ['gemini', 'anthropic', 'completions'];
const refusing = ['gemini', 'anthropic'];
const textual = 'completions';

// Is it no end of an answer, but a failure?
export function failed(want) {
    return Boolean(want.stream_error || want.response_error) || want.complete === false
        || ['failed', 'queued'].includes(want.finish_reason);
}

// The provider's own words for it, if it had any.
export function failure(want) {
    return (want.stream_error ?? want.response_error ?? want.error)?.message;
}

// ---- why it ended

function ours(from, choice) {
    const word = said[from][choice.finish_reason ?? ''] ?? 'not in the table';
    const plain = word === 'stop' || word === 'malformed';
    if (plain && choice.tool_calls?.length) {
        return 'calls';
    }
    return word === 'stop' && choice.refusal ? 'refusal' : word;
}

// Words that say more than ours, and pass from Gemini to its clients.
const passing = ['UNEXPECTED_TOOL_CALL', 'MODEL_ARMOR'];

// Arguments that are no object cannot be told.
function geminiFinish(from, choice, word) {
    if (from === 'gemini' && passing.includes(choice.finish_reason)) {
        return choice.finish_reason;
    }
    if (choice.block_reason && !choice.finish_reason) {
        return `blocked: ${choice.block_reason}`;
    }
    return word !== 'length' && choice.tool_calls?.some(isBroken)
        ? words.gemini.malformed : words.gemini[word] ?? words.gemini.stop;
}

// A refusal that stands there in words is an answer like any other.
function finishOf(from, to, choice) {
    const word = ours(from, choice);
    if (to === 'gemini') {
        return geminiFinish(from, choice, word);
    }
    const told = word === 'refusal' && choice.refusal && !refusing.includes(to);
    return words[to][told ? 'stop' : word] ?? words[to].stop;
}

// Only Anthropic's clients are told which.
function stopOf(to, choice) {
    return to === 'anthropic' ? choice.stop_sequence ?? null : null;
}

// ---- calls

function isBroken(call) {
    return call.arguments_unparsed !== undefined;
}

function isCustom(call) {
    return call.kind === 'custom';
}

// Where arguments are objects, what is none stands in one.
function argsOf(to, call) {
    const text = isCustom(call) ? call.arguments : call.arguments_unparsed;
    if (text === undefined) {
        return call.arguments ?? {};
    }
    if (to === 'openai' || to === 'responses') {
        return text;
    }
    return isCustom(call) ? { input: text } : { _raw: text };
}

function callsOf(to, choice) {
    return (choice.tool_calls ?? []).filter((call) => to !== 'gemini' || !isBroken(call))
        .map((call) => ({ name: call.name, args: argsOf(to, call), id: call.id || null }));
}

// ---- usage

// Part of a prompt cannot be more than all of it.
function cachedOf(usage) {
    return Math.min(usage.cached ?? 0, usage.input_total ?? 0);
}

// What nobody counted is nothing; what was written into the cache is a part of
// the prompt that Gemini's clients know nothing of.
function usageOf(to, { usage }) {
    return usage && { input: usage.input_total ?? 0, output: usage.output_total ?? 0,
                      cached: cachedOf(usage), reasoning: usage.reasoning ?? 0,
                      written: to === 'gemini' ? 0 : usage.cache_write ?? 0 };
}

// ---- all of it

function choiceOf(from, to, choice) {
    const refusal = choice.refusal ?? '';
    const text = choice.text ?? '';
    return {
        text: wordless.includes(to) ? text + refusal : text,
        refusal: wordless.includes(to) ? '' : refusal,
        reasoning: to === textual ? '' : choice.reasoning ?? '',
        calls: to === textual ? [] : callsOf(to, choice),
        finish: finishOf(from, to, choice),
        stop: stopOf(to, choice),
    };
}

export function wanted(from, to, want) {
    const all = want.choices ?? [want];
    return {
        model: want.model ?? '',
        choices: (single.includes(to) ? all.slice(0, 1) : all)
            .map((choice) => choiceOf(from, to, choice)),
        usage: usageOf(to, want) ?? null,
    };
}
