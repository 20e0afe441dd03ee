import { z } from 'zod'
import { identityForm, serviceForm } from '../agent/agent-form.ts'
import { guidPattern, oneOf, parsed, text, wholeNumber } from '../../yaml/forms.ts'
import { cloudForm } from '../cloud.ts'
import { expectForm, keyUrlForm, parseGuid } from '../expect.ts'
import { sourcesForm } from '../reconcile.ts'
import { vaultKeyForm } from '../vault-key.ts'

const fileForm = text('the path of a file')

/** In a vault that neither the service nor its operator may sign in. */
export const witnessVaultKeyForm = vaultKeyForm.extend({
  credential: oneOf(['managed-identity', 'workload-identity'])
    .default('managed-identity')
    .describe('How the witness reaches the vault.'),
  cloud: cloudForm,
})

const clientIdForm = parsed('the client id (a GUID) of an application', parseGuid, guidPattern)

/** What the ledger is held to besides. */
export const reconcileForm = z.strictObject({
  sources: sourcesForm,
  vaultLog: z
    .array(text('the path of a file or folder'), { error: 'a list of files and folders' })
    .min(1, { error: 'a list of at least one file or folder' })
    .default([])
    .describe("More of the vault's audit log, in files; the short form of `sources`."),
  credential: oneOf(['managed-identity', 'workload-identity'])
    .default('managed-identity')
    .describe("How the witness reaches a workspace: its own identity, never the service's."),
  cloud: cloudForm,
  keys: z
    .array(keyUrlForm, { error: 'a list of URLs of keys' })
    .default([])
    .describe('Keys to watch besides those in the ledger, which may have been emptied.'),
  applications: z
    .array(clientIdForm, { error: 'a list of client ids' })
    .default([])
    .describe('Client ids of applications to watch besides those that sign-ins show.'),
  everySeconds: wholeNumber(60, 604_800)
    .default(3600)
    .describe('Seconds from one run to the next.'),
  graceMinutes: wholeNumber(0, 10_080).default(30).describe('How late records may arrive.'),
})

/** `witness.yaml` as an auditor may write it: the source of its JSON Schema and of every default. */
export const witnessForm = z.strictObject({
  service: serviceForm
    .exactOptional()
    .describe('The service whose ledger is followed: it answers who may read (`audit: read`).'),
  identity: identityForm
    .exactOptional()
    .describe("How the witness proves who it is: the auditor's own identity, never the service's."),
  ledger: text('a ledger: a file, or a file that holds the URL of a database')
    .exactOptional()
    .describe('In place of `service`: the ledger itself, for a witness that may read it there.'),
  ledgerId: text('the id of a ledger, 43 characters as ledger verify prints it', /^[\w-]{43}$/)
    .exactOptional()
    .describe('Which ledger it is; absent: the one that is seen first.'),
  headKeys: z
    .array(fileForm, { error: 'a list of files, each with a public key as PEM or as a JWK' })
    .min(1, { error: 'a list of at least one file with a public key' })
    .describe('Public keys of the heads, from the vault and not from the service.'),
  key: z
    .union([fileForm, witnessVaultKeyForm], {
      error: 'the path of a PEM file, or a key of a vault as { vault: URL, name: NAME }',
    })
    .describe(
      'What the witness signs with, and neither the service nor its operator can: a PEM file with a private key, Ed25519 or RSA, or a key of a vault of its own.',
    ),
  store: fileForm.describe('What the witness has seen: a file of its own.'),
  anchors: z
    .array(
      z.strictObject({ file: fileForm.describe('JSON Lines, best on a volume of its own.') }),
      {
        error: 'a list of places, each as { file: PATH }',
      },
    )
    .min(1, { error: 'a list of at least one place, as { file: PATH }' })
    .describe('Where heads that were witnessed are kept: files that are appended to.'),
  everySeconds: wholeNumber(1, 3600).default(30).describe('Seconds from one look to the next.'),
  headEverySeconds: wholeNumber(10, 86_400)
    .default(60)
    .describe('Seconds from one head to the next, as `heads.everySeconds` of the service says.'),
  silentAfterHeads: wholeNumber(2, 1000)
    .default(5)
    .describe('Heads that may be missing before the feed is silent.'),
  expect: expectForm,
  reconcile: reconcileForm
    .exactOptional()
    .describe(
      "Joins the ledger to Azure's logs again and again: absent where they are not at hand.",
    ),
  metricsFile: fileForm
    .exactOptional()
    .describe('Written after each look, in the text form of Prometheus.'),
})

export type WitnessForm = z.output<typeof witnessForm>
