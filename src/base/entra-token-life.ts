/** Entra draws the life of an ordinary token at random from 60 to 90 minutes, in seconds. */
export const ordinaryTokenSecondsMax = 90 * 60

/** Of a long-lived one from 20 to 28 hours. */
export const longLivedTokenSecondsMax = 28 * 3600
