// A selector as plain data. The parser has settled all that depends on kinds, so whoever reads a tree never guesses.

/** The message's own fields; a quoted name of the same letters is a header. */
export type OwnField = 'id' | 'topic' | 'key' | 'tag' | 'priority' | 'sentAt'

/** How the operands are read. What does not read so is unknown, like what is absent. */
export type Reading = 'text' | 'number' | 'boolean'

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='

/** What a comparison is about. A sum and a negation are numbers; a field is read as its place demands. */
export type Operand =
  | { readonly kind: 'field'; readonly name: OwnField }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | {
      readonly kind: 'arithmetic'
      readonly operator: '+' | '-' | '*' | '/'
      readonly left: Operand
      readonly right: Operand
    }
  | { readonly kind: 'minus'; readonly operand: Operand }

/** What is true, false or unknown of a message. `and` and `or` have two terms or more. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Condition[] }
  | { readonly kind: 'not'; readonly term: Condition }
  | {
      readonly kind: 'compare'
      readonly operator: Comparison
      readonly as: Reading
      readonly left: Operand
      readonly right: Operand
    }
  | {
      readonly kind: 'between'
      readonly as: 'text' | 'number'
      readonly operand: Operand
      readonly low: Operand
      readonly high: Operand
    }
  | { readonly kind: 'in'; readonly as: 'text'; readonly operand: Operand; readonly values: readonly string[] }
  | { readonly kind: 'in'; readonly as: 'number'; readonly operand: Operand; readonly values: readonly number[] }
  | {
      readonly kind: 'like'
      readonly operand: Operand
      readonly pattern: string
      readonly escape: string | undefined
    }
  /** Whether the operand, read so, is unknown. */
  | { readonly kind: 'null'; readonly as: Reading; readonly operand: Operand }
  /** A field or TRUE or FALSE in the place of a condition. */
  | { readonly kind: 'truth'; readonly operand: Operand }
