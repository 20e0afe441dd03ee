import type { RequestHandler } from 'express'
import type { DependencyState } from '../base/dependency-watch.ts'
import { jsonAnswer, writeAnswer } from './answer.ts'

/** What the service knows of itself. Reading it costs nothing and touches nobody. */
export interface Readiness {
  /** All certificates, or their standbys, proven, the ledger writable and with room, and not stopping. */
  ready(): boolean
  report(): {
    readonly certificates: 'proving' | 'proven'
    /** `full`: what is left of its disk is kept for what has begun. */
    readonly ledger: 'ok' | 'full' | 'failing'
    /** `degraded`: what `countersign.yaml` and its files say is not in force; what they said before is. */
    readonly configuration: 'ok' | 'degraded'
    /** `degraded`: files with an error grant nothing, or what is in force is not what it should be here. */
    readonly grants: 'ok' | 'degraded'
    /** Of the policy that replicas share; absent where none do. */
    readonly policy?: {
      /** 0 before there was any. */
      readonly generation: number
      /** `behind`: there is a newer one, which could not be put into force here. */
      readonly state: 'newest' | 'behind'
      /** What the folder of this replica says, beside it. */
      readonly folder: 'in-force' | 'differs' | 'unreadable'
    }
    /** Of this replica, without a say: what is issued is recorded without heads too. Absent: none are configured. */
    readonly heads?: DependencyState
    /** Likewise: whether each of them has the last head. */
    readonly anchors?: DependencyState
    /** Without a say, because what is not sent is kept. Absent: nothing is exported. */
    readonly export?: DependencyState
    readonly stopping: boolean
    /** Named, and without a say: what is cached is served while they are away. */
    readonly vault: DependencyState
    readonly entra: DependencyState
  }
}

/** `GET /healthz`: the process answers. */
export const healthRoute: RequestHandler = (_request, response) => {
  writeAnswer(response, jsonAnswer(200, { status: 'alive' }))
}

/** `GET /readyz` for anybody: 200 when requests may be sent here, 503 when not, and nothing else. */
export function readinessRoute(readiness: Readiness): RequestHandler {
  return (_request, response) => {
    const ready = readiness.ready()
    writeAnswer(response, jsonAnswer(ready ? 200 : 503, { ready }))
  }
}

/** The same for machines: the body says why. */
export function readinessReportRoute(readiness: Readiness): RequestHandler {
  return (_request, response) => {
    const ready = readiness.ready()
    writeAnswer(response, jsonAnswer(ready ? 200 : 503, { ready, ...readiness.report() }))
  }
}
