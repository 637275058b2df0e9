// tokens.mjs - texts of many kinds, and how many tokens js-tiktoken makes of
// each: lines of "ENCODING<tab>COUNT<tab>TEXT as JSON". The same ones each time.
//
// Left out is where JavaScript's \s is not Unicode's White_Space (U+0085,
// U+FEFF), and the long s, which the original takes for an s behind an
// apostrophe.
import { Tiktoken } from 'js-tiktoken/lite';
import cl100k from 'js-tiktoken/ranks/cl100k_base';
import o200k from 'js-tiktoken/ranks/o200k_base';

const TEXTS = 2400;

const encodings = { cl100k_base: new Tiktoken(cl100k), o200k_base: new Tiktoken(o200k) };

let state = 20240531;

// Up to n - 1: a linear congruence, good enough for choices.
function below(n) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
}

function pick(list) {
    return list[below(list.length)];
}

function many(least, most, make) {
    return Array.from({ length: least + below(most - least) }, make).join('');
}

const sentences = [
    'The quick brown fox jumps over the lazy dog; it didn\'t look back.',
    'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.',
    'Portez ce vieux whisky au juge blond qui fume, n\'est-ce pas ?',
    'Съешь же ещё этих мягких французских булок, да выпей чаю.',
    'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.',
    'نص حكيم له سر قاطع وذو شأن عظيم.',
    'עטלף אבק נס דרך מזגן שהתפוצץ.',
    'ऋषियों को सताने वाले दुष्ट राक्षसों का सर्वनाश।',
    'เป็นมนุษย์สุดประเสริฐเลิศคุณค่า',
    '天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。',
    'いろはにほへと ちりぬるを、ワカヨタレソ。',
    '키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.',
    '👍🏽 🎉 👩‍👩‍👧‍👦 🇩🇪 ❤️‍🔥 ✨',
    'int main(int argc, char **argv)\n{\n\treturn argc > 1 ? 0x1F : -1;  // no\n}\n',
    '{"id": "call_8Qz", "args": {"n": [1, 2.5e-3, null]}, "ok": true}',
    'https://example.com/a/b?c=d&e=%20f#g <p class="x">A&nbsp;B</p>',
    'SELECT * FROM users WHERE name LIKE \'%O\'\'Brien%\';\r\n\r\n',
    '<|endoftext|> and <|im_start|>user',
];
const blanks = [' ', '  ', '\t', '\n', '\r\n', '\n\n', '\u00a0', '\u2003', '\u3000', '\u2028', '\v'];
const words = ['don', 'I', 'WE', 'x', 'Ǆ', 'ǅ', 'ʰ', '中', '\u0301', 'é', 'ß', '1', '', 'École'];
const shorts = ['\'s', '\'S', '\'t', '\'re', '\'RE', '\'Ve', '\'m', '\'ll', '\'lL', '\'d', '\'x', '\'', '’s'];
const kinds = [
    () => { const t = pick(sentences); return t.slice(below(t.length)); },
    () => many(1, 6, () => pick(sentences) + pick(blanks)),
    () => many(1, 20, () => pick(blanks) + (below(4) ? '' : pick(words))),
    () => many(1, 20, () => pick(words) + (below(2) ? pick(shorts) : pick(blanks))),
    () => many(1, 40, () => pick('0123456789.,-:/٣Ⅷ²½')),
    () => many(1, 60, () => String.fromCodePoint(0x20 + below(0x5f))),
    () => many(1, 40, () => String.fromCodePoint(0x100 + below(0x500))),
    () => many(1, 30, () => String.fromCodePoint(0x4e00 + below(0x5200))),
    () => many(1, 12, () => String.fromCodePoint(0x1f300 + below(0x400))),
    () => pick('aA 1é中!-=_"#').repeat(1 + below(200)),
    () => Buffer.from(many(1, 40, () => String.fromCharCode(below(256))), 'latin1').toString('utf8'),
    () => Buffer.from(many(1, 60, () => String.fromCharCode(below(256))), 'latin1').toString('base64'),
];

for (let i = 0; i < TEXTS; i++) {
    // By way of bytes, which half a surrogate pair does not survive.
    const text = Buffer.from(kinds[i % kinds.length]()).toString('utf8');
    const json = JSON.stringify(text.replace(/[\u0085\ufeff\u017f]/g, ' '));

    for (const [name, encoding] of Object.entries(encodings)) {
        const count = encoding.encode(JSON.parse(json), [], []).length;
        process.stdout.write(`${name}\t${count}\t${json}\n`);
    }
}
