import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CallerError } from '../../../src/caller/caller.ts'
import { createJsonFetcher, type FetchJson } from '../../../src/caller/json-fetcher.ts'
import { createKeySource, type KeyLocation } from '../../../src/caller/key-source.ts'
import {
  createIssuerKey,
  discoveryPath,
  issuerName,
  keysPath,
  startLoopbackIssuer,
  type LoopbackIssuer,
} from '../../support/caller-issuer.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const fetcher = createJsonFetcher()
afterAll(() => fetcher.close())

const first = createIssuerKey('first')
const second = createIssuerKey('second')
let issuer: LoopbackIssuer

beforeEach(async () => {
  issuer = await startLoopbackIssuer(first)
})
afterEach(() => issuer.close())

const minutes = (count: number) => count * 60

function createSource({
  location = { discoverFrom: issuer.url },
  fetchJson = fetcher.fetchJson,
}: { location?: KeyLocation; fetchJson?: FetchJson } = {}) {
  const clock = fixedClock(1_795_000_000)
  const failures: CallerError[] = []
  const source = createKeySource({
    issuer: issuerName('platform'),
    location,
    fetchJson,
    clock,
    onIssuerAway: (failure) => failures.push(failure),
  })
  let tokens = 0
  /** Each time another token, unless one is named. */
  const find = (kid: string, token = `token ${(tokens += 1)}`) =>
    source.find((key) => key.kid === kid, token)
  return { source, clock, failures, find }
}

/** As many strangers as it takes until the issuer is not asked any more. */
async function spendAskings(find: (kid: string) => Promise<unknown>): Promise<void> {
  for (let count = 0; count < askingsAtOnce; count += 1) {
    expect(await find(`made-up-${count}`)).toBeUndefined()
  }
}

const askingsAtOnce = 5
const spent = (retryAfterSeconds: number) => ({
  name: 'CallerError',
  code: 'ISSUER_BUDGET_SPENT',
  issuer: 'platform',
  retryAfterSeconds,
})

/** How often the keys themselves were asked for. */
const keysAsked = () => issuer.asked.filter((path) => path === keysPath).length
const issuerIsAway = () => {
  issuer.answer(keysPath, { raw: (_, response) => response.writeHead(503).end() })
}
/** Background refreshes have no other sign than the request that they make and what is known after. */
const keysAskedTimes = (times: number) => expect.poll(keysAsked, { interval: 5 }).toBe(times)

describe('createKeySource', () => {
  it('finds a key through discovery, and no other', async () => {
    const { find } = createSource()
    expect((await find('first'))?.kid).toBe('first')
    expect(await find('second')).toBeUndefined()
  })

  it('asks a configured address without discovery', async () => {
    const { find } = createSource({ location: { jwksUri: new URL(keysPath, issuer.url) } })
    expect((await find('first'))?.kid).toBe('first')
    expect(issuer.asked).toEqual([keysPath])
  })

  it('asks once for a thousand callers at the same time', async () => {
    const { find } = createSource()
    const found = await Promise.all(Array.from({ length: 1000 }, () => find('first')))
    expect(new Set(found).size).toBe(1)
    expect(issuer.asked).toEqual([discoveryPath, keysPath])
  })

  it('does not find a name that two keys have', async () => {
    issuer.publish(first, { ...second.jwk, kid: 'first' })
    expect(await createSource().find('first')).toBeUndefined()
  })

  it('asks again without making anybody wait, shortly before its keys get old', async () => {
    const { find, clock } = createSource()
    await find('first')
    issuer.publish(second)
    clock.advance(minutes(4))
    expect((await find('first'))?.kid).toBe('first')
    await keysAskedTimes(2)
    await expect.poll(() => find('second').then((key) => key?.kid)).toBe('second')
    expect(keysAsked()).toBe(2)
  })

  it('waits for new keys when its own are five minutes old', async () => {
    const { find, clock } = createSource()
    await find('first')
    issuer.publish(second)
    clock.advance(minutes(5))
    expect(await find('first')).toBeUndefined()
    expect((await find('second'))?.kid).toBe('second')
  })

  it('asks at once for a key that it does not know', async () => {
    const { find } = createSource()
    await find('first')
    issuer.publish(first, second)
    expect((await find('second'))?.kid).toBe('second')
    expect(keysAsked()).toBe(2)
  })

  it('does not say no to a new key because strangers invented others', async () => {
    const { find, clock } = createSource()
    await find('first')
    await spendAskings(find)
    issuer.publish(first, second)
    await expect(find('second')).rejects.toMatchObject(spent(10))
    clock.advance(4)
    await expect(find('second')).rejects.toMatchObject(spent(6))
    clock.advance(6)
    expect(await find('made-up')).toBeUndefined()
    expect((await find('second'))?.kid).toBe('second')
  })

  it('says no to an invented key by what it asked for since, and by nothing older', async () => {
    const { find, clock } = createSource()
    await find('first')
    await spendAskings(find)
    await expect(find('made-up', 'of a stranger')).rejects.toMatchObject(spent(10))
    clock.advance(10)
    expect(await find('made-up', 'of another')).toBeUndefined()
    const asked = keysAsked()
    expect(await find('made-up', 'of a stranger')).toBeUndefined()
    await expect(find('made-up', 'of a third')).rejects.toMatchObject(spent(10))
    expect(keysAsked()).toBe(asked)
  })

  it('does not say no to a good token because a stranger knew its key id before', async () => {
    const { find } = createSource()
    await find('first')
    expect(await find('second', 'of a stranger')).toBeUndefined()
    issuer.publish(first, second)
    expect((await find('second', 'of its bearer'))?.kid).toBe('second')
  })

  it('asks twice a minute for a token that is sent again and again', async () => {
    const { find, clock } = createSource()
    await find('first')
    for (let second = 0; second < 60; second += 1) {
      expect(await find('made-up', 'the same')).toBeUndefined()
      clock.advance(1)
    }
    expect(keysAsked()).toBe(3)
  })

  it('asks every ten seconds at most, however many keys are invented', async () => {
    const { find, clock } = createSource()
    await find('first')
    for (let second = 0; second < 120; second += 1) {
      await Promise.allSettled(Array.from({ length: 20 }, (_, n) => find(`${second} ${n}`)))
      clock.advance(1)
    }
    // Its own keys once, five at once, and one every ten seconds.
    expect(keysAsked()).toBeLessThanOrEqual(1 + askingsAtOnce + 12)
    expect(keysAsked()).toBeGreaterThan(12)
  })

  it('does not take the answer to an earlier question for one about a token that came later', async () => {
    const answers: (() => void)[] = []
    const { find } = createSource({
      location: { jwksUri: new URL(keysPath, issuer.url) },
      fetchJson: async (url) => {
        const json = await fetcher.fetchJson(url)
        await new Promise<void>((resolve) => answers.push(resolve))
        return json
      },
    })
    const early = find('made-up')
    await expect.poll(() => answers.length).toBe(1)
    issuer.publish(first, second)
    const late = find('second')
    answers[0]?.()
    expect(await early).toBeUndefined()
    await expect.poll(() => answers.length).toBe(2)
    answers[1]?.()
    expect((await late)?.kid).toBe('second')
  })

  it('asks again for unknown keys five seconds after the issuer did not answer', async () => {
    const { find, clock } = createSource()
    await find('first')
    issuerIsAway()
    await expect(find('second')).rejects.toMatchObject({ code: 'ISSUER_UNREACHABLE' })
    issuer.publish(first, second)
    clock.advance(4)
    await expect(find('second')).rejects.toMatchObject({ code: 'ISSUER_UNREACHABLE' })
    clock.advance(1)
    expect((await find('second'))?.kid).toBe('second')
  })

  it('learns a new key once for all who come with it at the same time', async () => {
    const { find } = createSource()
    await find('first')
    issuer.publish(first, second)
    const found = await Promise.all(Array.from({ length: 10 }, () => find('second')))
    expect(found.map((key) => key?.kid)).toEqual(Array(10).fill('second'))
    expect(keysAsked()).toBe(2)
  })

  it('does not ask twice when the key is not among those it has just waited for', async () => {
    await createSource().find('made-up')
    expect(keysAsked()).toBe(1)
  })

  it('keeps using what it knows for an hour while the issuer is away, and says so', async () => {
    const { find, clock, failures } = createSource()
    await find('first')
    issuerIsAway()
    clock.advance(minutes(5))
    expect((await find('first'))?.kid).toBe('first')
    expect(failures.map(({ code }) => code)).toEqual(['ISSUER_UNREACHABLE'])
    clock.advance(minutes(54))
    expect((await find('first'))?.kid).toBe('first')
    await expect.poll(() => failures.length).toBe(2)
    clock.advance(minutes(1))
    await expect(find('first')).rejects.toMatchObject({ code: 'ISSUER_UNREACHABLE' })
  })

  it('cannot tell about an unknown key while the issuer is away', async () => {
    const { find } = createSource()
    await find('first')
    issuerIsAway()
    await expect(find('second')).rejects.toMatchObject({
      name: 'CallerError',
      code: 'ISSUER_UNREACHABLE',
      issuer: 'platform',
    })
    expect((await find('first'))?.kid).toBe('first')
  })

  it('does not turn on an issuer that is away: one attempt in five seconds', async () => {
    issuerIsAway()
    const { find, clock } = createSource()
    for (let count = 0; count < 50; count++) await expect(find('first')).rejects.toThrow()
    expect(keysAsked()).toBe(1)
    clock.advance(5)
    await expect(find('first')).rejects.toThrow()
    expect(keysAsked()).toBe(2)
  })

  it('recovers when the issuer is back', async () => {
    issuerIsAway()
    const { find, clock } = createSource()
    await expect(find('first')).rejects.toThrow()
    issuer.publish(first)
    clock.advance(5)
    expect((await find('first'))?.kid).toBe('first')
  })

  it('takes an empty key set for a withdrawal, not for an outage', async () => {
    const { find, source, clock } = createSource()
    const fingerprint = (await find('first'))?.fingerprint ?? ''
    issuer.publish()
    clock.advance(minutes(5))
    expect(await find('first')).toBeUndefined()
    expect(source.trusts(fingerprint)).toBe(false)
  })

  it('trusts a key until the issuer shows it no more', async () => {
    const { find, source } = createSource()
    const fingerprint = (await find('first'))?.fingerprint ?? ''
    expect(source.trusts(fingerprint)).toBe(true)
    expect(source.trusts('another')).toBe(false)
    issuer.publish(second)
    await find('second')
    expect(source.trusts(fingerprint)).toBe(false)
  })

  it('trusts no key whose age it has not looked after', async () => {
    const { find, source, clock } = createSource()
    const fingerprint = (await find('first'))?.fingerprint ?? ''
    clock.advance(minutes(5))
    expect(source.trusts(fingerprint)).toBe(false)
    await keysAskedTimes(2)
    await expect.poll(() => source.trusts(fingerprint)).toBe(true)
  })

  it('does not take keys for fresh because the wall clock went back', async () => {
    const { find, clock } = createSource()
    await find('first')
    issuer.publish(second)
    clock.jump(-3600)
    expect((await find('first'))?.kid).toBe('first')
    clock.advance(minutes(5))
    expect(await find('first')).toBeUndefined()
  })

  it('does not take keys for fresh that it fetched before the machine slept', async () => {
    const { find, clock } = createSource()
    await find('first')
    issuer.publish(second)
    clock.jump(minutes(5))
    expect(await find('first')).toBeUndefined()
  })

  it('asks an issuer that was away again in five seconds, though the wall clock went back', async () => {
    issuerIsAway()
    const { find, clock } = createSource()
    await expect(find('first')).rejects.toThrow()
    clock.jump(-3600)
    await expect(find('first')).rejects.toThrow()
    expect(keysAsked()).toBe(1)
    clock.advance(5)
    await expect(find('first')).rejects.toThrow()
    expect(keysAsked()).toBe(2)
  })

  it.each<[string, string, unknown]>([
    ['a key set without keys', keysPath, { key: [] }],
    ['a discovery document that is a list', discoveryPath, []],
    ['a discovery document without jwks_uri', discoveryPath, { issuer: 'x' }],
  ])('calls %s malformed', async (_, path, json) => {
    issuer.answer(path, { json })
    await expect(createSource().find('first')).rejects.toMatchObject({ code: 'ISSUER_MALFORMED' })
  })

  it.each([['https://issuer.example'], ['']])(
    'does not take a discovery document for its own that is about %j',
    async (about) => {
      const jwksUri = `${issuer.url}${keysPath}`
      issuer.answer(discoveryPath, { json: { issuer: about, jwks_uri: jwksUri } })
      await expect(createSource().find('first')).rejects.toMatchObject({ code: 'ISSUER_MALFORMED' })
      expect(issuer.asked).toEqual([discoveryPath])
    },
  )

  it.each([
    ['another host', 'https://keys.example/keys'],
    ['another port', 'http://127.0.0.1:1/keys'],
    ['another scheme', 'https://127.0.0.1/keys'],
    ['a file', 'file:///etc/keys'],
    ['nowhere', 'keys'],
  ])('is not sent to %s by a discovery document', async (_, jwksUri) => {
    issuer.answer(discoveryPath, { json: { issuer: issuer.url, jwks_uri: jwksUri } })
    await expect(createSource().find('first')).rejects.toMatchObject({ code: 'ISSUER_MALFORMED' })
    expect(issuer.asked).toEqual([discoveryPath])
  })

  it('looks for the discovery document of an issuer with a path below that path', async () => {
    const url = `${issuer.url}/realms/main/`
    const document = { issuer: url, jwks_uri: `${issuer.url}${keysPath}` }
    issuer.answer(`/realms/main${discoveryPath}`, { json: document })
    const { find } = createSource({ location: { discoverFrom: url } })
    expect((await find('first'))?.kid).toBe('first')
  })

  it('keeps the cause of a failure for the log', async () => {
    const cause = new Error('socket hang up')
    const { find } = createSource({ fetchJson: () => Promise.reject(cause) })
    await expect(find('first')).rejects.toMatchObject({ code: 'ISSUER_UNREACHABLE', cause })
  })
})
