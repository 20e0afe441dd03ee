// Emits dist/ from nothing each time: the program with all that it imports in a few files, because finding
// and reading a thousand small ones is half of a start and a fifth of the memory, and no Node strips types
// below node_modules; the licences of what is inside; declarations; and the library. What a verb does not use stays in
// files of its own, the emulator among it, so that an image can leave it out.
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { rolldown } from 'rolldown'
import { leanModules } from './lean-modules.ts'

rmSync('dist', { recursive: true, force: true })
emitDeclarations()
const folders = await emitProgram()
await emitLibrary()
cpSync('src/emulator/default-world.yaml', 'dist/program/default-world.yaml')
writeFileSync('dist/licences.txt', folders.toSorted().map(licenceIn).join('\n'))

function emitDeclarations(): void {
  const { status } = spawnSync('node_modules/.bin/tsc', ['--project', 'tsconfig.build.json'], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}

/** @returns The folders of the packages that are inside. */
async function emitProgram(): Promise<readonly string[]> {
  await using bundle = await rolldown({
    input: {
      countersign: 'src/cli/countersign.ts',
      'sqlite-ledger-worker': 'src/ledger/sqlite-ledger-worker.ts',
      'chain-worker': 'src/ledger/chain-worker.ts',
      'report-worker': 'src/report-worker.ts',
    },
    platform: 'node',
    // A driver in C that `pg` does without.
    external: ['pg-native'],
    plugins: [leanModules()],
    // Nobody here sends forms. The SDKs look for them in every request, and by the first look Node loads
    // its own fetch, for a tenth of a start and several megabytes.
    transform: { define: { FormData: 'undefined' } },
    onLog: (_level, { code, message }) => {
      throw new Error(`${code ?? ''}: ${message}`)
    },
  })
  const { output } = await bundle.write({
    dir: 'dist/program',
    // Names of classes are in logs.
    keepNames: true,
    comments: false,
    // One letter beyond Latin-1 doubles what the whole file takes in memory.
    minify: {
      compress: false,
      mangle: false,
      codegen: { removeWhitespace: false, asciiOnly: true },
    },
  })
  const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
  return [...new Set(modules.flatMap(packageFolderOf))]
}

/** One file that needs nothing but Node, of any version that others still run, and that can be read. */
async function emitLibrary(): Promise<void> {
  await using bundle = await rolldown({
    input: { client: 'src/client/assertion-provider.ts' },
    platform: 'node',
    transform: { target: 'node20' },
  })
  await bundle.write({ dir: 'dist' })
}

/** Also of a package in a package. */
function packageFolderOf(module: string): readonly string[] {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module) ?? []
}

function licenceIn(folder: string): string {
  const { name, version, license } = JSON.parse(
    readFileSync(`${folder}/package.json`, 'utf8'),
  ) as Readonly<Record<string, string>>
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one))
  const text = file === undefined ? '' : `\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
  return `${name} ${version}: ${license}\n${text}`
}
