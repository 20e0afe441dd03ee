import { describe, expect, test } from 'vitest'
import {
  environmentFrom,
  environmentVariables,
  environmentVariablesOfLibraries,
  EnvironmentError,
  pastProxies,
  secretsFrom,
  withoutIdentity,
} from '../../../src/config/environment.ts'
import { readSourceFiles } from '../../support/source-files.ts'

describe('the environment', () => {
  test('says where the configuration is, or leaves it where it usually is', () => {
    expect(environmentFrom({ COUNTERSIGN_CONFIG: '/etc/c.yaml' }).configFile).toBe('/etc/c.yaml')
    expect(environmentFrom({}).configFile).toBe('countersign.yaml')
  })

  test('counts a variable that is set to nothing as absent', () => {
    expect(environmentFrom({ COUNTERSIGN_CONFIG: ' ', COUNTERSIGN_TOKEN: '' })).toEqual(
      environmentFrom({}),
    )
  })

  test('takes a level of the log in any case, and refuses one that is none', () => {
    expect(environmentFrom({ COUNTERSIGN_LOG_LEVEL: 'Debug' }).logLevel).toBe('debug')
    expect(() => environmentFrom({ COUNTERSIGN_LOG_LEVEL: 'loud' })).toThrow(EnvironmentError)
    const unverified = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    expect(() => environmentFrom(unverified)).toThrow(/TLS is always verified/)
    expect(() => environmentFrom({ NODE_TLS_REJECT_UNAUTHORIZED: '1' })).not.toThrow()
  })

  test('never repeats the value that it refuses', () => {
    expect(() => environmentFrom({ COUNTERSIGN_LOG_LEVEL: 'eyJhbGciOi' })).not.toThrow(/eyJ/)
    expect(() => environmentFrom({ COUNTERSIGN_LOG_LEVEL: 'eyJhbGciOi' })).toThrow(
      /COUNTERSIGN_LOG_LEVEL must be one of/,
    )
  })

  test('wraps tokens, so that they cannot be printed', () => {
    const { caller } = environmentFrom({
      COUNTERSIGN_TOKEN: 'eyJ-caller',
      ACTIONS_ID_TOKEN_REQUEST_URL: 'https://ci.example/token',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'eyJ-runner',
    })
    expect(JSON.stringify(caller)).not.toContain('eyJ')
    expect(caller.token?.reveal()).toBe('eyJ-caller')
    expect(caller.githubActions?.requestToken.reveal()).toBe('eyJ-runner')
  })

  test('says which of its values are secrets, those that only the SDKs read too', () => {
    const secrets = secretsFrom({
      IDENTITY_ENDPOINT: 'http://127.0.0.1:1/token',
      IDENTITY_HEADER: 'the header',
      COUNTERSIGN_TOKEN: ' the token ',
      AZURE_CLIENT_SECRET: '',
    })
    expect(secrets.map((secret) => secret.reveal())).toEqual(['the token', 'the header'])
    expect(JSON.stringify(secrets)).not.toContain('the')
  })

  test('is a GitHub Actions job only with both of its variables', () => {
    const url = { ACTIONS_ID_TOKEN_REQUEST_URL: 'https://ci.example/token' }
    expect(environmentFrom(url).caller.githubActions).toBeUndefined()
  })

  test('names the identity that reaches the vaults', () => {
    expect(environmentFrom({ AZURE_CLIENT_ID: 'a' }).identityClientId).toBe('a')
    expect(environmentFrom({}).identityClientId).toBeUndefined()
  })

  test.each([
    [{}, '127.0.0.1,localhost', '127.0.0.1,localhost'],
    [{ NO_PROXY: 'a.example, b.example' }, 'a.example,b.example,127.0.0.1,localhost', undefined],
    [{ no_proxy: 'a.example' }, 'a.example,127.0.0.1,localhost', undefined],
    [
      { NO_PROXY: 'a.example', no_proxy: 'b.example' },
      'a.example,127.0.0.1,localhost',
      'b.example,127.0.0.1,localhost',
    ],
    [{ NO_PROXY: 'localhost,127.0.0.1' }, 'localhost,127.0.0.1', undefined],
    [{ NO_PROXY: '*' }, '*', undefined],
  ])('keeps what goes past proxies, and adds the agent: %o', (variables, upper, lower = upper) => {
    expect(pastProxies(variables, '127.0.0.1')).toEqual({ NO_PROXY: upper, no_proxy: lower })
  })

  test('of a program has no identity but what it is given, and all else', () => {
    const left = withoutIdentity({
      PATH: '/bin',
      AZURE_CLIENT_SECRET: 'x',
      AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential',
      ARM_CLIENT_SECRET: 'x',
      ARM_OIDC_REQUEST_TOKEN: 'x',
      AZURESUBSCRIPTION_SERVICE_CONNECTION_ID: 'x',
      MSI_SECRET: 'x',
      SYSTEM_ACCESSTOKEN: 'x',
    })
    expect(Object.entries(left).filter(([, value]) => value !== undefined)).toEqual([
      ['PATH', '/bin'],
    ])
  })

  test('is listed once, and read in one file', () => {
    const ours = Object.keys(environmentVariables)
    const theirs = Object.keys(environmentVariablesOfLibraries)
    expect(new Set([...ours, ...theirs]).size).toBe(ours.length + theirs.length)
    const readers = readSourceFiles('src/**/*.ts').filter(({ text }) =>
      text.includes('process.env'),
    )
    expect(readers.map(({ path }) => path)).toEqual(['src/config/environment.ts'])
  })
})
