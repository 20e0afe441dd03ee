import {
  claim,
  lose,
  newId,
  replace,
  signInLine,
  someTime,
  stranger,
  takeAct,
  us,
  userAgentOf,
  vaultLine,
} from './story.ts'
import type { Random, Story, VaultLine } from './story.ts'

/** Does something to a story that an auditor has to be told, and writes down what. */
type Injection = (story: Story, random: Random) => void

const hour = 3_600_000
const expectFinding = (story: Story, kind: string, id: string) =>
  story.expected.add(`${kind} ${id}`)

function rogueSignature(
  story: Story,
  random: Random,
  changes: Parameters<typeof vaultLine>[2],
): void {
  const id = newId()
  story.vaultLines.push(vaultLine(someTime(story, random), id, changes))
  expectFinding(story, 'sign.unexplained', id)
}

function changedLine(
  story: Story,
  random: Random,
  kind: string,
  change: (line: VaultLine) => VaultLine,
): void {
  const act = takeAct(story, random)
  if (act === undefined) return
  replace(story.vaultLines, act.line, [change(act.line)])
  expectFinding(story, kind, act.requestId)
}

const withProperties = (line: VaultLine, changes: object): VaultLine => ({
  ...line,
  properties: { ...(line['properties'] as object), ...changes },
})

function doneToKey(
  story: Story,
  random: Random,
  kind: string,
  operationName: string,
  id: string,
): void {
  const requestId = newId()
  story.vaultLines.push(vaultLine(someTime(story, random), requestId, { operationName, id }))
  expectFinding(story, kind, requestId)
}

export const injections: Readonly<Record<string, Injection>> = {
  'signed directly, by our identity': (story, random) => {
    rogueSignature(story, random, {})
  },
  'signed directly, by another': (story, random) => {
    rogueSignature(story, random, { oid: stranger, userAgent: 'curl/8.5.0' })
  },
  'signed with a copied User-Agent': (story, random) => {
    const act = takeAct(story, random)
    if (act !== undefined) rogueSignature(story, random, { userAgent: userAgentOf(act.nonce) })
  },
  'signed with the id of an attempt': (story, random) => {
    rogueSignature(story, random, { userAgent: `countersign/0.1.0 (attempt ${newId()})` })
  },
  'signed by another with the nonce of a lost reply': (story, random) => {
    const lost = lose(story, someTime(story, random), 0, random)
    const id = newId()
    const userAgent = userAgentOf(lost.nonce)
    story.vaultLines.push(vaultLine(lost.atMs + 5000, id, { userAgent, oid: stranger }))
    expectFinding(story, 'sign.unexplained', id)
  },
  // Nobody can tell which of the two is ours: the first is assumed, and the other is not.
  'signed by us with the nonce of a lost reply': (story, random) => {
    const lost = lose(story, someTime(story, random), 0, random)
    const id = newId()
    const userAgent = userAgentOf(lost.nonce)
    story.vaultLines.push(vaultLine(lost.atMs + 5000, id, { userAgent }))
    expectFinding(story, lost.wasMade ? 'sign.unexplained' : 'sign.assumed', id)
  },
  'an innocent digest recorded for the signature of somebody else': (story, random) => {
    changedLine(story, random, 'sign.foreign-identity', (line) => ({
      ...line,
      identity: { claim: { oid: stranger } },
    }))
  },
  'signed from another network': (story, random) => {
    changedLine(story, random, 'sign.unexpected-address', (line) => ({
      ...line,
      callerIpAddress: '198.51.100.7',
    }))
  },
  'signed with another algorithm': (story, random) => {
    changedLine(story, random, 'sign.differs', (line) =>
      withProperties(line, { algorithm: 'RS256' }),
    )
  },
  'signed with another version of the key': (story, random) => {
    changedLine(story, random, 'sign.differs', (line) =>
      withProperties(line, { id: `${us.key}/${'f'.repeat(32)}` }),
    )
  },
  'signed directly, and claimed afterwards': (story, random) => {
    const id = newId()
    const atMs = someTime(story, random)
    story.vaultLines.push(vaultLine(atMs, id))
    claim(story, atMs + 300_000, id, random)
    expectFinding(story, 'sign.differs', id)
  },
  'two signatures under one id': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    story.vaultLines.push(vaultLine(act.atMs + 2_000_000, act.requestId))
    expectFinding(story, 'sign.repeated', act.requestId)
  },
  'somebody else refused': (story, random) => {
    const id = newId()
    story.vaultLines.push(vaultLine(someTime(story, random), id, { oid: stranger, status: 403 }))
    expectFinding(story, 'sign.refused-elsewhere', id)
  },
  'a record deleted': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    replace(story.vaultLines, act.line, [])
    expectFinding(story, 'sign.unrecorded', act.requestId)
  },
  'the secret read': (story, random) => {
    doneToKey(story, random, 'key.exposed', 'SecretGet', us.key.replace('/keys/', '/secrets/'))
  },
  'the key backed up': (story, random) => {
    doneToKey(story, random, 'key.exposed', 'KeyBackup', us.key)
  },
  'the key rotated': (story, random) => {
    doneToKey(story, random, 'key.changed', 'KeyRotate', us.key)
  },
  'a role changed': (story, random) => {
    doneToKey(story, random, 'key.changed', 'VaultPatch', `https://${us.vault}/`)
  },
  'a rogue credential, and its use': (story, random) => {
    const [auditId, signInId] = [newId(), newId()]
    const atMs = someTime(story, random)
    story.audits.push({
      id: auditId,
      activityDateTime: new Date(atMs).toISOString(),
      activityDisplayName: 'Update application – Certificates and secrets management ',
      result: 'success',
      initiatedBy: { user: { userPrincipalName: 'mallory@contoso.example' } },
      targetResources: [{ id: 'object', type: 'Application', modifiedProperties: [] }],
      additionalDetails: [{ key: 'AppId', value: us.clientId }],
    })
    const rogue = { servicePrincipalCredentialThumbprint: 'AB'.repeat(20) }
    story.signIns.push(signInLine(atMs + 60_000, signInId, rogue))
    expectFinding(story, 'application.changed', auditId)
    expectFinding(story, 'signin.foreign-credential', signInId)
  },
  'a secret used': (story, random) => {
    const id = newId()
    const secret = {
      servicePrincipalCredentialThumbprint: '',
      servicePrincipalCredentialKeyId: newId(),
    }
    story.signIns.push(signInLine(someTime(story, random), id, secret))
    expectFinding(story, 'signin.foreign-credential', id)
  },
  'signed in with our certificate in another tenant': (story, random) => {
    const id = newId()
    story.signIns.push(signInLine(someTime(story, random), id, { resourceTenantId: 'other' }))
    expectFinding(story, 'signin.unexplained', id)
  },
  'signed a moment ago': (story) => {
    story.vaultLines.push(vaultLine(story.nowMs - 60_000, newId(), { oid: stranger }))
    count(story, 'record-too-young', 1)
  },
}

function count(story: Story, reason: string, by: number): void {
  story.undecided.set(reason, (story.undecided.get(reason) ?? 0) + by)
}

/** An hour of the log that was never delivered; only where nothing else happened in it. */
export function loseAnHour(story: Story, random: Random): void {
  const act = takeAct(story, random)
  if (act === undefined) return
  const start = Math.floor(act.atMs / hour) * hour
  // Not at an edge, where a clock that differs decides to which hour a record belongs.
  if (act.atMs - start < 120_000 || start + hour - act.atMs < 120_000) return
  const timeOf = (line: VaultLine) => Date.parse(line.time)
  const isIn = (line: VaultLine) => timeOf(line) >= start && timeOf(line) < start + hour
  const lines = story.vaultLines.filter(isIn)
  const signs = lines.filter(({ operationName }) => operationName === 'KeySign')
  if (signs.length !== 1 || signs[0] !== act.line) return
  const others = lines.filter(({ operationName }) => operationName !== 'KeySign')
  if (others.some(({ operationName }) => operationName !== 'KeyGet')) return
  for (const line of lines) replace(story.vaultLines, line, [])
  // A record of the ledger without its line in that hour has no hour to be missed in either.
  const missing = [...story.expected].filter((one) => one.startsWith('sign.unrecorded'))
  for (const one of missing) {
    const requestId = one.split(' ')[1]
    const made = story.entries.find((entry) => entry['vaultRequestId'] === requestId)
    if (made !== undefined && Math.floor(made.atMs / hour) * hour === start) {
      story.expected.delete(one)
      count(story, 'hour-not-delivered', 1)
    }
  }
  count(story, 'hour-not-delivered', 1)
}
