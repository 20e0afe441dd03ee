import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { roundStateFile } from '../../../../src/reconcile/rounds/round-state-file.ts'
import { noRounds } from '../../../../src/reconcile/rounds/round-state.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-state-'))
  file = join(folder, 'reconciled')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe('the state of whoever keeps watch', () => {
  test('is nobody’s where there is no file, and what was saved where there is one', async () => {
    const state = roundStateFile(file)
    expect(await state.load()).toEqual(noRounds)
    const next = { ...noRounds, ledger: 'ledger', decidedUntilMs: 7 }
    await state.save(next)
    expect(await roundStateFile(file).load()).toEqual(next)
    expect(readdirSync(folder)).toEqual(['reconciled'])
  })

  test('is as it was when a save was cut off, whatever that left behind', async () => {
    const next = { ...noRounds, ledger: 'ledger' }
    await roundStateFile(file).save(next)
    writeFileSync(`${file}.new`, '{"version":1,"led')
    const again = roundStateFile(file)
    expect(await again.load()).toEqual(next)
    await again.save(noRounds)
    expect(await roundStateFile(file).load()).toEqual(noRounds)
  })

  test('is not written over by one of two that keep watch with it', async () => {
    const [one, other] = [roundStateFile(file), roundStateFile(file)]
    await one.load()
    await other.load()
    await one.save({ ...noRounds, ledger: 'one' })
    await expect(other.save({ ...noRounds, ledger: 'other' })).rejects.toMatchObject({
      code: 'STATE_OF_ANOTHER',
    })
    await one.save({ ...noRounds, ledger: 'one again' })
    expect((await roundStateFile(file).load()).ledger).toBe('one again')
  })

  test.each(['', 'not JSON', '{"version":2}'])('%j is not taken for none', async (text) => {
    writeFileSync(file, text)
    await expect(roundStateFile(file).load()).rejects.toMatchObject({
      code: 'STATE_NOT_UNDERSTOOD',
    })
  })

  test('takes the place of nothing that is no ordinary file', async () => {
    mkdirSync(file)
    const state = roundStateFile(file)
    await expect(state.save(noRounds)).rejects.toMatchObject({ code: 'STATE_OF_ANOTHER' })
    await expect(state.load()).rejects.toMatchObject({ code: 'STATE_UNREADABLE' })
    await expect(state.save(noRounds)).rejects.toMatchObject({ code: 'STATE_UNWRITABLE' })
  })
})
