/** What the page sends with a request. */
export interface Asked {
  /** NaN where it was no number. */
  readonly count: number
  readonly note: string
  readonly id: string | undefined
}

/** Reads it, whatever was sent: text from outside is bounded and never trusted. */
export async function asked(request: Request): Promise<Asked> {
  const body = ((await request.json().catch(() => undefined)) ?? {}) as Record<string, unknown>
  const { count = 1, note = '', id } = body
  return {
    count: typeof count === 'number' ? count : Number.NaN,
    note: String(note).slice(0, 200),
    id: typeof id === 'string' ? id : undefined,
  }
}
