import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { answerText } from '../../../src/cli/answer-output.ts'

const answer = { access_token: 'eyJ.a_b-c', token_type: 'Bearer', expires_in: 300 }

describe('an answer', () => {
  test('is the one thing that is wanted, or the whole of it as JSON', () => {
    expect(answerText('raw', answer, answer.access_token)).toBe('eyJ.a_b-c')
    expect(JSON.parse(answerText('json', answer, ''))).toEqual(answer)
  })

  test('is a line for each member, of which plain ones stay as they are', () => {
    expect(answerText('env', answer, '')).toBe(
      'COUNTERSIGN_ACCESS_TOKEN=eyJ.a_b-c\nCOUNTERSIGN_TOKEN_TYPE=Bearer\nCOUNTERSIGN_EXPIRES_IN=300',
    )
  })

  test.each(["it's", 'a b', '$(id)', '`id`', 'a\nb=c', '"', ';id', '', "'; id; '"])(
    'never makes a shell do anything but set it: %j',
    (said) => {
      const lines = answerText('env', { said }, '')
      const script = `eval "$LINES_OF_IT"\nprintf '%s|' "$COUNTERSIGN_SAID"`
      const { stdout, stderr } = spawnSync('/bin/sh', ['-c', script], {
        env: { LINES_OF_IT: lines, PATH: '/nowhere' },
        encoding: 'utf8',
      })
      expect([stdout, stderr]).toEqual([`${said}|`, ''])
    },
  )
})
