import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { CallerIssuer } from '../issuers/caller-issuers.ts'
import { mintOrderSchema } from '../issuers/mint-order.ts'
import type { WorldFederatedCredential } from '../world.ts'

/** A pod with workload identity: its service account's token is in a file that the kubelet keeps fresh. */
export interface Pod {
  readonly tokenFile: string
  /** Removes it, with its folder. */
  close(): void
}

/** What the webhook of AKS asks for, and when a kubelet takes another one. */
const tokenSeconds = 3600
const freshSeconds = 0.8 * tokenSeconds
const lookEveryMs = 1000

export async function startPod(
  folder: string,
  issuer: CallerIssuer,
  { subject, audience }: WorldFederatedCredential,
  clock: EmulatorClock,
): Promise<Pod> {
  const tokenFile = join(folder, 'azure-identity-token')
  let writtenAtSeconds = 0
  let isClosed = false
  let isWriting = false
  const write = async () => {
    const atSeconds = clock.nowSeconds()
    const order = { audience, lifetimeSeconds: tokenSeconds, claims: { sub: subject } }
    const token = await issuer.mint(mintOrderSchema.parse(order))
    if (isClosed) return
    // Whole whenever it is read.
    writeFileSync(`${tokenFile}.next`, token, { mode: 0o600 })
    renameSync(`${tokenFile}.next`, tokenFile)
    writtenAtSeconds = atSeconds
  }
  const look = async () => {
    if (isWriting || Math.abs(clock.nowSeconds() - writtenAtSeconds) <= freshSeconds) return
    isWriting = true
    try {
      await write()
    } finally {
      isWriting = false
    }
  }
  mkdirSync(folder, { recursive: true })
  await write()
  const looking = setInterval(() => {
    // The file that is there stays, and another one is tried for in a second.
    look().catch(() => undefined)
  }, lookEveryMs)
  looking.unref()
  return {
    tokenFile,
    close: () => {
      isClosed = true
      clearInterval(looking)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
