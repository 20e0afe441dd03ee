import { inspect } from 'node:util'
import { setTimeout } from 'node:timers/promises'
import { DatabaseError } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { healthyAgain } from '../../contract/ledger.contract.ts'
import { startCuttableProxy, type CuttableProxy } from '../../support/cuttable-proxy.ts'
import { startedEntry } from '../../support/entries.ts'
import { query, startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import {
  ledgerAt,
  openLedger,
  openLedgerAt,
  verifiedEntriesAt,
} from '../../support/postgres-store.ts'
import { required } from '../../support/required.ts'

let server: TestPostgres
let proxy: CuttableProxy
beforeAll(async () => {
  server = await startPostgres()
  proxy = await startCuttableProxy(server.port)
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
})

let url: string
/** The same database over the wire that can be cut. */
let wiredUrl: string
let opened: Ledger[]
beforeEach(async () => {
  url = await server.createDatabase()
  wiredUrl = urlWith(url, { port: String(proxy.port) })
  opened = []
})
afterEach(async () => {
  await Promise.all(opened.map((ledger) => ledger.close()))
})

async function open(at = url, options: Parameters<typeof openLedgerAt>[1] = {}): Promise<Ledger> {
  const ledger = await openLedgerAt(at, options)
  opened.push(ledger)
  return ledger
}

const versionsAt = async (at: string) =>
  (await verifiedEntriesAt(at)).map((entry) =>
    entry.kind === 'service.started' ? entry.version : entry.kind,
  )

/** As a client sends it; `READ COMMITTED` is something else. */
const commit = 'COMMIT\0'

/** Appends pairs from several places until it is stopped; goes on after every refusal. */
function startAppending(ledger: Ledger, name: string) {
  const acknowledged: string[] = []
  let isStopping = false
  const appendForever = async (writer: number) => {
    for (let count = 0; !isStopping; count += 1) {
      const pair = ['a', 'b'].map((part) => `${name}.${writer}-${count}-${part}`)
      try {
        await ledger.append(pair.map(startedEntry))
        acknowledged.push(...pair)
      } catch {
        await setTimeout(5)
      }
    }
  }
  const done = Promise.all(Array.from({ length: 8 }, (_, writer) => appendForever(writer)))
  return {
    acknowledged,
    stop: async () => {
      isStopping = true
      await done
    },
  }
}

/** Both entries of every append are adjacent, and each writer's are in the order in which it wrote. */
function expectPairsInOrder(versions: readonly string[]): void {
  const last = new Map<string, number>()
  versions.forEach((version, index) => {
    const [writer = '', count, part] = version.split('-')
    if (part !== 'a') return
    expect(versions[index + 1]).toBe(`${writer}-${count ?? ''}-b`)
    expect(Number(count)).toBeGreaterThan(last.get(writer) ?? -1)
    last.set(writer, Number(count))
  })
}

describe('several replicas on one database', () => {
  it('start at once on an empty one', async () => {
    const ledgers = await Promise.all(Array.from({ length: 8 }, () => open()))
    await Promise.all(ledgers.map((ledger, index) => ledger.append([startedEntry(`${index}`)])))
    expect((await versionsAt(url)).toSorted()).toEqual(ledgers.map((_, index) => `${index}`))
  })

  it('write one chain that does not fork, each in its own order', async () => {
    const replicas = await Promise.all(
      ['x', 'y', 'z'].map(async (name) => [name, await open()] as const),
    )
    const appenders = replicas.map(([name, ledger]) => startAppending(ledger, name))
    for (const { acknowledged } of appenders) {
      await expect.poll(() => acknowledged.length).toBeGreaterThan(100)
    }
    await Promise.all(appenders.map((appender) => appender.stop()))

    const versions = await versionsAt(url)
    const acknowledged = appenders.flatMap((appender) => appender.acknowledged)
    expect(versions.toSorted()).toEqual(acknowledged.toSorted())
    expectPairsInOrder(versions)
  })

  it('are not held up by one that vanishes while it holds the tip', async () => {
    const vanishing = await open(wiredUrl, { commitTimeoutMs: 2000 })
    const other = await open()
    proxy.at('INSERT INTO entry', 'hang')
    const vanished = vanishing.append([startedEntry('vanished')])
    await Promise.all([
      expect(vanished).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' }),
      other.append([startedEntry('other')]),
    ])
    expect(await versionsAt(url)).toEqual(['other'])
  })
})

describe('a connection that is cut', () => {
  it('before the commit arrives has written nothing, and the next follows', async () => {
    const ledger = await open(wiredUrl)
    await ledger.append([startedEntry('1')])
    proxy.at(commit, 'cut-before')
    await expect(ledger.append([startedEntry('lost')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      cause: expect.objectContaining({ code: 'LEDGER_UNREACHABLE' }) as unknown,
    })
    expect(ledger.healthy()).toBe(false)
    await healthyAgain(ledger)
    await ledger.append([startedEntry('2')])
    expect(await versionsAt(url)).toEqual(['1', '2'])
  })

  it('before its answer leaves all of the commit there, unanswered, and the next follows', async () => {
    const ledger = await open(wiredUrl)
    await ledger.append([startedEntry('1')])
    proxy.at(commit, 'cut-after')
    const waiting = ['2', '3'].map((version) => ledger.append([startedEntry(version)]))
    for (const answer of await Promise.allSettled(waiting)) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'LEDGER_UNAVAILABLE' } })
    }
    await healthyAgain(ledger)
    await ledger.append([startedEntry('4')])
    expect(await versionsAt(url)).toEqual(['1', '2', '3', '4'])
  })

  it('while nobody appends is noticed, and made again', async () => {
    let openings = 0
    const ledger = await openLedger({
      locate: () => {
        openings += 1
        return Promise.resolve(ledgerAt(wiredUrl))
      },
    })
    opened.push(ledger)
    proxy.cut()
    await expect.poll(() => openings).toBe(2)
    await healthyAgain(ledger)
    await ledger.append([startedEntry('1')])
    expect(await versionsAt(url)).toEqual(['1'])
  })

  it('again and again under load loses nothing that was answered', async () => {
    const ledger = await open(wiredUrl)
    const appender = startAppending(ledger, 'x')
    for (const what of ['cut-before', 'cut-after', 'cut-before', 'cut-after'] as const) {
      await setTimeout(100)
      proxy.at(commit, what)
      await expect.poll(() => ledger.healthy()).toBe(false)
      await healthyAgain(ledger)
    }
    await appender.stop()
    const versions = await versionsAt(url)
    expect(appender.acknowledged.filter((version) => !versions.includes(version))).toEqual([])
    expectPairsInOrder(versions)
  })
})

describe('a server that does not answer', () => {
  it('is given up after the time that a commit may take', async () => {
    const ledger = await open(wiredUrl, { commitTimeoutMs: 3000 })
    proxy.at(commit, 'hang')
    await expect(ledger.append([startedEntry('1')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
    })
    await healthyAgain(ledger)
    await ledger.append([startedEntry('2')])
    expect(await versionsAt(url)).toEqual(['2'])
  })

  it('does not hold up closing for longer than a commit and a goodbye', async () => {
    const ledger = await open(wiredUrl, { commitTimeoutMs: 1000 })
    proxy.at(commit, 'hang')
    const append = ledger.append([startedEntry('1')])
    const startedAt = performance.now()
    await Promise.all([ledger.close(), expect(append).rejects.toThrow('LEDGER_UNAVAILABLE')])
    // Whoever waited for the server would wait for ever.
    expect(performance.now() - startedAt).toBeLessThan(30_000)
  })
})

describe('a server that is killed', () => {
  it('under load keeps all that it has answered, and is found again', async () => {
    const ledgers = [await open(), await open()]
    const appenders = ledgers.map((ledger, index) => startAppending(ledger, `r${index}`))
    await setTimeout(300)
    await server.kill()
    await expect.poll(() => ledgers.some((ledger) => ledger.healthy())).toBe(false)
    await server.start()
    await Promise.all(ledgers.map(healthyAgain))
    await setTimeout(200)
    await Promise.all(appenders.map((appender) => appender.stop()))

    const versions = await versionsAt(url)
    const acknowledged = appenders.flatMap((appender) => appender.acknowledged)
    expect(acknowledged.filter((version) => !versions.includes(version))).toEqual([])
    expectPairsInOrder(versions)
  })
})

describe('a tip that somebody changed', () => {
  const changes: readonly (readonly [claim: string, sql: string])[] = [
    ['points behind the last entry', 'UPDATE countersign.tip SET sequence = 4'],
    ['points before the last entry', 'UPDATE countersign.tip SET sequence = 2'],
    ['has another hash', "UPDATE countersign.tip SET hash = decode(repeat('01', 32), 'hex')"],
    ['is gone', 'DELETE FROM countersign.tip'],
    ['has lost its entry', 'DELETE FROM countersign.entry WHERE sequence = 3'],
    [
      'stands for another entry',
      "UPDATE countersign.entry SET canonical = '{}' WHERE sequence = 3",
    ],
    ['follows a gap', 'DELETE FROM countersign.entry WHERE sequence = 2'],
  ]

  beforeEach(async () => {
    const ledger = await open()
    await ledger.append(['1', '2', '3'].map(startedEntry))
    await ledger.close()
  })

  it.each(changes)('and that %s is refused at the start', async (_, sql) => {
    await query(url, sql)
    await expect(open()).rejects.toMatchObject({
      name: 'LedgerDatabaseError',
      code: 'LEDGER_TIP_BROKEN',
    })
  })

  const broken = {
    code: 'LEDGER_UNAVAILABLE',
    cause: expect.objectContaining({ code: 'LEDGER_TIP_BROKEN' }) as unknown,
  }

  it.each(changes)('and that %s is refused at the next commit', async (_, sql) => {
    const ledger = await open()
    await query(url, sql)
    await expect(ledger.append([startedEntry('4')])).rejects.toMatchObject(broken)
    expect(ledger.healthy()).toBe(false)
  })

  it('is refused until it is as it was', async () => {
    const ledger = await open()
    await query(url, 'UPDATE countersign.tip SET sequence = 2')
    await expect(ledger.append([startedEntry('4')])).rejects.toMatchObject(broken)
    // It has tried to go on by then.
    await setTimeout(1300)
    await expect(ledger.append([startedEntry('5')])).rejects.toMatchObject(broken)
    await query(url, 'UPDATE countersign.tip SET sequence = 3')
    await healthyAgain(ledger)
    await ledger.append([startedEntry('6')])
    expect(await versionsAt(url)).toEqual(['1', '2', '3', '6'])
  })
})

describe('a database that has forgotten what it answered', () => {
  /** What a standby does that takes over without the last entries: consistent, and shorter. */
  const rewind = () =>
    query(
      url,
      `DELETE FROM countersign.entry WHERE sequence > 1;
       UPDATE countersign.tip SET (sequence, hash) = (SELECT sequence, hash FROM countersign.entry)`,
    )
  const rewound = {
    code: 'LEDGER_UNAVAILABLE',
    cause: expect.objectContaining({ code: 'LEDGER_REWOUND' }) as unknown,
  }

  it('is refused by whoever was answered, at once', async () => {
    const ledger = await open()
    await ledger.append(['1', '2'].map(startedEntry))
    await rewind()
    await expect(ledger.append([startedEntry('3')])).rejects.toMatchObject(rewound)
  })

  it('is refused when the connection is made again, although others have written since', async () => {
    const ledger = await open(wiredUrl)
    await ledger.append(['1', '2'].map(startedEntry))
    await rewind()
    const other = await open()
    await other.append(['of another', 'replica'].map(startedEntry))
    proxy.cut()
    const refusal = () => ledger.append([startedEntry('3')]).catch((error: unknown) => error)
    await expect.poll(refusal, { interval: 100 }).toMatchObject(rewound)
    expect(ledger.healthy()).toBe(false)
    // Who starts now has nothing to compare with.
    await (await open()).append([startedEntry('5')])
  })
})

describe('a database that keeps entries out', () => {
  it('without an error is found out before the commit', async () => {
    const ledger = await open()
    await query(
      url,
      `CREATE FUNCTION countersign.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER nothing BEFORE INSERT ON countersign.entry FOR EACH ROW
         EXECUTE FUNCTION countersign.nothing()`,
    )
    await expect(ledger.append([startedEntry('1')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      cause: expect.objectContaining({ code: 'LEDGER_REFUSED' }) as unknown,
    })
    await query(url, 'DROP FUNCTION countersign.nothing CASCADE')
    await healthyAgain(ledger)
    await ledger.append([startedEntry('2')])
    expect(await versionsAt(url)).toEqual(['2'])
  })
})

describe('a database that may not keep the ledger', () => {
  it.each([
    ['the server does not sync', { fsync: 'off' }, { fsync: 'on' }],
    ['commits are not waited for', { synchronous_commit: 'off' }, { synchronous_commit: 'on' }],
    [
      'a standby is not waited for as the operator asked',
      { synchronous_commit: 'local' },
      { synchronous_commit: 'on' },
    ],
  ])('because %s is refused, and taken when that is mended', async (_, wrong, right) => {
    await server.configure(wrong)
    try {
      await expect(open()).rejects.toMatchObject({ code: 'LEDGER_NOT_DURABLE' })
    } finally {
      await server.configure(right)
    }
    await (await open()).append([startedEntry('1')])
  })

  it('because its encoding is another is refused', async () => {
    const latin = await server.createDatabase({ encoding: 'LATIN1' })
    await expect(open(latin)).rejects.toMatchObject({ code: 'LEDGER_NOT_UTF8' })
  })

  it('because it takes no writes is refused', async () => {
    const { database } = ledgerAt(url).database
    await query(url, `ALTER DATABASE ${database} SET default_transaction_read_only = on`)
    await expect(open()).rejects.toMatchObject({ code: 'LEDGER_READ_ONLY' })
  })

  it('because its schema is somebody else’s is refused, and left alone', async () => {
    await query(url, 'CREATE SCHEMA countersign; CREATE TABLE countersign.invoice (id integer)')
    await expect(open()).rejects.toMatchObject({
      code: 'LEDGER_NOT_A_LEDGER',
      message: expect.stringContaining('holds something else') as unknown,
    })
    expect(
      await query(
        url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'countersign'::regnamespace",
      ),
    ).toEqual([{ relname: 'invoice' }])
  })

  it('because its tables are of other types is refused', async () => {
    await (await open()).close()
    await query(
      url,
      'ALTER TABLE countersign.tip ALTER COLUMN sequence TYPE integer USING sequence::integer',
    )
    await expect(open()).rejects.toMatchObject({ code: 'LEDGER_NOT_A_LEDGER' })
  })

  it('because nobody can tell what one of its revocations stops is refused', async () => {
    await (await open()).close()
    await query(
      url,
      "INSERT INTO countersign.revocation (id, epoch, made) VALUES (gen_random_uuid(), 1, '{}')",
    )
    await expect(open()).rejects.toMatchObject({
      code: 'LEDGER_NOT_A_LEDGER',
      message: expect.stringContaining('the table of revocations holds what is none') as unknown,
    })
  })

  it('because it is not there is refused', async () => {
    await expect(open(`${url}0`)).rejects.toMatchObject({ code: 'LEDGER_MISSING' })
  })

  it('because nobody answers is refused in time', async () => {
    const nobody = urlWith(url, { port: '1' })
    await expect(open(nobody)).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' })
    proxy.at('user', 'hang')
    await expect(open(wiredUrl, { connectTimeoutMs: 300 })).rejects.toMatchObject({
      code: 'LEDGER_UNREACHABLE',
    })
  })

  it('beside other things in the same database is taken', async () => {
    await query(url, 'CREATE TABLE public.tip (a integer); CREATE TABLE public.entry (a integer)')
    await (await open()).append([startedEntry('1')])
    expect(await versionsAt(url)).toEqual(['1'])
  })
})

describe('a standby that has to have every commit', () => {
  it('and is not there leaves the commit in doubt, and nobody is told that it is durable', async () => {
    const ledger = await open(url, { commitTimeoutMs: 3000 })
    await server.configure({ synchronous_standby_names: 'nobody' })
    try {
      await expect(ledger.append([startedEntry('in doubt')])).rejects.toMatchObject({
        code: 'LEDGER_UNAVAILABLE',
      })
    } finally {
      await server.configure({ synchronous_standby_names: '' })
    }
    await healthyAgain(ledger)
    await ledger.append([startedEntry('after')])
    expect((await versionsAt(url)).at(-1)).toBe('after')
  })
})

describe('a primary that gives up waiting for its standby', () => {
  /** Answers like any other, and warns. */
  async function expectNobodyTold(ledger: Ledger): Promise<void> {
    await server.configure({ synchronous_standby_names: 'nobody' })
    try {
      const append = ledger.append([startedEntry('in doubt')])
      const cancelled = async () => {
        const rows = await query(
          url,
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        )
        return rows.length
      }
      await Promise.all([
        expect(append).rejects.toMatchObject({
          code: 'LEDGER_UNAVAILABLE',
          cause: {
            code: 'LEDGER_REFUSED',
            message: expect.stringContaining('leaves a commit in doubt') as unknown,
          },
        }),
        expect.poll(cancelled).toBe(1),
      ])
    } finally {
      await server.configure({ synchronous_standby_names: '' })
    }
    await healthyAgain(ledger)
  }

  it('answers, and nobody is told that the commit is durable', async () => {
    await expectNobodyTold(await open())
  })

  it('is understood in its own language', async () => {
    // What lc_messages = de_DE does to the severity; the server of the tests knows English only.
    proxy.translate('SWARNING\0', 'SWARNUNG\0')
    await expectNobodyTold(await open(wiredUrl))
  })

  it('is asked for its warnings where the database is set to keep them', async () => {
    const { database } = ledgerAt(url).database
    await query(url, `ALTER DATABASE ${database} SET client_min_messages = error`)
    await expectNobodyTold(await open())
  })
})

describe('what the server says for information', () => {
  it.each(['NOTICE', 'INFO'])('keeps no commit from being durable: %s', async (level) => {
    const ledger = await open()
    await query(
      url,
      `CREATE FUNCTION countersign.chat() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN RAISE ${level} ''hello''; RETURN NEW; END';
       CREATE TRIGGER chat BEFORE INSERT ON countersign.entry FOR EACH ROW
         EXECUTE FUNCTION countersign.chat()`,
    )
    await ledger.append([startedEntry('1')])
    expect(await versionsAt(url)).toEqual(['1'])
  })
})

describe('a role that is refused', () => {
  it.each([
    ['whose password is wrong', 'LOGIN', 'wrong', 'LEDGER_FORBIDDEN'],
    ['that may not log in', 'NOLOGIN', 'right', 'LEDGER_FORBIDDEN'],
    ['that has no connection left', 'LOGIN CONNECTION LIMIT 0', 'right', 'LEDGER_UNREACHABLE'],
    ['that may not make the tables', 'LOGIN', 'right', 'LEDGER_NOT_PREPARED'],
  ])('%s is told so in words that do not name it', async (_, kind, password, code) => {
    await query(
      url,
      `DROP ROLE IF EXISTS quiet_role; CREATE ROLE quiet_role PASSWORD 'right' ${kind}`,
    )
    await expect(open(urlWith(url, { username: 'quiet_role', password }))).rejects.toMatchObject({
      code,
      message: expect.not.stringContaining('quiet_role') as unknown,
      // For the protected log.
      cause: expect.any(DatabaseError) as unknown,
    })
  })
})

describe('the password', () => {
  const password = 'correct horse battery staple'
  const roleUrl = (role: string, secret: string) =>
    urlWith(url, { username: role, password: encodeURIComponent(secret) })

  beforeEach(async () => {
    const [known] = await query(url, "SELECT FROM pg_roles WHERE rolname = 'owner_role'")
    const verb = known === undefined ? 'CREATE' : 'ALTER'
    await query(url, `${verb} ROLE owner_role SUPERUSER LOGIN PASSWORD '${password}'`)
  })

  it('is sent as it was written, and is in no error', async () => {
    await (await open(roleUrl('owner_role', password))).append([startedEntry('1')])
    const wrong = 'wrong horse battery staple'
    const failures = await Promise.allSettled([
      open(roleUrl('owner_role', wrong)),
      open(urlWith(roleUrl('owner_role', wrong), { port: '1' })),
      open(`${roleUrl('owner_role', wrong)}-no-such-database`),
    ])
    const reasons = failures.map(
      (failure) => failure.status === 'rejected' && (failure.reason as unknown),
    )
    expect(reasons).toMatchObject([
      { code: 'LEDGER_FORBIDDEN' },
      { code: 'LEDGER_UNREACHABLE' },
      { code: 'LEDGER_FORBIDDEN' },
    ])
    expect(inspect(reasons, { depth: 10, showHidden: true })).not.toContain('horse')
  })

  it('may be in the environment instead; where there is none at all, that is said', async () => {
    const without = roleUrl('owner_role', '')
    await expect(open(without)).rejects.toMatchObject({
      code: 'LEDGER_FORBIDDEN',
      message: expect.stringMatching(/asks for a password, and there is none/) as unknown,
    })
    process.env['PGPASSWORD'] = password
    try {
      await (await open(without)).append([startedEntry('1')])
    } finally {
      delete process.env['PGPASSWORD']
    }
  })

  it('may change while the service runs: it is asked for at each opening', async () => {
    let current = password
    let openings = 0
    const ledger = await openLedger({
      locate: () => {
        openings += 1
        return Promise.resolve(
          ledgerAt(urlWith(roleUrl('owner_role', current), { port: String(proxy.port) })),
        )
      },
    })
    opened.push(ledger)
    current = 'another'
    await query(url, `ALTER ROLE owner_role PASSWORD '${current}'`)
    proxy.cut()
    await expect.poll(() => openings).toBe(2)
    await healthyAgain(ledger)
    await ledger.append([startedEntry('1')])
    expect(required(await versionsAt(url))).toEqual(['1'])
  })
})
