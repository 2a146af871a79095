// `pnpm check [part of a name...]`: everything about the tree that needs no broker. One line per check; the exit code says whether all hold.
import { ofThePackages, ofTheTree } from './checks/catalogue.ts'
import { runChecks } from './checks/check.ts'
import { needNode24 } from './node-version.ts'

needNode24()
const wanted = process.argv.slice(2)
const all = [...ofTheTree, ...ofThePackages]
/** A whole name means that check alone: `lint` is also a part of `publint`. */
const means = (part: string, name: string): boolean =>
  all.some((check) => check.name === part) ? name === part : name.includes(part)
const chosen = all.filter(({ name }) => wanted.length === 0 || wanted.some((part) => means(part, name)))
if (chosen.length === 0) throw new Error(`no check is named like ${wanted.join(', ')}`)
const outcomes = await runChecks(chosen)
const failed = outcomes.filter(({ findings }) => findings.length > 0).length
console.log(`${outcomes.length - failed} hold, ${failed} do not`)
process.exitCode = failed === 0 ? 0 : 1
