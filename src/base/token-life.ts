/**
 * `ordinary`: about an hour. `long-lived`: about a day, because the caller and the resource agree to
 * speak about it meanwhile (continuous access evaluation); nobody here can recall it.
 */
export type TokenLife = 'ordinary' | 'long-lived'
