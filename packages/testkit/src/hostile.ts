// Bad input by name: what strangers put on a broker, and what users pass by mistake. Lists say what must come of it; scenarios use them all.
/** One input. Made anew on each call, for some are large and some are changed by who gets them. */
export interface Hostile<T> {
  readonly name: string
  readonly make: () => T
}

/** A list of what is made on demand. */
export function named<T>(entries: Readonly<Record<string, () => T>>): readonly Hostile<T>[] {
  return Object.entries(entries).map(([name, make]) => ({ name, make }))
}

/** For what is small and immutable. */
function values<T>(entries: Readonly<Record<string, T>>): readonly Hostile<T>[] {
  return Object.entries(entries).map(([name, value]) => ({ name, make: () => value }))
}

const long = (length: number) => 'x'.repeat(length)

/** Texts that any header value, key or tag may be tried with: they come back letter by letter, or are refused with `invalid`. */
export const awkwardTexts: readonly Hostile<string>[] = values({
  'a blank': ' ',
  'blanks around': ' x ',
  'CR and LF': 'x\r\nph-failures: 99\r\n\r\n',
  'a colon and a newline of STOMP': 'a:b\\nc\nd',
  'control characters': '\u0001\u001b[31mred\u0007\u007f\u0085',
  'an emoji': '\u{1F600}',
  'joined emoji and marks': '\u{1F468}\u200d\u{1F469}\u200d\u{1F467} e\u0301 \u0130\u0131',
  'right to left': '\u202egnp.exe',
  'a byte order mark': '\uFEFFx',
  'line separators': 'a\u2028b\u2029c',
  noncharacters: '\uFFFE\uFFFF\u{10FFFF}',
  __proto__: '__proto__',
  constructor: 'constructor',
  'the word undefined': 'undefined',
  'the word null': 'null',
  'a number': '007',
  'a number past 2^53': '9007199254740993',
  'an exponent': '1e999',
  SQL: "'; DROP TABLE messages; --",
  'a placeholder': '$1 ? :a %s {0}',
  'a LIKE pattern': '%_\\%',
  'wildcards of AMQP': '*.#',
  'wildcards of Redis': '*[a-z]?',
  'a hash tag of Redis': '{a}:b}{',
  'a path': '../../etc/passwd',
  'a URL with a secret': 'amqp://user:secret@host/%2f',
  HTML: '<img src=x onerror=alert(1)>',
  quotes: `"'\`\\"`,
  'a comma and a semicolon': 'a,b;c=d',
  percent: '%00%0d%0a%',
  '200 characters': long(200),
  '10,000 characters': long(10_000),
  '10,000 emoji': '\u{1F600}'.repeat(10_000),
})

/** Texts that no place takes: `invalid`, before anything is sent. */
export const refusedTexts: readonly Hostile<string>[] = values({
  NUL: '\0',
  'NUL within': 'a\0b',
  'a high surrogate alone': '\ud800',
  'a low surrogate alone': 'a\udc00b',
  'surrogates the wrong way round': '\udc00\ud800',
  '100,000 characters': long(100_000),
})

/** Ids that a sender may not give. */
export const refusedIds: readonly Hostile<unknown>[] = [
  ...refusedTexts,
  ...values<unknown>({
    empty: '',
    '10 KB': long(10_240),
    'CR and LF': 'a\r\nb',
    'an escape sequence': '\u001b]0;x\u0007',
    'a number': 5,
    null: null,
    'an object': {},
  }),
]

/** Names that no topic and no group may have; each is refused with `invalid`. */
export const refusedNames: readonly Hostile<unknown>[] = [
  ...refusedTexts,
  ...values<unknown>({
    empty: '',
    blank: ' ',
    'a blank before': ' orders',
    'a newline behind': 'orders\n',
    'CR and LF': 'a\r\nb',
    'a tab': 'a\tb',
    'an escape sequence': '\u001b[2J',
    'DEL and C1': 'a\u007f\u0085b',
    'a line separator': 'a\u2028b',
    'one word of a wildcard': 'orders.*',
    'any words of a wildcard': 'orders.#',
    'a star alone': '*',
    'our own prefix': '~reply',
    '201 characters': long(201),
    '10,000 characters': long(10_000),
    'a number': 5,
    null: null,
    'a list': ['orders'],
    'an object that says its name': { toString: () => 'orders' },
    'a String object': Object('orders'),
  }),
]

/** Names that are allowed and that a driver must not mistake for syntax, or for another name. */
export const awkwardNames: readonly Hostile<string>[] = values({
  SQL: `orders"; DROP TABLE x; --`,
  quotes: `o'r"d\`e`,
  'braces of Redis': '{orders}:{x}',
  'dots at the ends': '.orders.',
  'two dots': 'a..b',
  'one dot': '.',
  slashes: '/a/../b//c',
  backslashes: 'a\\b',
  'a URL': 'amqp://a:b@c/d?e=f&g',
  percent: 'a%2Fb%00',
  'a colon': 'a:b',
  'a blank within': 'a b',
  'upper case': 'ORDERS',
  'lower case of it': 'orders',
  __proto__: '__proto__',
  constructor: 'constructor',
  umlauts: 'Aufträge',
  'an emoji': '\u{1F600}',
  'composed and not': 'e\u0301\u00e9',
  'a queue of the broker': 'amq.direct',
  'a topic of the broker': '__consumer_offsets',
  '200 characters': long(200),
})

/** Headers that a sender may not give. */
export const refusedHeaders: readonly Hostile<Readonly<Record<string, unknown>>>[] = named<
  Readonly<Record<string, unknown>>
>({
  'a counter of ours': () => ({ 'ph-failures': '0' }),
  'ours in capitals': () => ({ 'Ph-Id': 'x' }),
  'the content type': () => ({ 'Content-Type': 'text/html' }),
  'an empty name': () => ({ '': 'x' }),
  'a name with CR and LF': () => ({ 'a\r\nb': 'x' }),
  'a name with NUL': () => ({ 'a\0': 'x' }),
  'a name of 10,000 characters': () => ({ [long(10_000)]: 'x' }),
  'half a surrogate pair as name': () => ({ '\ud800': 'x' }),
  'an own __proto__': () => JSON.parse('{"__proto__":"x"}'),
  'a value with NUL': () => ({ a: 'x\0' }),
  'a value of half a surrogate pair': () => ({ a: '\udfff' }),
  'a value of 100,000 characters': () => ({ a: long(100_000) }),
  '10,000 headers': () => Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`h${n}`, 'x'])),
  'a number': () => ({ a: 1 }),
  null: () => ({ a: null }),
  'an object': () => ({ a: {} }),
  'a list': () => ({ a: ['x', 'y'] }),
})

const counters = [
  '-1',
  '1e9',
  'NaN',
  'Infinity',
  '0x10',
  '1.5',
  '',
  ' 1',
  '９',
  '999999999999999',
  '9007199254740993',
  '9'.repeat(1_000),
  'true',
]

/** Headers as a stranger may write them to the broker, in order, names twice where it is able to: its message is handled or shelved, others never suffer. */
export const forgedHeaders: readonly Hostile<readonly (readonly [string, string])[]>[] = [
  ...['ph-failures', 'ph-gen', 'ph-lone', 'ph-expires', 'ph-sent', 'ph-due', 'ph-priority', 'ph-version'].flatMap(
    (header) =>
      counters.map((value, index) => ({
        name: `${header} ${index < 11 ? JSON.stringify(value) : `forged, ${index}`}`,
        make: () => [[header, value] as const],
      })),
  ),
  ...named<readonly (readonly [string, string])[]>({
    'a header twice': () => [
      ['a', '1'],
      ['a', '2'],
    ],
    'our id twice': () => [
      ['ph-id', 'one'],
      ['ph-id', 'two'],
    ],
    'an empty id': () => [['ph-id', '']],
    'an id of 10 KB': () => [['ph-id', long(10_240)]],
    'history that is no JSON': () => [['ph-history', '[{']],
    'history of other things': () => [['ph-history', '[null,1,"x",{"attempt":"1"},[]]']],
    'history 10,000 deep, not closed': () => [['ph-history', '['.repeat(10_000)]],
    'a letter that is no JSON': () => [['ph-letter', 'x']],
    'a letter without a reason': () => [['ph-letter', '{}']],
    'a letter of an unknown reason': () => [['ph-letter', '{"reason":"__proto__","attempts":-1,"at":1e999}']],
    'a reply address with CR and LF': () => [['ph-reply-to', 'a\r\nb']],
    'a reply address of somebody else': () => [['ph-reply-to', 'orders']],
    'a field of ours that is unknown': () => [['ph-unheard-of', 'x']],
    __proto__: () => [['__proto__', 'x']],
    "the broker's own deaths": () => [
      ['x-death', '[{"count":1e9}]'],
      ['x-delivery-count', '-5'],
    ],
    'a content type of nonsense': () => [['content-type', '+gzip+zstd+gzip;;;charset']],
    'a content type of 10,000 characters': () => [['content-type', `${long(10_000)}/x`]],
    '1,000 headers': () => Array.from({ length: 1_000 }, (_, n) => [`h${n}`, 'x'] as const),
  }),
]

/** What is neither a time in ms nor a count, wherever one is asked for; each is refused with `invalid`. */
export const refusedNumbers: readonly Hostile<unknown>[] = named<unknown>({
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-Infinity': () => Number.NEGATIVE_INFINITY,
  '-1': () => -1,
  '-2^53': () => -(2 ** 53),
  '2^53': () => 2 ** 53,
  'the largest double': () => Number.MAX_VALUE,
  'a text': () => '5',
  'an empty text': () => '',
  'a bigint': () => 5n,
  null: () => null,
  true: () => true,
  'an object': () => ({}),
  'an object with a value': () => ({ valueOf: () => 5 }),
  'a list': () => [5],
  'a Date': () => new Date(0),
  'a function': () => () => 5,
  'a symbol': () => Symbol('5'),
})
