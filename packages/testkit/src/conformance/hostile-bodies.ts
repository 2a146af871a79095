/** JSON values that have broken readers before. */
export function hostileBodies(): readonly unknown[] {
  const deep = (depth: number): unknown => {
    let value: unknown = 1
    for (let n = 0; n < depth; n++) value = [value]
    return value
  }
  return [
    '',
    0,
    null,
    false,
    [],
    {},
    JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
    JSON.parse('{"toString":"not a function","valueOf":null,"then":"not a promise"}'),
    JSON.parse('{"then":1,"length":-1,"0":"zero"}'),
    '\u0000\u0001\u001f "quotes" \\ \u2028 \u2029',
    'a lone \ud800 surrogate',
    '🚀'.repeat(1_000),
    'x'.repeat(300_000),
    { [' key with\nline ends ']: 'x' },
    Array.from({ length: 10_000 }, (_, n) => n),
    deep(1_000),
    1e308,
    -0.1,
    Number.MAX_SAFE_INTEGER,
    undefined,
    () => 1,
  ]
}
