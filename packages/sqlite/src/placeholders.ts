/**
 * Text with `$1` as on every store, as SQLite counts parameters (`?1`): `$1` alone would be a parameter with a name. Strings, quoted names and
 * comments stay as they are.
 */
export function numbered(text: string): string {
  return text.replace(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|\$(\d+)/g,
    (all, number: string | undefined) => (number === undefined ? all : `?${number}`),
  )
}
