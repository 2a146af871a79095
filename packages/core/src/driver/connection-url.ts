import { refused } from '../checked.ts'
import { MessagingError } from '../errors.ts'

/** A connection URL in parts; `new URL` refuses several hosts. */
export interface ConnectionUrl {
  readonly scheme: string
  readonly user: string | undefined
  readonly password: string | undefined
  readonly hosts: readonly { readonly host: string; readonly port: number | undefined }[]
  /** Without the leading slash, decoded. */
  readonly path: string
  readonly parameters: ReadonlyMap<string, string>
}

/** What `fromUrl()` was given; refuses what is no text. */
export function urlText(given: unknown): string {
  if (typeof given === 'string') return given
  throw refused('fromUrl()', 'the URL', given, "a text, such as 'sqlite:./data/app.db'")
}

/** Parts `scheme://user:password@host:port,host:port/path?name=value`. Parameters that are not in `known` are refused by name. */
export function parseConnectionUrl(given: string, known: readonly string[]): ConnectionUrl {
  const url = urlText(given)
  const refuse = (what: string): never => {
    throw new MessagingError('invalid', `${withoutSecrets(url)} is not a connection URL: ${what}`)
  }
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(url)
  if (match === null) return refuse('it should read like scheme://user:password@host:port/path?name=value')
  const [, scheme = '', login, authority = '', path = '', query = ''] = match
  const plain = (text: string): string => {
    try {
      return decodeURIComponent(text)
    } catch {
      return refuse('a % in it is not followed by two hex digits; write % as %25')
    }
  }
  const parameters = new Map<string, string>()
  for (const part of query.split('&')) {
    if (part === '') continue
    const [name = '', ...rest] = part.split('=')
    const key = plain(name)
    if (!known.includes(key))
      refuse(
        `it has no parameter ${JSON.stringify(key)}; ${known.length === 0 ? 'none is known' : `known are ${known.join(', ')}`}`,
      )
    if (parameters.has(key)) refuse(`the parameter ${key} is there twice`)
    parameters.set(key, plain(rest.join('=')))
  }
  const at = login?.indexOf(':') ?? -1
  return {
    scheme: scheme.toLowerCase(),
    user: login === undefined ? undefined : plain(at < 0 ? login : login.slice(0, at)),
    password: login === undefined || at < 0 ? undefined : plain(login.slice(at + 1)),
    hosts: authority === '' ? [] : authority.split(',').map((each) => hostOf(each, refuse)),
    path: plain(path),
    parameters,
  }
}

function hostOf(text: string, refuse: (what: string) => never): { host: string; port: number | undefined } {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(text)
  if (match === null) return refuse(`${JSON.stringify(text)} is not a host with a port`)
  const port = match[2] === undefined ? undefined : Number(match[2])
  if (port !== undefined && (port < 1 || port > 65_535)) refuse(`port ${port} is not between 1 and 65535`)
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port }
}

/** The URL with user, password and parameters' values starred: all that an error or a log may show. */
export function withoutSecrets(url: string): string {
  return url.replace(/^([^/]*:\/\/)[^/?#]*@/, '$1***@').replace(/([?&][^=&#]+=)[^&#]*/g, '$1***')
}
