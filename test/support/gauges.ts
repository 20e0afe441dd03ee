import type { Gauges } from '../../src/telemetry/gauges.ts'

/** What the gauges of a service show that has just become ready, and has certificates of nobody. */
export const gaugesAtRest: Gauges = {
  cacheBytes: () => 0,
  cacheEntries: () => 0,
  unprovedSignatures: () => 0,
  rememberedRefusals: () => 0,
  rememberedCallerTokens: () => 0,
  ready: () => true,
  brokenGrants: () => 0,
  policyGeneration: () => 0,
  configurationInForce: () => true,
  folderInForce: () => true,
  exportBehindSeconds: () => 0,
  certificates: () => [],
}
