import { z } from 'zod'
import { guidPattern, parsed, text } from '../yaml/forms.ts'
import type { ExpectConfig } from './config.ts'
import { parseAddressRange } from './listen.ts'

const principalForm = parsed('the object id (a GUID) of a principal', parseGuid, guidPattern)

export const keyUrlForm = text(
  'the URL of a key, such as https://contoso-hsm.vault.azure.net/keys/partner-signing',
  /^https:\/\/[0-9a-z.-]+(?::\d{1,5})?\/keys\/[0-9a-z-]{1,127}$/i,
)

const agreedForm = z.strictObject({
  principal: principalForm.describe('Object id of whoever else may sign.'),
  key: keyUrlForm.optional().describe('With this key alone, whatever version. Absent: with any.'),
})

const list = <Item extends z.ZodType>(item: Item, expects: string) =>
  z.array(item, { error: expects }).default([])

export const expectForm = z
  .strictObject({
    principals: list(principalForm, 'a list of object ids').describe(
      "Object ids of the service's own identities. None: whoever signs by the ids of the ledger.",
    ),
    addresses: list(
      parsed('an IP address or a network such as 203.0.113.0/24', parseAddressRange),
      'a list of IP addresses or networks',
    ).describe('Where the service signs from. None: anywhere.'),
    also: list(agreedForm, 'a list of agreed uses, each as { principal: OBJECT-ID }').describe(
      'Who else may sign with the keys. Covers neither exports of a key nor changes.',
    ),
  })
  .prefault({})
  .describe('What reconcile takes for this deployment, and for agreed other uses of its keys.')

export type ExpectForm = z.output<typeof expectForm>

export const expectFrom = ({ principals, addresses, also }: ExpectForm): ExpectConfig => ({
  principals: [...new Set(principals)].sort(),
  addresses: [...new Set(addresses)].sort(),
  also: also.map(({ principal, key }) => ({ principal, ...(key === undefined ? {} : { key }) })),
})

const guid = new RegExp(guidPattern)

/** Lower case. */
export function parseGuid(written: string): string | undefined {
  return guid.test(written) ? written.toLowerCase() : undefined
}
