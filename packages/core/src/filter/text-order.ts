// One order of texts everywhere: by code point, which is also the order of the bytes in UTF-8 (SQL's binary collations).

/** Negative, zero or positive as `a` comes before, at or after `b`. `<` of JavaScript differs beyond U+FFFF. */
export function compareText(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length)
  for (let at = 0; at < shorter; at += 1) {
    const left = a.charCodeAt(at)
    const right = b.charCodeAt(at)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** A surrogate stands for a code point above all that one unit can say. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
