import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

/** A file of ours, and what it imports. */
export interface SourceFile {
  /** From the root of the repository: `src/signer/signer.ts`. */
  readonly path: string
  readonly text: string
  /** Files of ours, from the root; dynamic imports included. */
  readonly imports: readonly string[]
  /** Packages and built-in modules, as written. */
  readonly packages: readonly string[]
}

export function readSourceFiles(pattern: string): readonly SourceFile[] {
  return globSync(pattern, { cwd: root }).sort().map(readSourceFile)
}

function readSourceFile(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8')
  const specifiers = [
    ...text.matchAll(
      /(?:^|\n)(?:import|export)\s[^'"\n;]*?(?:\{[^}]*\}[^'"\n;]*?)?from\s+'([^']+)'/g,
    ),
    ...text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g),
    ...text.matchAll(/(?:^|\n)import\s+'([^']+)'/g),
  ].map((match) => match[1] ?? '')
  const ours = specifiers.filter((specifier) => specifier.startsWith('.'))
  return {
    path,
    text,
    imports: ours.map((specifier) => relative(root, resolve(root, dirname(path), specifier))),
    packages: specifiers.filter((specifier) => !specifier.startsWith('.')),
  }
}

/** `src/signer/signer.ts` → `signer`; files directly in `src` stand for themselves: `main.ts`. */
export function roomOf(path: string): string {
  return path.split('/')[1] ?? path
}
