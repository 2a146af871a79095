// Whether a value comes back from JSON as it went. JSON.stringify drops or changes what it cannot say, without a word.

/** Deepest nesting of a JSON body, both ways: a handler that walks its body must not run out of stack. */
export const maxDepth = 1_000

/** Most values in a body; what shares one object in many places grows without bound in JSON. */
const maxValues = 10_000_000

/** Names that readers drop, because they reach an object's prototype where a careless merge copies them. */
export function isUnsafeKey(key: string): boolean {
  switch (key.length) {
    case 9:
      return key === '__proto__' || key === 'prototype'
    case 11:
      return key === 'constructor'
    default:
      return false
  }
}

/** What is wrong, and the steps to it from the outermost. */
interface Fault {
  readonly problem: string
  readonly path: string[]
}

/** Steps of a path that are shown; a cycle has a thousand. */
const maxSteps = 8

/** What is wrong and where (`$.items[3].price: ...`); undefined if nothing is. Throws what a getter throws. */
export function faultOf(value: unknown): string | undefined {
  const fault = walk(value, 0, { left: maxValues })
  if (fault === undefined) return undefined
  const steps = fault.path.reverse()
  return `$${steps.slice(0, maxSteps).join('')}${steps.length > maxSteps ? '...' : ''}: ${fault.problem}`
}

function walk(value: unknown, depth: number, state: { left: number }): Fault | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : wrong(`${value} has no form in JSON`)
    case 'object':
      return value === null ? undefined : walkObject(value, depth, state)
    case 'undefined':
      return wrong('undefined has no form in JSON; send null')
    case 'bigint':
      return wrong('a bigint has no form in JSON; send it as a string')
    default:
      return wrong(`a ${typeof value} has no form in JSON`)
  }
}

/** What most of a body is: nothing can be wrong with it, and nothing is in it. */
function isFine(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}

function walkObject(value: object, depth: number, state: { left: number }): Fault | undefined {
  if (depth >= maxDepth) return wrong(`nested deeper than ${maxDepth} levels, or holding itself`)
  state.left -= 1
  if (state.left < 0) return wrong(`more than ${maxValues} objects, perhaps one object in many places`)
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) {
      if (isFine(value[at])) continue
      const fault = walk(value[at], depth + 1, state)
      if (fault !== undefined) return within(`[${at}]`, fault)
    }
    return undefined
  }
  if (isPlain(value)) {
    // Hardly ever is anything inherited, so no list of keys is made.
    for (const key in value) {
      const inner = (value as Record<string, unknown>)[key]
      const fault = walkProperty(key, inner, depth, state)
      // Asked only now: most bodies are plain, and nothing is wrong with them.
      if (fault !== undefined && Object.hasOwn(value, key)) return saysItself(value) ? undefined : fault
    }
    return undefined
  }
  if (saysItself(value)) return value instanceof Date ? dateFault(value) : bytesFault(value)
  const fault = classFault(value)
  if (fault !== undefined) return fault
  for (const key of Object.keys(value)) {
    const fault = walkProperty(key, (value as Record<string, unknown>)[key], depth, state)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Whether it is of no class. Its prototype takes longer to ask for than a property. */
function isPlain(value: object): boolean {
  return value.constructor === Object || Object.getPrototypeOf(value) === null
}

/** What says itself how it is written (Date, Decimal, ObjectId, ...) is trusted. */
function saysItself(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function'
}

function walkProperty(key: string, value: unknown, depth: number, state: { left: number }): Fault | undefined {
  // A property that is undefined is as good as absent, here and for who reads it.
  if (value === undefined) return undefined
  if (isUnsafeKey(key)) return wrong(`the key '${key}' is dropped by every reader for safety; name it otherwise`)
  if (isFine(value)) return undefined
  const fault = walk(value, depth + 1, state)
  return fault === undefined ? undefined : within(keyStep(key), fault)
}

function wrong(problem: string): Fault {
  return { problem, path: [] }
}

function within(step: string, fault: Fault): Fault {
  fault.path.push(step)
  return fault
}

/** Of a Date that is no time JSON makes null. */
function dateFault(value: Date): Fault | undefined {
  return Number.isNaN(value.getTime()) ? wrong('an invalid Date has no form in JSON; send a time, or null') : undefined
}

const noBytes = 'bytes have no form in JSON; send base64, or use the codec bytes'

function bytesFault(value: object): Fault | undefined {
  return ArrayBuffer.isView(value) ? wrong(noBytes) : undefined
}

/** Classes whose content JSON would leave out. */
function classFault(value: object): Fault | undefined {
  if (value instanceof Map || value instanceof Set) return wrong('a Map or a Set has no form in JSON; send a list')
  if (value instanceof Promise) return wrong('a promise; await it before sending')
  if (value instanceof Error) return wrong('an error has no form in JSON; send its message')
  if (value instanceof RegExp) return wrong('a regular expression has no form in JSON; send its source')
  if (value instanceof ArrayBuffer) return wrong(noBytes)
  return bytesFault(value)
}

function keyStep(key: string): string {
  const short = key.length > 40 ? `${key.slice(0, 40)}...` : key
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${short}` : `[${JSON.stringify(short)}]`
}
