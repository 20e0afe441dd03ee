import { readFileSync } from 'node:fs'
import tls from 'node:tls'

/**
 * From now on this process trusts the operator's own roots, besides those that Node brings;
 * verification is never turned off.
 *
 * @param caFiles PEM files.
 */
export function trustAlso(caFiles: readonly string[]): void {
  if (caFiles.length === 0) return
  const added = caFiles.map((file) => readFileSync(file, 'utf8'))
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...added])
}
