import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isUrl, parsePostgresUrl, postgresName } from '../../../src/base/postgres-url.ts'
import { required } from '../../support/required.ts'

describe('the URL of a database', () => {
  test('says where it is and as whom it is used', () => {
    expect(parsePostgresUrl('postgres://countersign@db.contoso.example/ledger')).toEqual({
      host: 'db.contoso.example',
      port: 5432,
      user: 'countersign',
      database: 'ledger',
      transport: 'tls',
    })
  })

  test('may have a port, a password of any characters, and a line end after it', () => {
    const database = required(
      parsePostgresUrl('postgresql://a%40b:p%2Fw%20d%3F@[2001:db8::1]:6432/le%20dger\n'),
    )
    expect(database).toMatchObject({
      host: '2001:db8::1',
      port: 6432,
      user: 'a@b',
      database: 'le dger',
    })
    expect(database.password?.reveal()).toBe('p/w d?')
    expect(inspect(database) + JSON.stringify(database)).not.toContain('p/w')
    expect(postgresName(database)).toBe('postgres://[2001:db8::1]:6432/le dger')
  })

  test.each([
    ['tls', 'postgres://u@db.example/l'],
    ['tls', 'postgres://u@db.example/l?sslmode=require'],
    ['tls', 'postgres://u@db.example/l?sslmode=verify-ca'],
    ['tls', 'postgres://u@db.example/l?sslmode=verify-full'],
    ['tls', 'postgres://u@localhost/l?sslmode=verify-full'],
    ['plain', 'postgres://u@localhost/l'],
    ['plain', 'postgres://u@127.0.0.1/l'],
    ['plain', 'postgres://u@[::1]/l?sslmode=disable'],
  ])('means %s in %s', (transport, url) => {
    expect(parsePostgresUrl(url)?.transport).toBe(transport)
  })

  test.each([
    'postgres://u@db.example/l?sslmode=disable',
    'postgres://u@db.example/l?sslmode=prefer',
    'postgres://u@db.example/l?sslmode=no-verify',
    'postgres://u@localhost/l?sslmode=prefer',
    'postgres://u@db.example/l?sslmode=verify-full&sslmode=disable',
    'postgres://u@db.example/l?options=-c%20synchronous_commit%3Doff',
    'postgres://u@db.example/l#sslmode=disable',
    'postgres://db.example/l',
    'postgres://u@db.example',
    'postgres://u@db.example/',
    'postgres://u@/l',
    'postgres://u:%zz@db.example/l',
    'mysql://u@db.example/l',
    './countersign.db',
    '',
  ])('is none in %j', (url) => {
    expect(parsePostgresUrl(url)).toBeUndefined()
  })

  test('is told from a path, however it is misspelt', () => {
    for (const url of ['postgres://u@h/l', 'Postgress://u:p@h/l', ' mysql://u@h/l']) {
      expect(isUrl(url), url).toBe(true)
    }
    for (const path of ['countersign.db', './a:b', '/run/secrets/url', 'C:\\ledger.db', '']) {
      expect(isUrl(path), path).toBe(false)
    }
  })
})
