/**
 * A group that the user of this process may give a file to, and another one than files have by themselves
 * wherever there is one: root may give them to any, everybody else to one of theirs.
 */
export function ownGroup(): number {
  if (process.geteuid?.() === 0) return 54_321
  const own = process.getegid?.() ?? 0
  return process.getgroups?.().find((group) => group !== own) ?? own
}
