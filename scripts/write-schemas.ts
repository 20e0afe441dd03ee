// Writes the JSON Schemas of countersign.yaml, of grant files, of agent.yaml and of witness.yaml, with which editors
// complete and check them, and of what is posted to webhooks, from the same definitions that they are read with.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { z } from 'zod'
import { agentForm } from '../src/config/agent/agent-form.ts'
import { configForm } from '../src/config/config-form.ts'
import { witnessForm } from '../src/config/witness/witness-form.ts'
import { grantForm } from '../src/policy/grant-form.ts'
import { findingBodyForm } from '../src/reconcile/rounds/finding-body.ts'

const root = resolve(import.meta.dirname, '..')

const described = [
  {
    path: 'schemas/countersign.schema.json',
    form: configForm,
    title: 'countersign.yaml',
    description: 'Configuration of Countersign. `countersign check` says what a schema cannot.',
  },
  {
    path: 'schemas/grant.schema.json',
    form: grantForm,
    title: 'Grant of Countersign',
    description: 'What one kind of caller may have. `countersign check` says what a schema cannot.',
  },
  {
    path: 'schemas/agent.schema.json',
    form: agentForm,
    title: 'agent.yaml',
    description:
      "Configuration of Countersign's agent. `countersign agent --check` says what a schema cannot.",
  },
  {
    path: 'schemas/witness.schema.json',
    form: witnessForm,
    title: 'witness.yaml',
    description:
      "Configuration of an auditor's witness. `countersign witness --check` says what a schema cannot.",
  },
  {
    path: 'schemas/finding-event.schema.json',
    form: findingBodyForm,
    title: 'Event of countersign reconcile --watch',
    description: 'What is posted to a webhook: a finding is new, or was resolved.',
  },
]

/** Path from the root of the repository, and the text that belongs there. */
export async function jsonSchemas(): Promise<readonly { path: string; text: string }[]> {
  const style = await resolveConfig(join(root, 'package.json'))
  return Promise.all(
    described.map(async ({ path, form, title, description }) => {
      // Draft 7 is the one that YAML editors know best.
      const { $schema, ...schema } = z.toJSONSchema(form, { io: 'input', target: 'draft-7' })
      const whole = { $schema, title, description, ...schema }
      return { path, text: await format(JSON.stringify(whole), { ...style, parser: 'json' }) }
    }),
  )
}

if (import.meta.main) {
  for (const { path, text } of await jsonSchemas()) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
    console.log(path)
  }
}
