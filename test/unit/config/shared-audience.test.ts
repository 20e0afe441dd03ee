import { expect, test } from 'vitest'
import { isSharedAudience } from '../../../src/config/shared-audience.ts'

test.for([
  'api://AzureADTokenExchange',
  'api://azureadtokenexchange',
  'api://AzureADTokenExchangeUSGov',
  'https://github.com/contoso',
  'https://github.com/contoso/',
  'https://gitlab.com',
  'https://kubernetes.default.svc',
  'https://kubernetes.default.svc.cluster.local',
  'kubernetes.default.svc',
  'sts.amazonaws.com',
  'sigstore',
  'https://management.azure.com/',
  'https://graph.microsoft.com',
])('%s is in tokens for others too', (audience) => {
  expect(isSharedAudience(audience)).toBe(true)
})

test.for([
  'https://countersign.contoso.example',
  'api://countersign',
  'https://github.com/contoso/countersign',
  'https://github.com.contoso.example',
  'https://kubernetes.default.svcs.example',
  '33333333-0000-4000-8000-000000000003',
])('%s can be ours alone', (audience) => {
  expect(isSharedAudience(audience)).toBe(false)
})

test("an issuer's own URL is the audience of all its tokens", () => {
  const url = 'https://gitlab.contoso.example'
  expect(isSharedAudience(url, url)).toBe(true)
  expect(isSharedAudience(url, 'https://other.example')).toBe(false)
})
