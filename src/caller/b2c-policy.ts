/** What Azure AD B2C can call a policy; it takes two that differ in case alone for one. */
const policyName = /^[A-Za-z0-9_-]{1,128}$/

/** The one form of a policy's name by which names are compared; undefined for what is no name. */
export const parsePolicy = (text: string): string | undefined =>
  policyName.test(text) ? text.toLowerCase() : undefined

/**
 * The policy that made a token of Azure AD B2C: by `tfp`, or by `acr` where the tenant is set to older
 * ways. Undefined when neither says it, or when they contradict one another.
 *
 * @see Microsoft, Overview of tokens in Azure Active Directory B2C: Claims, Compatibility.
 */
export function policyIn({ tfp, acr }: { tfp?: unknown; acr?: unknown }): string | undefined {
  const named = [tfp, acr].filter((claim) => claim !== undefined)
  const policies = new Set(
    named.map((claim) => parsePolicy(typeof claim === 'string' ? claim : '')),
  )
  const [policy] = policies
  return policies.size === 1 ? policy : undefined
}
