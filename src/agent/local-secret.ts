import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret } from '../base/secret.ts'

/** Something that only programs know that the agent has told: new at each start. */
export interface LocalSecret {
  readonly value: Secret<string>
  /** Takes as long whatever is wrong with it. */
  isShown(shown: string | string[] | undefined): boolean
}

export function createLocalSecret(): LocalSecret {
  const text = randomBytes(32).toString('hex').toUpperCase()
  const digest = digestOf(text)
  return {
    value: new Secret(text),
    isShown: (shown) => typeof shown === 'string' && timingSafeEqual(digestOf(shown), digest),
  }
}

/** Of one length, whatever was sent. */
const digestOf = (text: string) => hash('sha256', text, 'buffer')
