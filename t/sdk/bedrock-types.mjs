// bedrock-types.mjs - bodies for Bedrock as TypeScript, a typed literal each, for
// a compiler to judge. In a folder: `cases`, {file, type} a line; `bodies`, what
// was made of each for so many models. It adds `bodies.ts` and `said`, and says
// of each case {bodies, refusals} a line. t/59-sdk-bedrock.t starts it.
import { readFileSync, writeFileSync } from 'node:fs';

const [, , dir, models] = process.argv;

function lines(name) {
    return readFileSync(`${dir}/${name}`, 'utf8').split('\n').filter(Boolean)
        .map((line) => JSON.parse(line));
}

// JSON is TypeScript, but for bytes, and for what ends a line there.
function literal(body) {
    return body.replace(/("source":\{"bytes":)"[A-Za-z0-9+/]*={0,2}"\}/g, '$1bytes}')
        .replace(/("redactedContent":)"[A-Za-z0-9+/]*={0,2}"/g, '$1bytes')
        .replace(/^\{(?!\})/, '{"modelId":"m",')
        .replace(/\u2028/g, '\\u2028').replace(/\u2029/g, '\\u2029');
}

const made = lines('bodies');
const source = [];
const said = [];

for (const { file, type } of lines('cases')) {
    const own = made.splice(0, Number(models));
    const texts = [...new Set(own.flatMap((one) => one.bodies ?? []))];
    const refusals = own.filter((one) => !one.bodies);
    for (const text of texts) {
        source.push(`export const b${source.length}: ${type} = ${literal(text)};`);
    }
    if (texts.length) {
        said.push(JSON.stringify({ file, texts }));
    }
    console.log(JSON.stringify({ bodies: texts.length, refusals }));
}
writeFileSync(`${dir}/bodies.ts`, `import type { ConverseCommandInput, ConverseStreamCommandInput }
    from '@aws-sdk/client-bedrock-runtime';
const bytes = new Uint8Array();
${source.join('\n')}
`);
writeFileSync(`${dir}/said`, said.map((line) => `${line}\n`).join(''));
