import { type KeyObject, X509Certificate } from 'node:crypto'
import { type AnsweringVault, startAnsweringVault } from './answering-vault.ts'

/**
 * A vault on loopback that holds one certificate, `c`, with the DER that a real one gave; what is said
 * of its key is what the product demands.
 *
 * @param cer Base64 of the DER.
 */
export function startRecordedVault(cer: string): Promise<AnsweringVault> {
  const { publicKey } = new X509Certificate(Buffer.from(cer, 'base64'))
  return startAnsweringVault((path, url) => ({
    body: path.startsWith('/keys/') ? keyBundle(url, publicKey) : certificateBundle(url, cer),
  }))
}

const version = '7e38eb9c8b554567aaf9966a7bbc0764'
const attributes = { enabled: true, nbf: 1_631_560_467, exp: 1_663_097_067, hsmPlatform: '2' }

const certificateBundle = (url: string, cer: string) => ({
  id: `${url}/certificates/c/${version}`,
  kid: `${url}/keys/c/${version}`,
  sid: `${url}/secrets/c/${version}`,
  cer,
  attributes,
  policy: {
    id: `${url}/certificates/c/policy`,
    key_props: { exportable: false, kty: 'RSA-HSM', key_size: 2048, reuse_key: false },
  },
})

const keyBundle = (url: string, publicKey: KeyObject) => {
  const { n, e } = publicKey.export({ format: 'jwk' })
  const kid = `${url}/keys/c/${version}`
  return { key: { kid, kty: 'RSA-HSM', key_ops: ['sign', 'verify'], n, e }, attributes }
}
