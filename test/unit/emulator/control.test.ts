import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  ControlError,
  parsed,
  startControl,
  type Control,
  type ControlRoute,
} from '../../../src/emulator/control.ts'

let control: Control

const routes: readonly ControlRoute[] = [
  {
    method: 'POST',
    path: '/things/{name}',
    summary: 'echoes a thing',
    handle: ({ parameters, query, body }) => ({
      ...parameters,
      colour: query.get('colour'),
      ...parsed(z.strictObject({ size: z.int().min(1) }), body),
    }),
  },
  { method: 'DELETE', path: '/things', summary: 'forgets them', handle: () => undefined },
  {
    method: 'GET',
    path: '/missing',
    summary: 'is never there',
    handle: () => {
      throw new ControlError(404, 'nothing is missing')
    },
  },
]

beforeAll(async () => {
  control = await startControl(routes, 0)
})
afterAll(() => control.close())

async function ask(request: string, body?: string, token = control.token) {
  const [method = '', path = ''] = request.split(' ')
  const response = await fetch(`${control.origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) }
}

test('answers what a route returns, or 204 when it returns nothing', async () => {
  const answer = await ask('POST /things/a%20b?colour=red', '{"size":2}')
  expect(answer).toEqual({ status: 200, body: { name: 'a b', colour: 'red', size: 2 } })
  expect((await ask('DELETE /things')).status).toBe(204)
})

test('lists what can be asked', async () => {
  const { body } = await ask('GET /')
  expect(body).toContainEqual({ request: 'POST /things/{name}', summary: 'echoes a thing' })
})

describe('refuses', () => {
  test.each(['', 'wrong', 'x'.repeat(32)])('the token %j', async (token) => {
    expect((await ask('GET /', undefined, token)).status).toBe(401)
  })

  test('a body that is not what it should be, and says what that is', async () => {
    const { status, body } = await ask('POST /things/a', '{"size":0,"weight":1}')
    expect(status).toBe(400)
    expect(JSON.stringify(body)).toMatch(/size: .*>=1.*weight/)
    expect(await ask('POST /things/a')).toMatchObject({ status: 400 })
  })

  test('what is no JSON', async () => {
    expect(await ask('POST /things/a', '{')).toEqual({
      status: 400,
      body: { error: 'the body is not JSON: send a JSON value, or no body' },
    })
  })

  test('what it does not have', async () => {
    expect(await ask('GET /things')).toMatchObject({ status: 404 })
    expect(await ask('GET /missing')).toMatchObject({ body: { error: 'nothing is missing' } })
    expect((await ask('POST /things/%ZZ', '{"size":1}')).status).toBe(400)
  })
})
