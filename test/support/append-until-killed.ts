// A process that appends to the ledger named by its first argument until it is killed or an append is
// refused, from as many places at once as its second says. Each entry that was answered as durable is
// a line of the output, written before anything else happens.
import { writeSync } from 'node:fs'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import { startedEntry } from './entries.ts'

const [file = '', writers = '1'] = process.argv.slice(2)
const ledger = await createSqliteLedger({ file })

async function appendForever(writer: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const pair = [startedEntry(`${writer}-${count}-a`), startedEntry(`${writer}-${count}-b`)]
    await ledger.append(pair)
    writeSync(1, `${writer}-${count}-a\n${writer}-${count}-b\n`)
  }
}

try {
  await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => appendForever(writer)))
} catch (error) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'none'
  writeSync(2, `${code} healthy=${String(ledger.healthy())}\n`)
  await ledger.close()
}
