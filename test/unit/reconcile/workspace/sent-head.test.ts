import { expect, test } from 'vitest'
import { sentHeadForm } from '../../../../src/reconcile/workspace/sent-head.ts'

const row = {
  TimeGenerated: '2026-11-22T04:56:16.0000000Z',
  Deployment: 'https://countersign.contoso.example',
  Sequence: 1204,
  Kind: 'head.signed',
  Entry: '{"head":"header.payload.signature","kind":"head.signed","sequence":1201}',
}

test('a row says whose head it is, and which', () => {
  expect(sentHeadForm.recordFrom(row)).toEqual({
    kind: 'sent-head',
    timeMs: Date.parse('2026-11-22T04:56:16Z'),
    deployment: 'https://countersign.contoso.example',
    sequence: 1204,
    head: 'header.payload.signature',
  })
})

test.each([
  ['has no time', { TimeGenerated: '' }],
  ['has no number', { Sequence: null }],
  ['is cut, or made up', { Entry: '{"head":"header.payl' }],
  ['is of an entry without a head', { Entry: '{"head":1}' }],
])('a row that %s is none', (_, different) => {
  expect(sentHeadForm.recordFrom({ ...row, ...different })).toMatchObject({
    kind: 'not-understood',
  })
})

test('a row that does not say whose it is is nobody’s', () => {
  expect(sentHeadForm.recordFrom({ ...row, Deployment: null })).toMatchObject({ deployment: '' })
})
