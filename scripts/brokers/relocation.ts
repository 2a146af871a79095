import {
  chmodSync,
  closeSync,
  existsSync,
  globSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'

/**
 * Makes the executables of an unpacked tree run in place with the tree's own C library: each is put aside as `X.elf`, and a
 * shell script in its place calls the tree's loader. Paths are relative to the script, so that the tree can be moved.
 */
export const makeRelocatable = (tree: string): void => {
  const erlang = ['erts-*/bin/*', 'bin/*', 'lib/*/priv/bin/*'].map((path) => `usr/lib/erlang/${path}`)
  for (const path of globSync([...erlang, 'usr/bin/{amqp-*,kcat}'], { cwd: tree })) wrap(tree, join(tree, path))
  replaceErlangStarters(tree)
}

const isProgram = (file: string): boolean => {
  if (!lstatSync(file).isFile() || existsSync(`${file}.elf`)) return false
  const head = Buffer.alloc(4)
  const descriptor = openSync(file, 'r')
  readSync(descriptor, head, 0, 4, 0)
  closeSync(descriptor)
  return head.toString('latin1') === '\x7fELF'
}

const script = (file: string, text: string): void => {
  writeFileSync(file, text)
  chmodSync(file, 0o755)
}

const wrap = (tree: string, file: string): void => {
  if (!isProgram(file)) return
  renameSync(file, `${file}.elf`)
  script(
    file,
    `#!/bin/sh
here=$(readlink -f "$0"); here=\${here%/*}; tree=$here/${relative(dirname(file), tree)}
exec "$tree/usr/lib64/ld-linux-x86-64.so.2" --argv0 "\${0##*/}" --library-path "$tree/usr/lib/x86_64-linux-gnu" "$here/${basename(file)}.elf" "$@"
`,
  )
}

// Both: with only one replaced, RabbitMQ's own scripts find the host's Erlang for one of their steps.
const replaceErlangStarters = (tree: string): void => {
  const [runtime] = globSync('usr/lib/erlang/erts-*', { cwd: tree })
  if (runtime === undefined) return
  for (const path of globSync(['usr/lib/erlang/bin/erl', `${runtime}/bin/erl`], { cwd: tree })) {
    const above = path.includes('/erts-') ? '/*/*/*' : '/*/*'
    script(
      join(tree, path),
      `#!/bin/sh
self=$(readlink -f "$0"); ROOTDIR=\${self%${above}}; BINDIR=$ROOTDIR/${basename(runtime)}/bin; EMU=beam; PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
`,
    )
  }
}
