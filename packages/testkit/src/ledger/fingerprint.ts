import { createHash } from 'node:crypto'

/** What of a message must arrive as it was sent. */
export interface Content {
  readonly body: Uint8Array | string
  readonly key?: string | undefined
  readonly tag?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A short hash over body, key, tag and headers, for `intent` and `delivery`. */
export function fingerprint({ body, key, tag, headers = {} }: Content): string {
  const names = Object.keys(headers).sort()
  const around = JSON.stringify([key ?? null, tag ?? null, names.map((name) => [name, headers[name]])])
  return createHash('sha256').update(around).update('\0').update(body).digest('base64url').slice(0, 16)
}
