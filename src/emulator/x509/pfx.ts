import { createHmac, hash, randomBytes } from 'node:crypto'
import {
  explicitTag,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  setOfOne,
  smallInteger,
} from './der.ts'

const dataType = objectIdentifier('1.2.840.113549.1.7.1')
const keyBagType = objectIdentifier('1.2.840.113549.1.12.10.1.1')
const certBagType = objectIdentifier('1.2.840.113549.1.12.10.1.3')
const x509Type = objectIdentifier('1.2.840.113549.1.9.22.1')
const localKeyIdType = objectIdentifier('1.2.840.113549.1.9.21')
const sha256Algorithm = sequence(objectIdentifier('2.16.840.1.101.3.4.2.1'), nullValue)

/**
 * A PFX (RFC 7292) of one private key and its certificate, under the empty password, as a vault's
 * secret has it. The bags are not encrypted: an empty password would hide nothing.
 *
 * @param privateKey PKCS #8, DER.
 */
export function pfxFrom(privateKey: Buffer, certificate: Buffer): Buffer {
  const localKeyId = setOfOne(
    sequence(localKeyIdType, setOfOne(octetString(hash('sha256', certificate, 'buffer')))),
  )
  const certBag = sequence(x509Type, explicitTag(0, octetString(certificate)))
  const contents = sequence(
    sequence(keyBagType, explicitTag(0, privateKey), localKeyId),
    sequence(certBagType, explicitTag(0, certBag), localKeyId),
  )
  const authenticatedSafe = sequence(dataContent(contents))
  return sequence(smallInteger(3), dataContent(authenticatedSafe), macData(authenticatedSafe))
}

const dataContent = (bytes: Buffer) => sequence(dataType, explicitTag(0, octetString(bytes)))

const macIterations = 2048

function macData(authenticatedSafe: Buffer): Buffer {
  const salt = randomBytes(16)
  const mac = createHmac('sha256', macKey(salt)).update(authenticatedSafe).digest()
  return sequence(
    sequence(sha256Algorithm, octetString(mac)),
    octetString(salt),
    smallInteger(macIterations),
  )
}

/**
 * The integrity key of RFC 7292 §B.2 with SHA-256, purpose 3. Its output fits one hash, so the loop
 * over further blocks is not needed; the empty password is the two zero bytes of its terminator.
 */
function macKey(salt: Buffer): Buffer {
  const blockBytes = 64
  const repeated = (bytes: Buffer) => Buffer.alloc(blockBytes, bytes)
  let key = Buffer.concat([Buffer.alloc(blockBytes, 3), repeated(salt), repeated(Buffer.alloc(2))])
  for (let i = 0; i < macIterations; i += 1) key = hash('sha256', key, 'buffer')
  return key
}
