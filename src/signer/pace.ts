/** How fast units go: in the half second that is, or in the one before it, whichever took more. */
export class Pace {
  #endsAtMs = -Infinity
  #before = 0
  #now = 0

  add(units: number, nowMs: number): void {
    this.#turn(nowMs)
    this.#now += units
  }

  /** Of what was added a moment ago, so much did not go after all. */
  giveBack(units: number): void {
    this.#now = Math.max(0, this.#now - units)
  }

  lately(nowMs: number): number {
    this.#turn(nowMs)
    return Math.max(this.#before, this.#now)
  }

  #turn(nowMs: number): void {
    if (nowMs < this.#endsAtMs) return
    this.#before = nowMs < this.#endsAtMs + halfSecondMs ? this.#now : 0
    this.#now = 0
    this.#endsAtMs = nowMs + halfSecondMs
  }
}

const halfSecondMs = 500
