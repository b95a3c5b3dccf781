import test from 'ava'
import { toOAuthProblem, toProblem } from '../../src/door/problem.ts'
import { type ErrorCode, GatewayError } from '../../src/errors.ts'

const words: Partial<Record<ErrorCode, string>> = {
  invalid_request: 'invalid_request',
  invalid_client: 'invalid_client',
  invalid_grant: 'invalid_grant',
  invalid_scope: 'invalid_scope',
  unsupported_grant_type: 'unsupported_grant_type',
  invalid_token: 'invalid_token',
  insufficient_scope: 'insufficient_scope',
  payload_too_large: 'invalid_request',
  unsupported_media_type: 'invalid_request',
  method_not_allowed: 'invalid_request',
  not_found: 'invalid_request',
  too_many_requests: 'temporarily_unavailable',
  database_unavailable: 'temporarily_unavailable',
  token_state_unknown: 'temporarily_unavailable',
  internal_error: 'server_error',
}

for (const [code, word] of Object.entries(words) as [ErrorCode, string][]) {
  test(`to an OAuth client ${code} is ${word}`, (t) => {
    const error = new GatewayError(code, { detail: 'What happened.' })
    t.deepEqual(toOAuthProblem(error, 'id-1'), {
      ...toProblem(error, 'id-1'),
      error: word,
      error_description: 'What happened.',
    })
  })
}

test('without a detail the title describes the error to an OAuth client', (t) => {
  t.is(toOAuthProblem(new GatewayError('invalid_grant'), 'id-1').error_description, 'Invalid grant')
})

test('error_description holds no character that RFC 6749 does not allow', (t) => {
  const error = new GatewayError('invalid_request', { detail: 'a "quote", a \\, a\nline, 한' })
  t.is(toOAuthProblem(error, 'id-1').error_description, "a 'quote', a ', a'line, '")
  t.is(toOAuthProblem(error, 'id-1').detail, error.detail)
})
