import tls from 'node:tls'

/**
 * Lets this process trust one more CA by default, for clients that take no CA of their own. Lasts until
 * the process ends, which for a test file is the end of the file.
 */
export function trustByDefault(caPem: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates(), caPem])
}
