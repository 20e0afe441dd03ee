export const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`

/** Enough to recognise them by; a list of thousands is in the file. */
const tenantsNamedMax = 5

export function tenantsIn(tenants: readonly string[]): string {
  const named = tenants.slice(0, tenantsNamedMax).join(', ')
  const others = tenants.length - tenantsNamedMax
  return others > 0 ? `${named} and ${counted(others, 'other')}` : named
}
