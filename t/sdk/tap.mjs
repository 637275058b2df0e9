// tap.mjs - cases as lines of TAP on standard output, and orders to whoever
// started us: a line "+ name JSON" out, a line of JSON back on standard input.
import { createInterface } from 'node:readline';

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let shown = 0;

function say(line) {
    process.stdout.write(`${line}\n`);
}

export async function order(name, about) {
    say(`+ ${name} ${JSON.stringify(about)}`);
    const { value, done } = await answers.next();
    if (done) {
        throw new Error('nobody takes our orders');
    }
    return JSON.parse(value);
}

// A deadline of so many milliseconds on a good day, for this run.
export function patience(ms) {
    return ms * (process.env.LLMUX_PATIENCE || 1);
}

export function sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

// Whatever hangs is a failure of its own case only.
async function inTime(promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('it takes too long')), patience(10000));
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

export async function test(name, body) {
    shown++;
    try {
        await inTime(body());
        say(`ok - ${name}`);
    } catch (error) {
        say(`not ok - ${name}`);
        const text = String(error.stack || error).slice(0, 3000);
        text.split('\n').forEach((line) => say(`#   ${line}`));
    }
}

export function skip(name, why) {
    shown++;
    say(`ok - ${name} # SKIP ${why}`);
}

export function plan() {
    say(`1..${shown}`);
}
