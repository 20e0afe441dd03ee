import { z } from 'zod'

/**
 * What could not be proven about the real Key Vault and its logs, one switch each. The defaults are the likeliest;
 * whoever learns better, or must be safe either way, turns a switch instead of patching the emulator.
 */
export const unconfirmedSchema = z.strictObject({
  /** Which operation the audit record of an unauthenticated request names: the one asked for, or `Authentication`. */
  operationNameOf401: z.enum(['target', 'Authentication']).default('target'),
  /** Whether `requestUri` in records shows the query decoded, or as the client sent it (`api%2Dversion`). */
  requestUriQuery: z.enum(['decoded', 'as-sent']).default('decoded'),
  /** Whether records of failed requests carry `properties.id`. */
  idOnFailure: z.enum(['present', 'absent']).default('present'),
  /** `clientInfo` is cut to so many characters; 0 leaves it whole. */
  clientInfoCharactersMax: z.int().min(0).default(0),
  /** Which hour's blob takes a record: the one of the event, or the one in which it is written. */
  blobHour: z.enum(['event', 'delivery']).default('event'),
  /** `innererror.code` of operations that the state of the key forbids; an empty text leaves it out. */
  innerErrorKeyDisabled: z.string().default('KeyDisabled'),
  innerErrorKeyExpired: z.string().default('KeyExpired'),
  innerErrorKeyNotYetValid: z.string().default('KeyNotYetValid'),
  /** Seen in 2020: Azure/azure-sdk-for-net#11518. */
  innerErrorKeyOperation: z.string().default('KeyOperationForbidden'),
  /** How far outside nbf and exp a key still signs: the documentation speaks of a few minutes. */
  keyTimeLeewaySeconds: z.int().min(0).default(0),
  /** Whether a refused request spends budget: the documentation says both. */
  throttledRequests: z.enum(['counted', 'not-counted']).default('counted'),
  /** What the secret of a certificate with a non-exportable key is: refused, or the certificate alone. */
  nonExportableSecret: z.enum(['refused', 'certificate-only']).default('refused'),
  /**
   * Where a query of Log Analytics finds `SEM0100` when it names what is not there: as the innermost error, or in the
   * text of a detail. Reports of users show both.
   */
  unresolvedName: z.enum(['nested', 'in-text']).default('nested'),
})

export type Unconfirmed = z.output<typeof unconfirmedSchema>
