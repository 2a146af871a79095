// `application/json+gzip`: the structured suffixes +gzip (RFC 8460) and +zstd (RFC 9659) say what lies around a body.

/** A way to make bytes fewer. */
export type Packing = 'gzip' | 'zstd'

/** The content type of a packed body; parameters stay behind the suffix. */
export function packedType(contentType: string, packing: Packing): string {
  const { type, parameters } = parted(contentType)
  return `${type}+${packing}${parameters}`
}

/** The type within, without parameters, in lower case, and what lies around it, outermost last; none of other suffixes. */
export function unpackedType(contentType: string): { readonly type: string; readonly packings: readonly Packing[] } {
  let type = parted(contentType).type.toLowerCase()
  const packings: Packing[] = []
  for (;;) {
    const packing = type.endsWith('+gzip') ? 'gzip' : type.endsWith('+zstd') ? 'zstd' : undefined
    if (packing === undefined || packings.length === 2) return { type, packings }
    packings.unshift(packing)
    type = type.slice(0, -5)
  }
}

function parted(contentType: string): { readonly type: string; readonly parameters: string } {
  const semicolon = contentType.indexOf(';')
  return semicolon < 0
    ? { type: contentType.trim(), parameters: '' }
    : { type: contentType.slice(0, semicolon).trim(), parameters: contentType.slice(semicolon) }
}
