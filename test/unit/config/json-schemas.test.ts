import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { jsonSchemas } from '../../../scripts/write-schemas.ts'
import { configurationFixtures } from '../../support/configuration-fixtures.ts'
import { required } from '../../support/required.ts'

const root = resolve(import.meta.dirname, '../../..')
const schemas = await jsonSchemas()
const schemaOf = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as object
const ajv = new Ajv({ strict: true, strictRequired: false })
const configValidator = ajv.compile(schemaOf('schemas/countersign.schema.json'))
const grantValidator = ajv.compile(schemaOf('schemas/grant.schema.json'))

const read = (file: string): unknown => parse(readFileSync(file, 'utf8'))
const grantsIn = (folder: string) =>
  globSync('{grants,permissions}/*.{yaml,yml}', { cwd: folder }).map((file) => join(folder, file))

describe('the JSON Schemas that editors use', () => {
  test.for(schemas)('$path is what the definitions say: run npm run schemas', ({ path, text }) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(text)
  })

  test.for(schemas)('$path says what it is and describes every setting', ({ path }) => {
    const schema = schemaOf(path)
    expect(schema).toMatchObject({
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: expect.any(String) as string,
      description: expect.any(String) as string,
    })
    const settings = settingsIn(schema)
    expect(settings.length).toBeGreaterThan(10)
    expect(settings.filter(([, setting]) => !isDescribed(setting)).map(([name]) => name)).toEqual(
      [],
    )
  })

  test.for(configurationFixtures('valid'))('accept the valid $name', ({ folder }) => {
    expect(configValidator(read(join(folder, 'countersign.yaml')))).toBe(true)
    for (const file of grantsIn(folder)) expect(grantValidator(read(file))).toBe(true)
  })

  test.for([
    'settings-of-a-later-version',
    'settings-are-misspelt',
    'the-port-is-out-of-range',
    'there-are-no-applications',
    'a-client-id-is-a-name',
    'an-issuer-is-of-no-kind',
    'entra-has-an-issuer-url',
  ])('refuse %s', (name) => {
    expect(configValidator(read(join(invalid(name), 'countersign.yaml')))).toBe(false)
  })

  test.for([
    'a-grant-gives-scopes-and-assertion',
    'a-grant-has-no-claims',
    'a-pattern-has-no-star',
    'an-assertion-lives-too-long',
    'a-scope-is-a-permission',
  ])('refuse the grant of %s', (name) => {
    expect(grantValidator(read(join(invalid(name), 'grants/orders.yaml')))).toBe(false)
  })
})

const invalid = (name: string) =>
  required(configurationFixtures('invalid').find((one) => one.name === name)).folder

/** Every property of every object in a schema; `kind` tells its siblings apart and explains itself. */
function settingsIn(schema: unknown): readonly (readonly [string, unknown])[] {
  if (typeof schema !== 'object' || schema === null) return []
  const properties: unknown = Reflect.get(schema, 'properties') ?? {}
  const own = Object.entries(properties as object) as [string, unknown][]
  const below = Object.values(schema).flatMap((part) => settingsIn(part))
  return [...own.filter(([name]) => name !== 'kind'), ...below]
}

const isDescribed = (setting: unknown) =>
  typeof setting === 'object' && setting !== null && 'description' in setting
