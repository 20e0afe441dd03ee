import { Command } from 'commander'
import { EnvironmentError } from '../config/environment.ts'
import { productVersion } from './product.ts'

interface Verb {
  /** Here, so that the list of verbs costs none of them. */
  readonly summary: string
  readonly load: () => Promise<Command>
}

/** Verbs and where they are; only the one that is asked for is loaded. */
const verbs: Readonly<Record<string, Verb>> = {
  serve: {
    summary: 'run the service',
    load: async () => (await import('./serve.ts')).serveCommand(),
  },
  check: {
    summary: 'report every problem of the configuration and its grants',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  diff: {
    summary: 'say who can do what that they could not do before',
    load: async () => (await import('./diff.ts')).diffCommand(),
  },
  explain: {
    summary: 'say why a caller may have something, or why not',
    load: async () => (await import('./explain.ts')).explainCommand(),
  },
  grants: {
    summary: 'list the grants and when each was last used',
    load: async () => (await import('./grants.ts')).grantsCommand(),
  },
  token: {
    summary: 'ask the service for an access token',
    load: async () => (await import('./token.ts')).tokenCommand(),
  },
  assertion: {
    summary: 'ask the service for a fresh client assertion',
    load: async () => (await import('./assertion.ts')).assertionCommand(),
  },
  agent: {
    summary: 'give programs of this machine the managed identity endpoints that they know',
    load: async () => (await import('./agent.ts')).agentCommand(),
  },
  revoke: {
    summary: 'stop a caller, grant, issuer, application, tenant or key version',
    load: async () => (await import('./revoke.ts')).revokeCommand(),
  },
  probe: {
    summary: 'check what a running service must grant and must refuse',
    load: async () => (await import('./probe.ts')).probeCommand(),
  },
  reconcile: {
    summary: "account for every signature in the vault's log",
    load: async () => (await import('./reconcile.ts')).reconcileCommand(),
  },
  attempt: {
    summary: 'tell the story of one attempt from all logs',
    load: async () => (await import('./attempt.ts')).attemptCommand(),
  },
  witness: {
    summary: 'follow a ledger for an auditor, sign its heads too, and raise the alarm',
    load: async () => (await import('./witness.ts')).witnessCommand(),
  },
  ledger: {
    summary: 'verify, show, export or prune a ledger, prepare one in PostgreSQL, or move one there',
    load: async () => (await import('./ledger.ts')).ledgerCommand(),
  },
  emulate: {
    summary: 'start a small Azure on loopback: Key Vault, Entra ID, issuers, managed identity',
    load: async () => (await import('./emulate.ts')).emulateCommand(),
  },
  demo: {
    summary: 'show the three users what they get, on loopback',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
}

const program = new Command('countersign')
  .description(
    "Exchanges a caller's identity for a cross-tenant Entra access token, signing with a key that never leaves Azure Key Vault.",
  )
  .version(productVersion())
  .showHelpAfterError('Run "countersign --help" to see what there is.')

const [first, second] = process.argv.slice(2)
const asked = first === 'help' ? second : first
for (const [name, { summary, load }] of Object.entries(verbs)) {
  const verb = name === asked ? await load() : new Command(name)
  program.addCommand(verb.summary(summary))
}
try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error
  program.error(`countersign: ${error.message}`)
}
