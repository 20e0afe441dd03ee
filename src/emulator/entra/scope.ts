import { passed, refused, type Checked } from './refusal.ts'

/** RFC 6749 §3.3: scope tokens are printable ASCII without quote and backslash, parted by spaces. */
const scopeText = /^[\x21\x23-\x5b\x5d-\x7e]+( +[\x21\x23-\x5b\x5d-\x7e]+)*$/
const defaultSuffix = '/.default'

/** The resource in a scope that names one resource and asks for its `.default`. */
export function parseDefaultScope(scope: string): Checked<string> {
  if (!scopeText.test(scope)) {
    return refused(
      70011,
      "The provided request must include a 'scope' input parameter. The provided value for the " +
        `input parameter 'scope' is not valid. The scope ${scope} is not valid.`,
    )
  }
  const [first = '', ...others] = scope.split(/ +/)
  if ([first, ...others].some((one) => !one.endsWith(defaultSuffix) || one === defaultSuffix)) {
    return refused(
      1002012,
      `The provided value for scope ${scope} is not valid. Client credential flows must have a ` +
        'scope value with /.default suffixed to the resource identifier (application ID URI).',
    )
  }
  if (others.length > 0) {
    return refused(
      28002,
      `Provided value for the input parameter scope '${scope}' is not valid because it contains ` +
        'more than one resource. Scopes for more than one resource cannot be requested together.',
    )
  }
  return passed(first.slice(0, -defaultSuffix.length))
}
