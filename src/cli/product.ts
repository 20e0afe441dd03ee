import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Files that travel with the program lie two folders up, from source and from the build alike. */
export const fileOf = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))

/** What starts the command line, on whichever Node. */
export const launcher = fileOf('bin/countersign.js')

/** `openapi.yaml`, which the service publishes. */
export const contractFile = fileOf('openapi.yaml')

/** Version of the package, such as `0.1.0`. */
export function productVersion(): string {
  const manifest = JSON.parse(readFileSync(fileOf('package.json'), 'utf8')) as { version: string }
  return manifest.version
}
