import { parentPort } from 'node:worker_threads'
import type { ChainFault } from './chain.ts'
import { walkPortion } from './chain-portion.ts'

/** The thread that checks the chain of a ledger while its entries are read in another; it ends when it is told. */

/** A portion to be checked; its memory is not written to until it is answered. */
export interface PortionToCheck {
  readonly memory: SharedArrayBuffer
  readonly rows: number
  /** Of its first row. */
  readonly place: number
}

/** In the order in which the portions came. */
export interface PortionChecked {
  readonly memory: SharedArrayBuffer
  /** The first of the portion; absent: all of it continues the chain. */
  readonly found?: PlacedFault
}

/** A fault, and the place of its row among all: what its sequence says is part of the fault. */
export interface PlacedFault {
  readonly place: number
  readonly fault: ChainFault
}

if (parentPort === null) throw new TypeError('this file runs as a worker thread')
const port = parentPort
port.on('message', ({ memory, rows, place }: PortionToCheck) => {
  const found = firstFault(memory, rows, place)
  const checked: PortionChecked = { memory, ...(found === undefined ? {} : { found }) }
  port.postMessage(checked)
})

function firstFault(
  memory: SharedArrayBuffer,
  rows: number,
  from: number,
): PlacedFault | undefined {
  let place = from
  for (const { fault } of walkPortion(memory, rows)) {
    if (fault !== undefined) return { place, fault }
    place += 1
  }
  return undefined
}
