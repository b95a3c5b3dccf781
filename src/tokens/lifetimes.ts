/**
 * The longest that an access token can live, in seconds: what ACCESS_TOKEN_LIFETIME may be at the most. How long a
 * token lives that is about was decided by whoever signed it: by another replica perhaps, or before a restart with
 * another setting. So what has to outlast every access token goes by this, never by what is set here and now.
 */
export const longestAccessTokenLifetimeSeconds = 900
