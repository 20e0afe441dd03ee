import {
  claim,
  lose,
  newId,
  proofEntry,
  replace,
  signedByKey,
  signInLine,
  someTime,
  stranger,
  takeAct,
  us,
  userAgentOf,
  vaultLine,
} from './story.ts'
import type { Act, Random, Story, VaultLine } from './story.ts'

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

/** A signature of theirs by our identity, that the ledger was made to claim at its time. */
function rogueClaim(
  story: Story,
  random: Random,
  because: string,
  claimed: Parameters<typeof claim>[4] = {},
  atMs = someTime(story, random),
) {
  const id = newId()
  story.vaultLines.push(vaultLine(atMs + 30, id))
  expectFinding(story, `sign.unproved(${because})`, id)
  return { atMs, ...claim(story, atMs, id, random, claimed) }
}

/** Whoever says that the vault's answer was no good need not prove what was signed. */
function sayItFailed(story: Story, { made, proof, requestId }: Act): void {
  const failed = {
    kind: 'signature.failed',
    atMs: made.atMs,
    signature: made['signature'],
    code: 'SIGNER_WRONG_SIGNATURE',
    applied: 'unknown',
    vaultRequestId: requestId,
  }
  replace(story.entries, made, [failed])
  replace(story.entries, proof, [])
}

/** What the ledger has published of it. */
const provedBy = ({ begun, proof }: Act) => ({
  signingInput: String(proof['signingInput']),
  value: Buffer.from(String(proof['signatureValue']), 'base64url'),
  exp: Number(begun['expiresAtSeconds']),
})

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

const certificatesAndSecrets = 'Update application – Certificates and secrets management '

/** Of our application, and what they change is told: protocol page §5.6a. */
const auditOf = (atMs: number, activityDisplayName: string, changes: object = {}) => ({
  id: newId(),
  activityDateTime: new Date(atMs).toISOString(),
  activityDisplayName,
  result: 'success',
  initiatedBy: { user: { userPrincipalName: 'mallory@contoso.example' } },
  targetResources: [{ id: 'object', type: 'Application', modifiedProperties: [] }],
  additionalDetails: [{ key: 'AppId', value: us.clientId }],
  ...changes,
})

function changeApplication(...[story, ...change]: [Story, ...Parameters<typeof auditOf>]): void {
  const audit = auditOf(...change)
  story.audits.push(audit)
  expectFinding(story, 'application.changed', audit.id)
}

function signInAsUs(story: Story, atMs: number, credential: object): void {
  const id = newId()
  story.signIns.push(signInLine(atMs, id, credential))
  expectFinding(story, 'signin.foreign-credential', id)
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
  'an innocent digest recorded for a signature of ours that is none, and no proof': (
    story,
    random,
  ) => {
    rogueClaim(story, random, 'missing')
  },
  'the proof of another signature, used a second time': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    const { signingInput, value, exp } = provedBy(act)
    const claimed = { digestOf: signingInput, value, exp }
    const { atMs, signature } = rogueClaim(story, random, 'used-before', claimed, act.atMs + 2000)
    story.entries.push(proofEntry(atMs, signature, signingInput, value))
  },
  'the proof of a signature of another time': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    const { signingInput, value, exp } = provedBy(act)
    const claimed = { digestOf: signingInput, value, exp: exp + 1 }
    const { atMs, signature } = rogueClaim(story, random, 'of-another-time', claimed)
    story.entries.push(proofEntry(Math.max(atMs, act.atMs + 1), signature, signingInput, value))
  },
  'a proof taken out of the ledger before it was written': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    replace(story.entries, act.proof, [])
    expectFinding(story, 'sign.unproved(missing)', act.requestId)
  },
  'a process that ended before it could prove': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    const started = { kind: 'service.started', atMs: act.atMs + 300_000, version: '1' }
    replace(story.entries, act.proof, [started])
    expectFinding(story, 'sign.unproved(process-ended)', act.requestId)
  },
  'a signature of ours kept, and said to have failed': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    sayItFailed(story, act)
    expectFinding(story, 'sign.assumed', act.requestId)
  },
  'a signature of theirs, said to have failed as one of ours': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    sayItFailed(story, act)
    replace(story.vaultLines, act.line, [withProperties(act.line, { clientInfo: 'curl/8.5.0' })])
    expectFinding(story, 'sign.unexplained', act.requestId)
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
    expectFinding(story, 'sign.unproved(missing)', id)
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
  'the key released': (story, random) => {
    doneToKey(story, random, 'key.exposed', 'KeyRelease', us.key)
  },
  'the key of the heads rotated': (story, random) => {
    doneToKey(story, random, 'key.changed', 'KeyRotate', us.headsKey)
  },
  'signed with the key of the heads': (story, random) => {
    rogueSignature(story, random, { id: us.headsKeyId })
  },
  'a backup refused, and a key of another name read': (story, random) => {
    const atMs = someTime(story, random)
    const refused = { operationName: 'KeyBackup', id: us.key, status: 403 }
    const other = { operationName: 'SecretGet', id: `https://${us.vault}/secrets/other` }
    story.vaultLines.push(vaultLine(atMs, newId(), refused), vaultLine(atMs, newId(), other))
  },
  'a role changed': (story, random) => {
    doneToKey(story, random, 'key.changed', 'VaultPatch', `https://${us.vault}/`)
  },
  'a rogue credential, and its use': (story, random) => {
    const atMs = someTime(story, random)
    changeApplication(story, atMs, certificatesAndSecrets)
    signInAsUs(story, atMs + 60_000, { servicePrincipalCredentialThumbprint: 'AB'.repeat(20) })
  },
  'a federated credential added, and its use': (story, random) => {
    const atMs = someTime(story, random)
    changeApplication(story, atMs, 'Update application', {
      targetResources: [
        {
          id: 'object',
          type: 'Application',
          modifiedProperties: [
            { displayName: 'FederatedIdentityCredentials', oldValue: '[]', newValue: '[1]' },
          ],
        },
      ],
    })
    signInAsUs(story, atMs + 60_000, {
      servicePrincipalCredentialThumbprint: '',
      federatedCredentialId: newId(),
    })
  },
  'a secret added, and taken away again': (story, random) => {
    const atMs = someTime(story, random)
    changeApplication(story, atMs, certificatesAndSecrets)
    changeApplication(story, atMs + 600_000, certificatesAndSecrets)
  },
  'an owner added': (story, random) => {
    changeApplication(story, someTime(story, random), 'Add owner to application')
  },
  'an owner taken away': (story, random) => {
    changeApplication(story, someTime(story, random), 'Remove owner from application')
  },
  // Of another tenant's log, which knows the service principal alone.
  'an owner added to the service principal': (story, random) => {
    changeApplication(story, someTime(story, random), 'Add owner to service principal', {
      targetResources: [{ id: us.servicePrincipal, type: 'ServicePrincipal' }],
      additionalDetails: [],
    })
  },
  'a credential added to the service principal': (story, random) => {
    changeApplication(story, someTime(story, random), 'Add service principal credentials', {
      targetResources: [{ id: us.servicePrincipal, type: 'ServicePrincipal' }],
      additionalDetails: [],
    })
  },
  'an application changed that nobody names': (story, random) => {
    story.audits.push(
      auditOf(someTime(story, random), 'Add owner to application', { additionalDetails: [] }),
    )
    count(story, 'change-of-unknown-application', 1)
  },
  'changes that let nobody act as us': (story, random) => {
    const atMs = someTime(story, random)
    story.audits.push(
      auditOf(atMs, 'Update application', {
        targetResources: [
          {
            id: 'object',
            type: 'Application',
            modifiedProperties: [{ displayName: 'DisplayName', oldValue: '"a"', newValue: '"b"' }],
          },
        ],
      }),
      auditOf(atMs + 1000, 'Add owner to application', { result: 'failure' }),
      auditOf(atMs + 2000, 'Add owner to application', {
        additionalDetails: [{ key: 'AppId', value: '22222222-0000-4000-8000-000000000002' }],
      }),
    )
  },
  'a secret used': (story, random) => {
    signInAsUs(story, someTime(story, random), {
      servicePrincipalCredentialThumbprint: '',
      servicePrincipalCredentialKeyId: newId(),
    })
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

/** Proofs that do not hold whatever the logs say: whoever verifies the ledger alone finds them too. */
export const falseProofs: Readonly<Record<string, Injection>> = {
  'an innocent assertion published with the signature of something else': (story, random) => {
    const value = signedByKey('something else')
    const { atMs, signature, signingInput } = rogueClaim(story, random, 'does-not-verify', {
      value,
    })
    story.entries.push(proofEntry(atMs, signature, signingInput, value))
    story.falseProofs += 1
  },
  'a proof of what was not begun': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    const { signingInput } = provedBy(act)
    replace(story.entries, act.proof, [{ ...act.proof, signingInput: `${signingInput}x` }])
    expectFinding(story, 'sign.unproved(not-what-was-begun)', act.requestId)
    story.falseProofs += 1
  },
  'a proof with another signature than was made': (story, random) => {
    const act = takeAct(story, random)
    if (act === undefined) return
    const signatureValue = signedByKey(provedBy(act).signingInput).toString('base64url')
    replace(story.entries, act.proof, [{ ...act.proof, signatureValue }])
    expectFinding(story, 'sign.unproved(not-what-was-made)', act.requestId)
    story.falseProofs += 1
  },
}

function count(story: Story, reason: string, by: number): void {
  story.undecided.set(reason, (story.undecided.get(reason) ?? 0) + by)
}

/** None of them, or several; and now and then an hour of the log is lost. */
export function injectSome(from: typeof injections, story: Story, random: Random): void {
  const all = Object.values(from)
  const times = Math.floor(random() * 6)
  for (let time = 0; time < times; time += 1) {
    all[Math.floor(random() * all.length)]?.(story, random)
  }
  if (random() < 0.3) loseAnHour(story, random)
}

/**
 * An hour of the log that was never delivered; only where nothing is in it but what went well. The vault is silent
 * where a head was signed in it, and otherwise nobody can tell.
 */
function loseAnHour(story: Story, random: Random): void {
  for (let tried = 0; tried < 10; tried += 1) if (loseSomeHour(story, random)) return
}

/** False where something else is in the hour that was drawn. */
function loseSomeHour(story: Story, random: Random): boolean {
  const heads = story.heads.map(({ atMs, line }) => ({ atMs, line }))
  const times = [...story.untouched, ...heads].map(({ atMs }) => atMs)
  const start = hourOf(times[Math.floor(random() * times.length)] ?? 0) * hour
  // Not at an edge, where a clock that differs decides to which hour a record belongs.
  const isWithin = ({ atMs }: { readonly atMs: number }) =>
    atMs - start >= 120_000 && start + hour - atMs >= 120_000
  const acts = story.untouched.filter(isWithin)
  const lostHeads = heads.filter(isWithin)
  const known = new Set([...acts, ...lostHeads].map(({ line }) => line))
  const lines = story.vaultLines.filter(({ time }) => hourOf(Date.parse(time)) * hour === start)
  const isOrdinary = (line: VaultLine) => known.has(line) || line.operationName === 'KeyGet'
  if (known.size === 0 || !lines.every(isOrdinary)) return false
  if (![...known].every((line) => lines.includes(line))) return false
  for (const line of lines) replace(story.vaultLines, line, [])
  for (const act of acts) replace(story.untouched, act, [])
  if (lostHeads.length > 0) expectFinding(story, 'logs.silent', us.vault)
  // A record of the ledger without its line in that hour has no hour to be missed in either.
  const missing = [...story.expected].filter((one) => one.startsWith('sign.unrecorded'))
  const unrecorded = missing.filter((one) => {
    const made = story.entries.find((entry) => entry['vaultRequestId'] === one.split(' ')[1])
    return made !== undefined && hourOf(made.atMs) * hour === start
  })
  for (const one of unrecorded) story.expected.delete(one)
  const undecided = acts.length + unrecorded.length
  if (undecided > 0) count(story, 'hour-not-delivered', undecided)
  return true
}

const hourOf = (ms: number) => Math.floor(ms / hour)
