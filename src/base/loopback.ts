import { isIPv4, isIPv6 } from 'node:net'

/** Whether a host as written in a URL or a setting can only be this machine: by name or address. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (isIPv4(bare)) return bare.startsWith('127.')
  return bare === 'localhost' || (isIPv6(bare) && bare === '::1')
}
