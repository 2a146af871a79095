// Offsets finished above another one, as text: as runs where they are few, else a bit for each offset, which the random order of many handlers needs.

/** Below this many characters runs are good enough. */
const shortText = 500
/** Up to here there is room for more. */
const roomyText = 2_000
/** More is no text of ours. */
const mostOffsets = 100_000

/** `3+2,9` is 3, 4 and 9 above `offset`, in base 36; `=` and a bit field is the same, the lowest bit first, 1 above `offset`. */
export function encodeAhead(offset: number, ahead: readonly number[]): string {
  const runs = runsOf(offset, ahead)
  const span = (ahead.at(-1) ?? offset) - offset
  if (runs.length <= shortText || span / 6 >= runs.length) return runs
  const bits = Buffer.alloc(Math.ceil(span / 8))
  for (const each of ahead) {
    const at = each - offset - 1
    bits[at >> 3] = (bits[at >> 3] as number) | (1 << (at & 7))
  }
  return `=${bits.toString('base64url')}`
}

/** Reads it; ascending. */
export function decodeAhead(offset: number, text: string): number[] {
  const ahead: number[] = []
  if (text.startsWith('=')) {
    const bits = Buffer.from(text.slice(1), 'base64url')
    for (let at = 0; at < bits.length * 8; at++)
      if ((bits[at >> 3] as number) & (1 << (at & 7))) ahead.push(offset + 1 + at)
    return ahead
  }
  for (const run of text.split(',')) {
    const [first, length = '1'] = run.split('+')
    if (first === undefined || first === '') continue
    const count = Math.min(Number.parseInt(length, 36), mostOffsets)
    for (let i = 0; i < count; i++) ahead.push(offset + Number.parseInt(first, 36) + i)
  }
  return ahead
}

/** Whether its text is so short that much more can be finished: a run has eight characters at most, a bit a sixth of one. */
export function isRoomy(offset: number, ahead: readonly number[]): boolean {
  if ((ahead.at(-1) ?? offset) - offset <= roomyText * 6) return true
  let runs = 0
  for (let i = 0; i < ahead.length; i++) if (ahead[i] !== (ahead[i - 1] ?? Number.NaN) + 1) runs++
  return runs * 8 <= roomyText
}

function runsOf(offset: number, ahead: readonly number[]): string {
  const runs: string[] = []
  let [first, length] = [-1, 0]
  const close = (): void => {
    if (length > 0) runs.push(length === 1 ? first.toString(36) : `${first.toString(36)}+${length.toString(36)}`)
  }
  for (const each of ahead) {
    if (length > 0 && each - offset === first + length) length++
    else {
      close()
      ;[first, length] = [each - offset, 1]
    }
  }
  close()
  return runs.join(',')
}
