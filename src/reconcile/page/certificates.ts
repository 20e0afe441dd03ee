import type { CertificateView, ReportView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import {
  code,
  distanceText,
  momentFrom,
  momentOf,
  notKnown,
  numberText,
  section,
  timeOf,
} from './page-words.ts'
import { symbol } from './symbols.ts'
import type { Tone } from './symbols.ts'
import { table } from './table.ts'

const rowsMax = 200
/** A turn-over takes people days where one waits for them. */
const soonMs = 30 * 24 * 3_600_000

/** Which certificates signed, and which of those in use ends next. */
export function certificatesPart({ certificates, nowMs }: ReportView): Html {
  const title = 'Certificates'
  if (certificates === undefined) {
    return section('certificates', title, notKnown('The ledger was not read for them.'))
  }
  if (certificates.length === 0) {
    return section('certificates', title, notKnown('The ledger names no certificate.'))
  }
  return section(
    'certificates',
    title,
    nextExpiry(certificates, nowMs),
    table({
      caption:
        'Certificates that the ledger says were proven with their keys, the first to end first',
      columns: [
        'Certificate',
        'Ends (UTC)',
        'Since (UTC)',
        'Signatures',
        'Last (UTC)',
        'Key version and thumbprint',
      ],
      rows: certificates
        .slice(0, rowsMax)
        .map((certificate) => [
          html`${certificate.name}${certificate.place === 'standby' ? ', standby' : ''}`,
          momentFrom(certificate.notAfterMs, nowMs),
          momentOf(certificate.sinceMs),
          numberText(certificate.signatures),
          certificate.lastSignatureMs === undefined
            ? 'none'
            : momentOf(certificate.lastSignatureMs),
          html`${code(certificate.keyId)}
            <span class="of">SHA-256 ${code(certificate.thumbprintSha256)}</span>`,
        ]),
      numbers: [3],
    }),
  )
}

/** Of those that are not over: an old version that has ended is nobody's worry. */
function nextExpiry(certificates: readonly CertificateView[], nowMs: number): Html {
  const valid = certificates.filter(({ notAfterMs }) => notAfterMs > nowMs)
  const [next] = valid.toSorted((one, other) => one.notAfterMs - other.notAfterMs)
  if (next === undefined) {
    return html`<p class="next bad">
      ${symbol('bad')} Every certificate has ended: nothing can be signed for Entra.
    </p>`
  }
  const tone: Tone = next.notAfterMs - nowMs < soonMs ? 'unsure' : 'good'
  return html`<p class="next ${tone}">
    ${symbol(tone)}
    <span
      >Next to end: <strong>${next.name}</strong>, ${timeOf(next.notAfterMs)}
      (${distanceText(next.notAfterMs, nowMs)}).</span
    >
  </p>`
}
