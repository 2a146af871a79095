import { members, publicMembers } from '../workspace.ts'
import type { Check } from './check.ts'
import { codeBlocks } from './code-blocks.ts'
import { floors } from './floors.ts'
import { manifests } from './manifests.ts'
import { capabilityPage, errorPage, transcriptPage, wirePage } from './pages.ts'
import { repeated } from './repeats.ts'
import { packed, publishable, typesArrive } from './tarballs.ts'
import { build, lint, types, unused } from './tools.ts'

/** The checks that look at the tree as it is. */
export const ofTheTree: readonly Check[] = [
  types,
  lint,
  unused,
  floors(members),
  manifests(publicMembers),
  repeated,
  codeBlocks,
  errorPage,
  wirePage,
  capabilityPage,
  transcriptPage,
]

/** The checks that need what is built; in this order. */
export const ofThePackages: readonly Check[] = [
  build,
  packed(publicMembers),
  publishable(publicMembers),
  typesArrive(publicMembers),
]
