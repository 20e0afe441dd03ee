import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { findCallerToken } from '../../../src/cli/caller-token.ts'
import type { CallerEnvironment } from '../../../src/config/environment.ts'
import { startMadeUpServer } from '../../support/made-up-server.ts'

const tokenIn = (
  file: string | undefined,
  environment: CallerEnvironment = {},
  audience?: string,
) => {
  const publicUrl = 'https://countersign.contoso.example'
  const asked = audience === undefined ? { publicUrl } : { publicUrl, audience }
  return findCallerToken(file, asked, environment)
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-token-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('the file of a caller token', () => {
  test('has it, without the line break behind it', async () => {
    const file = join(folder, 'token')
    writeFileSync(file, 'eyJ.own.token\n')
    expect((await tokenIn(file)).reveal()).toBe('eyJ.own.token')
    expect((await tokenIn(undefined, { tokenFile: file })).reveal()).toBe('eyJ.own.token')
  })

  test.each([
    ['short enough for the name of a file', 'eyJ.eve-was-here.x'],
    ['too long for one', `eyJ.eve-was-here.${'x'.repeat(5000)}`],
  ])('is not repeated where it is the token itself, %s', async (_, token) => {
    for (const asked of [tokenIn(token), tokenIn(undefined, { tokenFile: token })]) {
      const error = await asked.catch((reason: unknown) => reason)
      expect(String(error)).toMatch(/--token-file or COUNTERSIGN_TOKEN_FILE cannot be read/)
      expect(String(error)).not.toContain('eve-was-here')
    }
  })
})

describe('a job of Azure Pipelines', () => {
  const azurePipelines = {
    requestUrl: 'https://vstoken.example/oidctoken',
    requestToken: new Secret('system-access-token'),
  }

  test('is told to say which service connection it is', async () => {
    await expect(tokenIn(undefined, { azurePipelines })).rejects.toThrow(
      'set AZURESUBSCRIPTION_SERVICE_CONNECTION_ID',
    )
  })

  test('is told that it cannot choose its audience, before anything is sent', async () => {
    const asked: string[] = []
    const platform = await startMadeUpServer((request, response) => {
      asked.push(request.url ?? '')
      response.end(JSON.stringify({ oidcToken: 'eyJ.of.all' }))
    })
    const environment = {
      azurePipelines: { ...azurePipelines, requestUrl: `${platform.origin}/oidctoken` },
      serviceConnection: '77777777-0000-4000-8000-000000000001',
    }
    const told = tokenIn(undefined, environment, 'https://countersign.contoso.example')
    await expect(told).rejects.toThrow(
      '--audience cannot be had in Azure Pipelines, which give tokens for api://AzureADTokenExchange',
    )
    expect(asked).toEqual([])
    const given = [
      await tokenIn(undefined, environment),
      await tokenIn(undefined, environment, 'api://AzureADTokenExchange'),
    ]
    expect(given.map((token) => token.reveal())).toEqual(['eyJ.of.all', 'eyJ.of.all'])
    expect(asked).toEqual(
      Array(2).fill(
        '/oidctoken?api-version=7.1&serviceConnectionId=77777777-0000-4000-8000-000000000001',
      ),
    )
    await platform.close()
  })

  test('sends what it shows its platform nowhere in plain text', async () => {
    const environment = {
      azurePipelines: { ...azurePipelines, requestUrl: 'http://vstoken.example/oidctoken' },
      serviceConnection: '77777777-0000-4000-8000-000000000001',
    }
    await expect(tokenIn(undefined, environment)).rejects.toThrow(
      'SYSTEM_OIDCREQUESTURI must be https',
    )
  })
})

test('without a token, and outside of all platforms, the caller is told where it may be', async () => {
  const told = tokenIn(undefined)
  for (const name of [
    '--token-file',
    'COUNTERSIGN_TOKEN',
    'id-token: write',
    'SYSTEM_ACCESSTOKEN',
  ]) {
    await expect(told).rejects.toThrow(name)
  }
})
