// cross.mjs - every recorded answer, said in every dialect, as the vendors' own
// clients take it. t/55-sdk-cross.t starts it with two files, line by line in
// step: what the recordings are, {file, from, error, want}, and what became of
// them, {dialect: {whole, stream}}. A line of standard output is one answer of
// one client: {file, to, form, wrong: [[field, got, want]]}.
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { doors } from './cross-doors.mjs';
import { failed, failure, wanted } from './cross-want.mjs';

const piece = 4096;
const atOnce = 8;

// ---- the server: /<number>/... is answered with the bytes of that number

const answers = new Map();

function serve(request, response) {
    const { form, status, bytes } = answers.get(Number(request.url.split('/')[1]));
    const type = form === 'stream' && status === 200 ? 'text/event-stream' : 'application/json';
    request.resume();
    response.writeHead(status || 500, { 'content-type': type });
    for (let at = 0; at < bytes.length; at += piece) {
        response.write(bytes.subarray(at, at + piece));
    }
    response.end();
}

const server = createServer({ keepAliveTimeout: 60000 }, serve);
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

// ---- comparing

function differ(field, got, want) {
    return isDeepStrictEqual(got, want) ? [] : [[field, got, want]];
}

// Between messages and between the paragraphs of a thought there are empty
// lines here, and other ones or none in what is expected.
function squeezed(from, text) {
    return from === 'responses' ? text.replace(/\n+/g, '') : text;
}

// A call that came without an id has one of ours, or none where none is due.
function callDiffers(to, got, want, i) {
    const id = want.id === null && (to === 'gemini' || got.id) ? want.id : got.id;
    return [...differ(`call ${i} name`, got.name, want.name),
            ...differ(`call ${i} args`, got.args, want.args),
            ...differ(`call ${i} id`, id ?? null, want.id)];
}

function callsDiffer(to, got, want) {
    return got.length === want.length
        ? got.flatMap((call, i) => callDiffers(to, call, want[i], i))
        : differ('calls', got.map(({ name }) => name), want.map(({ name }) => name));
}

function choiceDiffers({ from, to }, got, want) {
    return [
        ...differ('text', squeezed(from, got.text), squeezed(from, want.text)),
        ...differ('refusal', got.refusal, want.refusal),
        ...differ('reasoning', squeezed(from, got.reasoning), squeezed(from, want.reasoning)),
        ...callsDiffer(to, got.calls, want.calls),
        ...differ('finish', got.finish, want.finish),
        ...differ('stop', got.stop, want.stop)];
}

// What is expected has six decimals, and some say no more than float32 can.
function isNear(got, want) {
    return Math.abs(got - want) <= 2e-6 * Math.max(1, Math.abs(want));
}

function vectorDiffers(got, { dims, head }, i) {
    return [
        ...differ(`vector ${i}`, got.length, dims),
        ...(head.every((number, k) => isNear(got[k], number)) ? []
            : [[`vector ${i}`, [...got.slice(0, head.length)], head]])];
}

// Not every client is told of tokens; nothing comes out of a model that embeds,
// so that all of them went in.
function vectorsDiffer({ want }, { model, input, vectors }) {
    const { usage } = want;
    return [
        ...(model === undefined ? [] : differ('model', model, want.model ?? '')),
        ...(input === undefined ? [] : differ('usage', input, usage.input ?? usage.total ?? 0)),
        ...differ('vectors', vectors.length, want.vectors.length),
        ...vectors.flatMap((vector, i) => vectorDiffers(vector, want.vectors[i], i))];
}

function answerDiffers(cell, got) {
    if (cell.want.vectors) {
        return vectorsDiffer(cell, got);
    }
    if (cell.want.count !== undefined) {
        return differ('count', got.input, cell.want.count);
    }
    return wordsDiffer(cell, got);
}

function wordsDiffer(cell, got) {
    const want = wanted(cell.from, cell.to, cell.want);
    return [
        ...differ('model', got.model ?? '', want.model),
        ...differ('choices', got.choices.length, want.choices.length),
        ...got.choices.flatMap((choice, i) =>
            (want.choices[i] ? choiceDiffers(cell, choice, want.choices[i]) : [])),
        ...differ('usage', got.usage, want.usage ?? doors[cell.to].uncounted)];
}

// ---- one answer of one client

function textOf(error) {
    return `${error.constructor.name}: ${error.message}`.slice(0, 500);
}

// The client raises its own error, with the provider's words in it.
function failureDiffers({ to, want, status }, error) {
    const words = failure(want);
    return [
        ...differ('error', error instanceof doors[to].fault ? '' : textOf(error), ''),
        ...(status === 200 ? [] : differ('status', error.status, status)),
        ...(words ? differ('message', error.message.includes(words) || textOf(error), true) : [])];
}

async function tried(cell, url) {
    try {
        const answer = await doors[cell.to].ask(url, cell.form !== 'whole');
        return cell.fails ? [['error', answer, 'an error']] : answerDiffers(cell, answer);
    } catch (error) {
        return cell.fails ? failureDiffers(cell, error)
                          : [['client', String(error.stack).slice(0, 1000), 'takes it']];
    }
}

let count = 0;

async function play(cell) {
    const number = count++;
    answers.set(number, { ...cell, bytes: Buffer.from(cell.bytes) });
    const wrong = await tried(cell, `${origin}/${number}`);
    answers.delete(number);
    const { file, to, form } = cell;
    console.log(JSON.stringify({ file, to, form, wrong }));
}

// ---- all of them

async function *lines(path) {
    for await (const line of createInterface({ input: createReadStream(path) })) {
        yield JSON.parse(line);
    }
}

async function *cells(casesFile, answersFile) {
    const all = lines(answersFile);
    for await (const { file, from, error, want } of lines(casesFile)) {
        const { value: said } = await all.next();
        for (const [to, forms] of Object.entries(said ?? {})) {
            for (const [form, answer] of Object.entries(forms)) {
                yield { file, from, to, form, want, fails: error || failed(want), ...answer };
            }
        }
    }
}

async function work(list) {
    for (let { value: cell } = await list.next(); cell; { value: cell } = await list.next()) {
        await play(cell);
    }
}

const list = cells(process.argv[2], process.argv[3]);
await Promise.all(Array.from({ length: atOnce }, () => work(list)));
server.close();
server.closeAllConnections();
