/** A signature is needed, and no certificate of the application is proven yet: nothing was tried. */
export class NothingProven extends Error {
  override readonly name = 'NothingProven'
  readonly code = 'NOTHING_PROVEN'

  constructor() {
    super('NOTHING_PROVEN')
  }
}
