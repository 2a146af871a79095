// Logic that two packages need moves down a floor. This finds it where it was copied instead.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import type { Check } from './check.ts'

/** A source file as the detector sees it. */
export interface Source {
  readonly package: string
  readonly path: string
  readonly text: string
}

interface Line {
  readonly text: string
  readonly number: number
}

/** Lines that say something: no blanks, comments, imports or bare field types (a class must say its interface again). */
const telling = (source: string): readonly Line[] => {
  const code = source
    .replaceAll(/^import\b[^'"]*['"][^'"]*['"]$/gm, blank)
    .replaceAll(/^export (?:type )?(?:\*|\{[^}]*\}) from .*$/gm, blank)
    .replaceAll(/^\s*\/\*[\s\S]*?\*\//gm, blank)
  return code
    .split('\n')
    .map((text, index) => ({ text: text.trim(), number: index + 1 }))
    .filter(({ text }) => text !== '' && !text.startsWith('//') && !/^readonly \w+\??: [^=(]+$/.test(text))
}

const blank = (text: string): string => text.replaceAll(/[^\n]/g, '')

/** Where `least` telling lines or more are the same in files of two packages; each pair of places once. */
export const repeats = (sources: readonly Source[], least = 15): readonly string[] => {
  const seen = new Map<string, { readonly source: Source; readonly at: number; readonly lines: readonly Line[] }[]>()
  const findings: string[] = []
  for (const source of sources) {
    const lines = telling(source.text)
    const until = new Map<Source, number>()
    for (let at = 0; at + least <= lines.length; at++) {
      const key = lines
        .slice(at, at + least)
        .map(({ text }) => text)
        .join('\n')
      const earlier = seen.get(key) ?? []
      for (const first of earlier) {
        if (first.source.package === source.package || at < (until.get(first.source) ?? 0)) continue
        const length = shared(first.lines, first.at, lines, at)
        until.set(first.source, at + length)
        findings.push(
          `${length} lines of ${first.source.path}:${first.lines[first.at]?.number} stand again in ${source.path}:${lines[at]?.number}`,
        )
      }
      seen.set(key, [...earlier, { source, at, lines }])
    }
  }
  return findings
}

const shared = (a: readonly Line[], atA: number, b: readonly Line[], atB: number): number => {
  let length = 0
  while (a[atA + length] !== undefined && a[atA + length]?.text === b[atB + length]?.text) length++
  return length
}

/** No 15 equal lines in two packages; tests may repeat each other. */
export const repeated: Check = {
  name: 'repeated code',
  repair: 'move what both need down a floor (mostly into core), or say it shorter',
  run: () =>
    repeats(
      globSync('packages/*/src/**/*.ts', { cwd: checkout })
        .filter((path) => !/\.test(-d)?\.ts$/.test(path))
        .sort()
        .map((path) => ({ package: path.split('/')[1] ?? '', path, text: readFileSync(join(checkout, path), 'utf8') })),
    ),
}
