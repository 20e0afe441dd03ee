import { z } from 'zod'
import { ControlError, parsed, type ControlRoute } from '../control.ts'
import { rotationSchema } from '../signing-keys.ts'
import type { World } from '../world.ts'
import type { RegisteredCertificate } from './application-certificates.ts'
import { blockSchema } from './blocks.ts'
import { tokenEndpointDialsSchema } from './dials.ts'
import type { Entra } from './entra.ts'

/** @param noteChange Told what an application's certificates were and are. */
export const entraRoutes = (
  entra: Entra,
  world: World,
  noteChange: NoteChange,
): readonly ControlRoute[] => [
  ...exchangeRoutes(entra),
  ...dialRoutes(entra),
  ...blockRoutes(entra),
  ...registrationRoutes(entra, world, noteChange),
  {
    method: 'POST',
    path: '/entra/keys/rotate',
    summary: 'signs access tokens with a new key; {"previous": "withdrawn"} hides the old ones',
    handle: async ({ body }) => {
      await entra.accessTokens.rotate(parsed(rotationSchema, body).previous)
    },
  },
]

export type NoteChange = (
  application: string,
  before: readonly RegisteredCertificate[],
  after: readonly RegisteredCertificate[],
) => void

const exchangeRoutes = ({ exchanges }: Entra): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/exchanges',
    summary: 'what the token endpoints were asked, oldest first, without assertions and tokens',
    handle: () => exchanges.records(),
  },
  {
    method: 'DELETE',
    path: '/exchanges',
    summary: 'forgets them',
    handle: () => {
      exchanges.clear()
    },
  },
]

const dialRoutes = ({ dials }: Entra): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/entra/dials',
    summary: 'what the token endpoints do where Microsoft documents no answer',
    handle: () => dials.current(),
  },
  {
    method: 'POST',
    path: '/entra/dials',
    summary:
      'turns them: {"skewSeconds": 0, "replay": "refused"}; what is not named goes to its default',
    handle: ({ body }) => {
      dials.set(parsed(tokenEndpointDialsSchema, body))
      return dials.current()
    },
  },
]

const blockRoutes = ({ blocks }: Entra): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/entra/blocks',
    summary: 'what is held against clients that prove themselves well',
    handle: () => blocks.list(),
  },
  {
    method: 'POST',
    path: '/entra/blocks',
    summary:
      'refuses one: {"tenant": "fabrikam", "client": "events", "reason": "conditional-access"}',
    handle: ({ body }) => {
      blocks.put(parsed(blockSchema, body))
      return blocks.list()
    },
  },
  {
    method: 'DELETE',
    path: '/entra/blocks',
    summary: 'lifts all blocks',
    handle: () => {
      blocks.clear()
    },
  },
]

const certificateSchema = z.strictObject({ cer: z.base64() })

function registrationRoutes(
  { certificates }: Entra,
  world: World,
  noteChange: NoteChange,
): readonly ControlRoute[] {
  const changing = <Value>(name: string, change: () => Value): Value => {
    const before = certificates.registered(name)
    const value = change()
    noteChange(name, before, certificates.registered(name))
    return value
  }
  const names = [...world.applications, ...world.principals]
    .filter((one) => !('kind' in one) || one.kind === 'application')
    .map(({ name }) => name)
  const known = ({ name = '' }: Readonly<Record<string, string>>) => {
    if (names.includes(name)) return name
    throw new ControlError(404, `no application '${name}': there is ${names.join(', ')}`)
  }
  const path = '/applications/{name}/certificates'
  return [
    {
      method: 'GET',
      path,
      summary: 'the certificates that may sign its assertions',
      handle: ({ parameters }) => certificates.registered(known(parameters)).map(stateOf),
    },
    {
      method: 'POST',
      path,
      summary: 'registers one more: {"cer": "<base64 of the DER>"}, as /state shows it',
      handle: ({ parameters, body }) => {
        const der = Buffer.from(parsed(certificateSchema, body).cer, 'base64')
        const name = known(parameters)
        return changing(name, () => stateOf(acceptable(() => certificates.register(name, der))))
      },
    },
    {
      method: 'DELETE',
      path: `${path}/{x5tS256}`,
      summary: 'takes one away, by its base64url SHA-256 thumbprint',
      handle: ({ parameters }) => {
        const { x5tS256 = '' } = parameters
        const name = known(parameters)
        if (changing(name, () => certificates.unregister(name, x5tS256))) return
        throw new ControlError(404, `no certificate '${x5tS256}' is registered there`)
      },
    },
  ]
}

function acceptable<Value>(act: () => Value): Value {
  try {
    return act()
  } catch (error) {
    if (error instanceof RangeError) throw new ControlError(400, `cer: ${error.message}`)
    throw error
  }
}

const stateOf = ({ x5t, x5tS256, notBeforeMs, notAfterMs }: RegisteredCertificate) => ({
  x5t,
  x5tS256,
  notBeforeSeconds: notBeforeMs / 1000,
  notAfterSeconds: notAfterMs / 1000,
})
