import { Command } from 'commander'
import { EnvironmentError } from '../config/environment.ts'
import { productVersion } from './product.ts'

/** Verbs and where they are; only the one that is asked for is loaded. */
const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serveCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  explain: async () => (await import('./explain.ts')).explainCommand(),
  token: async () => (await import('./token.ts')).tokenCommand(),
  assertion: async () => (await import('./assertion.ts')).assertionCommand(),
  reconcile: async () => (await import('./reconcile.ts')).reconcileCommand(),
  ledger: async () => (await import('./ledger.ts')).ledgerCommand(),
  emulate: async () => (await import('./emulate.ts')).emulateCommand(),
  demo: async () => (await import('./demo.ts')).demoCommand(),
}

const program = new Command('countersign')
  .description(
    "Exchanges a caller's identity for a cross-tenant Entra access token, signing with a key that never leaves Azure Key Vault.",
  )
  .version(productVersion())
  .showHelpAfterError('Run "countersign --help" to see what there is.')

const asked = verbs[process.argv[2] ?? '']
for (const load of asked === undefined ? Object.values(verbs) : [asked]) {
  program.addCommand(await load())
}
try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error
  program.error(`countersign: ${error.message}`)
}
