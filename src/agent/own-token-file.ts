import { readTextFile } from '../base/text-file.ts'
import { Secret } from '../base/secret.ts'
import { parseOwnToken, type WorkloadIdentity } from './workload-identity.ts'

/** A file that the platform keeps fresh, such as a projected token of Kubernetes; read at each use. */
export function ownTokenFile(file: string): WorkloadIdentity {
  return {
    token: async () => {
      const reading = await readTextFile(file)
      if (!reading.ok) throw new Error(`the token file cannot be used. ${reading.fault}`)
      return new Secret(parseOwnToken(reading.text, 'the token file'))
    },
  }
}
