// When a header counts as a number.

const form = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/** Longer texts are no numbers; the longest that String(number) writes has 25. */
const longest = 64

/**
 * The number that a text is in decimal, `null` where it is none. Not numbers: spaces, '', hexadecimal, Infinity, NaN, digits of other
 * scripts, and what no double can hold. Past 2^53 the nearest double.
 */
export function decimal(text: string): number | null {
  const length = text.length
  if (length === 0 || length > longest) return null
  // Most headers are short whole numbers: no regular expression for them.
  if (length <= 15) {
    let value = 0
    let at = 0
    for (; at < length; at += 1) {
      const digit = text.charCodeAt(at) - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (at === length) return value
  }
  if (!form.test(text)) return null
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}
