import { X509Certificate } from 'node:crypto'

/** The certificates of a PEM text, as they stand in it (RFC 7468 §5). */
export const certificateBlocksIn = (text: string) => [
  ...text.matchAll(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g),
]

/** @throws Error of OpenSSL for a text that was checked before and is damaged now. */
export const certificatesIn = (text: string): readonly X509Certificate[] =>
  certificateBlocksIn(text).map(([block]) => new X509Certificate(block))
