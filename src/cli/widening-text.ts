import { isoTimeFrom } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import type { ConfigStep, ConfigWidening } from '../config/config-widening.ts'
import type { CallerGain } from '../policy/caller-gains.ts'
import type { SharedPower } from '../policy/shared-powers.ts'
import type { GrantWidening, PowerReach, WideningStep } from '../policy/widening.ts'
import { counted, tenantsIn } from './counted.ts'
import { wantedText } from './explanation.ts'

/** What two configurations come to, compared. */
export interface Differences {
  readonly widened: Sides
  /** The same, looked at from the other side. */
  readonly narrowed: Sides
  /** What callers of several issuers share, and did not before. */
  readonly shared: readonly SharedPower[]
  /** Absent when no ledger is asked. */
  readonly callers?: LedgerCallers
}

/** What the widenings are to callers that a ledger names. */
export interface LedgerCallers {
  /** How many were looked at. */
  readonly seen: number
  /** There are more of them in the ledger. */
  readonly cut: boolean
  /** Those that gain something, or may. */
  readonly gaining: readonly GainingCaller[]
}

export interface GainingCaller {
  readonly issuer: string
  readonly subject: string
  readonly gains: readonly CallerGain[]
}

export interface Sides {
  readonly grants: readonly GrantWidening[]
  readonly configuration: readonly ConfigWidening[]
}

export const isNothing = ({ grants, configuration }: Sides) =>
  grants.length === 0 && configuration.length === 0

/** For people. */
export function differenceLines({
  widened,
  narrowed,
  shared,
  callers,
}: Differences): readonly string[] {
  const parts = widened.grants.length + widened.configuration.length
  return [
    isNothing(widened)
      ? 'NOTHING WIDENED: nobody can do what they could not do before.'
      : `WIDENED: ${counted(parts, 'part')} ${parts === 1 ? 'lets' : 'let'} callers do what they could not do before.`,
    ...widened.grants.flatMap(grantLines),
    ...widened.configuration.flatMap(({ part, steps }) => [
      part,
      ...steps.map((step) => `  ${configStepText(step)}`),
    ]),
    ...shared.map(
      ({ power, tenants, issuers }) =>
        `${power}: callers of ${issuers.join(' and ')} now share it in ${tenantsIn(tenants)}; powers that must be separate need separate applications.`,
    ),
    ...narrowedLines(narrowed),
    ...(callers === undefined ? [] : callerLines(callers)),
  ]
}

/** Enough to see who they are; programs are told all of them. */
const callersShownMax = 100

function callerLines({ seen, cut, gaining }: LedgerCallers): readonly string[] {
  const hidden = gaining.length - callersShownMax
  return [
    `Of ${counted(seen, 'caller')} in the ledger${cut ? ', the first that it names,' : ''} ${gaining.length} can or may newly do something.`,
    ...gaining
      .slice(0, callersShownMax)
      .flatMap(({ issuer, subject, gains }) => [
        `caller ${issuer} "${printable(subject, 200)}"`,
        ...gains.map((gain) => `  ${gainText(gain)}`),
      ]),
    ...(hidden > 0 ? [`and ${counted(hidden, 'other')}: --json names them`] : []),
  ]
}

function gainText({ grant, powers, ifClaims }: CallerGain): string {
  const what = powers.length === 0 ? 'what is listed above' : powers.map(powerText).join('; ')
  if (ifClaims.length === 0) return `gains by grant ${grant}: ${what}`
  const conditions = ifClaims.map((rule) => `${printable(rule.claim, 80)} is ${wantedText(rule)}`)
  return `may gain by grant ${grant}, if ${conditions.join(' and ')}: ${what}`
}

function narrowedLines(narrowed: Sides): readonly string[] {
  if (isNothing(narrowed)) return []
  const parts = [
    ...narrowed.grants.map(({ grant }) => `grant ${grant}`),
    ...narrowed.configuration.map(({ part }) => part),
  ]
  return [`Narrowed, or changed: ${parts.join(', ')}`]
}

const grantLines = ({ grant, steps, powers }: GrantWidening): readonly string[] => [
  `grant ${grant}`,
  ...steps.map((step) => `  ${stepText(step)}`),
  ...powers.map((power) => `  gives ${powerText(power)}`),
]

export const powerText = ({ power, tenants, lifetimeSeconds }: PowerReach) =>
  `${power} in ${tenantsIn(tenants)}${lifetimeSeconds === undefined ? '' : `, for ${lifetimeSeconds} s`}`

function stepText(step: WideningStep): string {
  switch (step.step) {
    case 'new-grant':
      return 'is new'
    case 'in-force':
      return 'was in dry-run, and is in force'
    case 'issuer':
      return `names callers of issuer ${step.to}, and named those of ${step.from}`
    case 'claim-removed':
      return `claim ${printable(step.claim, 80)} may be anything`
    case 'claim-widened':
      return `claim ${printable(step.claim, 80)} may also be ${wantedText({ anyOf: step.also })}`
    case 'until':
      return `ended at ${timeText(step.fromSeconds)}, and ${step.toSeconds === undefined ? 'never ends' : `ends at ${timeText(step.toSeconds)}`}`
    case 'limit':
      return `gave ${step.by === 'perMinute' ? '' : 'each caller '}${step.from} ${step.of}s a minute, and gives ${step.to ?? 'any number'}`
    case 'long-lived':
      return 'gives tokens of a day, which cannot be recalled'
    case 'isolate':
      return step.isolated ? 'has tokens of its own' : 'is served tokens that others have too'
    case 'lifetime':
      return `${step.power} lived ${step.from} s, and lives ${step.to} s`
    case 'permission':
      return `newly gives ${powerText(step)}`
    case 'other':
      return `${step.members.join(', ')}: changed, and which way is not known`
  }
}

const timeText = (seconds: number) => isoTimeFrom(seconds * 1000)

function configStepText(step: ConfigStep): string {
  switch (step.step) {
    case 'new':
      return 'is new'
    case 'tenants':
      return `lists ${tenantsIn(step.added)} besides`
    case 'hand-out':
      return 'hands out assertions'
    case 'claim-removed':
      return `does not require ${printable(step.claim, 80)} any more`
    case 'claim-widened':
      return `takes ${wantedText({ anyOf: step.also })} for ${printable(step.claim, 80)} too`
    case 'shared-audience':
      return 'accepts tokens that were meant for others too'
    case 'audience':
      return `takes tokens for ${step.to}, and took those for ${step.from}`
    case 'algorithms':
      return `takes ${step.added.join(', ')} besides`
    case 'max-token-seconds':
      return `takes tokens of ${step.to} s, and took those of ${step.from} s`
    case 'changed':
      return `${step.members.join(', ')}: changed, and which way is not known`
  }
}
