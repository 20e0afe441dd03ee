import { expect, test } from 'vitest'
import { isSharedAudience } from '../../../src/config/shared-audience.ts'

test.for([
  'api://AzureADTokenExchange',
  'api://azureadtokenexchange',
  'api://AzureADTokenExchangeUSGov',
  'api://AzureADTokenExchangeChina',
  'fb60f99c-7a34-4190-8149-302f77469936',
  'https://github.com/contoso',
  'https://github.com/contoso/',
  'https://contoso.ghe.com/platform',
  'https://gitlab.com',
  'https://buildkite.com/contoso',
  'https://vercel.com/contoso',
  'https://kubernetes.default',
  'https://kubernetes.default.svc:443',
  'k3s',
  'rke2',
  'sts.amazonaws.com.cn',
  '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
  'https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
  'vault',
  'vault.io',
  'consul.io',
  'vault.workload.identity',
  'aws.workload.identity',
  'pypi',
  'npm:packages.contoso.example',
  'https://management.usgovcloudapi.net',
  'https://graph.microsoft.us/',
  'https://vault.azure.net',
  '00000003-0000-0000-c000-000000000000',
  '797F4846-BA00-4FD7-BA43-DAC1F8F63013',
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
  'https://kubernetes.defaults.example',
  'https://contoso.ghe.com/platform/countersign',
  'https://countersign.vercel.com',
  'https://vault.contoso.example',
  'vault-broker',
  'https://countersign.k3s.example',
  'sts.amazonaws.com.contoso.example',
  '33333333-0000-4000-8000-000000000003',
])('%s can be ours alone', (audience) => {
  expect(isSharedAudience(audience)).toBe(false)
})

test("an issuer's own URL is the audience of all its tokens", () => {
  const url = 'https://gitlab.contoso.example'
  expect(isSharedAudience(url, url)).toBe(true)
  expect(isSharedAudience(`${url}/`, url)).toBe(true)
  expect(isSharedAudience(url, 'https://other.example')).toBe(false)
})

test("an owner's URL is the audience of all tokens of its GitHub server", () => {
  const issuer = 'https://github.contoso.example/_services/token'
  expect(isSharedAudience('https://github.contoso.example/platform', issuer)).toBe(true)
  expect(isSharedAudience('https://github.contoso.example/platform/', issuer)).toBe(true)
  expect(isSharedAudience('https://github.contoso.example/platform/broker', issuer)).toBe(false)
  expect(isSharedAudience('https://github.contoso.example.evil/platform', issuer)).toBe(false)
  expect(isSharedAudience('https://other.example/platform', issuer)).toBe(false)
})
