import express from 'express'
import { expect, test } from 'vitest'
import { listen } from '../../../src/http/listener.ts'
import { ListenerError } from '../../../src/http/listener-error.ts'

const systemError = (code: string) => Object.assign(new Error('of the system'), { code })
const address = { host: '10.0.0.7', port: 9464 }

test.each([
  ['EADDRINUSE', 'LISTENER_PORT_TAKEN', 'stop it, or name another port'],
  ['EADDRNOTAVAIL', 'LISTENER_HOST_UNKNOWN', 'name one that is'],
  ['ENOTFOUND', 'LISTENER_HOST_UNKNOWN', 'name one that is'],
  ['EACCES', 'LISTENER_FORBIDDEN', 'name a port above 1023'],
  ['EMFILE', 'LISTENER_FAILED', 'the words of the system'],
])('%s is %s, and the message says where and what to do', (system, code, remedy) => {
  const cause = systemError(system)
  const error = new ListenerError('machines', address, cause)

  expect(error).toMatchObject({ code, cause })
  expect(error.message).toContain('`machines` cannot have 10.0.0.7, port 9464: ')
  expect(error.message).toContain(remedy)
})

test('an address that this machine does not have is known for it', async () => {
  const cause: unknown = await listen(express(), {
    host: '192.0.2.7',
    port: 0,
    connectionsMax: 1,
    transport: { kind: 'plain' },
  }).catch((error: unknown) => error)

  expect(new ListenerError('listen', address, cause).code).toBe('LISTENER_HOST_UNKNOWN')
})
