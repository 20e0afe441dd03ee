import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { certificateBlocksIn } from '../base/pem-certificates.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { type CallerAuthorities, checkCallerAuthorities } from './caller-authorities.ts'
import { readNamedFile, type NamedFiles } from './named-files.ts'

/**
 * Reads the certificates and the key that `listen`, `trust` and issuers name, so that none of them is found
 * wanting only after the service has begun to start. Nothing of a key is kept.
 *
 * @param folder Where relative paths start.
 */
export async function checkPemFiles(
  root: YamlPart,
  folder: string,
  nowSeconds: number,
  namedFiles: NamedFiles,
): Promise<void> {
  const read = (part: YamlPart) => readNamedFile(part, folder, namedFiles, 'pem-file')
  for (const [, part] of root.at('trust').at('caFiles').parts()) {
    await checkAuthorityFile(part, folder, namedFiles)
  }
  const cas: CallerAuthorities[] = []
  for (const [issuer, part] of root.at('issuers').maps()) {
    if (part.at('kind').value !== 'mtls') continue
    const caFile = part.at('caFile')
    cas.push({ issuer, caFile, certificates: certificatesOf(caFile, await read(caFile)) ?? [] })
  }
  checkCallerAuthorities(cas, nowSeconds)
  const tls = root.at('listen').at('tls')
  await checkKeyPair(tls.at('certFile'), tls.at('keyFile'), folder, namedFiles)
}

/** Reads a file of roots that a part names, if it names one. */
export async function checkAuthorityFile(
  caFile: YamlPart,
  folder: string,
  namedFiles: NamedFiles,
): Promise<void> {
  certificatesOf(caFile, await readNamedFile(caFile, folder, namedFiles, 'pem-file'))
}

/** Reads a certificate and its key, and says when they do not belong together. Nothing of the key is kept. */
export async function checkKeyPair(
  certFile: YamlPart,
  keyFile: YamlPart,
  folder: string,
  namedFiles: NamedFiles,
): Promise<void> {
  const read = (part: YamlPart) => readNamedFile(part, folder, namedFiles, 'pem-file')
  const [leaf] = certificatesOf(certFile, await read(certFile)) ?? []
  const publicKey = checkKey(keyFile, await read(keyFile))
  if (leaf === undefined || publicKey === undefined || leaf.publicKey.equals(publicKey)) return
  keyFile.report(
    'key-of-another-certificate',
    `\`${keyFile.name}\` is not the key of the first certificate in \`${certFile.name}\`: name the two that belong together, the service's own certificate first.`,
  )
}

/** Those of a file whose certificates are all sound. */
function certificatesOf(
  part: YamlPart,
  text: string | undefined,
): readonly X509Certificate[] | undefined {
  if (text === undefined) return undefined
  const blocks = certificateBlocksIn(text)
  if (blocks.length === 0) {
    part.report('no-certificate', `The file of \`${part.name}\` must be PEM with a certificate.`)
  }
  const certificates = blocks.map(([block]) => sound(() => new X509Certificate(block)))
  const broken = blocks[certificates.indexOf(undefined)]
  if (broken === undefined) return certificates.filter((one) => one !== undefined)
  const line = text.slice(0, broken.index).split('\n').length
  part.report(
    'broken-certificate',
    `The certificate in line ${line} of the file of \`${part.name}\` is damaged: put it there again, or remove it.`,
  )
  return undefined
}

/** The public part, which is enough to tell whose key it is. */
function checkKey(part: YamlPart, text: string | undefined): KeyObject | undefined {
  if (text === undefined) return undefined
  const [block] = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^]*?-----END \1-----/.exec(text) ?? []
  const publicKey = block === undefined ? undefined : sound(() => createPublicKey(block))
  if (publicKey === undefined) {
    part.report(
      'no-key',
      `The file of \`${part.name}\` must be PEM with a private key that has no passphrase.`,
    )
  }
  return publicKey
}

/** What OpenSSL says of a text that it cannot parse is nothing that an operator could use. */
function sound<Parsed>(parse: () => Parsed): Parsed | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
